"""The cache folder on this machine, for copies of files and for results of long computations."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the cache folder: OMEGA_CACHE, otherwise `omega` in XDG_CACHE_HOME or in `.cache` of the home folder.

    Everything in it can be deleted at any time. Raises RuntimeError if the home folder cannot be determined.
    """
    if own := os.environ.get("OMEGA_CACHE"):
        return Path(own)
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "omega"
