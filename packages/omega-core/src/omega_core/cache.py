"""The folder in which copies and results of long work are kept on this machine, to be found again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The cache: OMEGA_CACHE, or `omega` in XDG_CACHE_HOME or else in `.cache` of the home folder.

    Everything in it can be deleted at any time. Raises RuntimeError if there is no home folder to be found.
    """
    if own := os.environ.get("OMEGA_CACHE"):
        return Path(own)
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "omega"
