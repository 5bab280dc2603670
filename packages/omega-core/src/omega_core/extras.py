"""What omega-core needs beside its dependencies for some of its packages: its extra `torch`."""

import sys
from importlib.util import find_spec

from omega_core.errors import MissingExtraError

TORCH = {"numpy": "numpy", "PIL": "pillow", "safetensors": "safetensors", "torch": "torch"}
"""Modules of the extra `torch`, and the distributions that they come with."""


def require_torch(package: str) -> None:
    """Raise MissingExtraError unless all of the extra `torch` is installed. None of it is imported.

    package: the name of the package that needs it, for the message.
    """
    missing = [TORCH[name] for name in TORCH if name not in sys.modules and find_spec(name) is None]
    if missing:
        which = f"{', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed"
        raise MissingExtraError(f"{package} needs {which}: install omega-core with its extra torch.")
