"""The extra `torch` of omega-core, and the check that it is installed."""

import sys
from importlib.util import find_spec

from omega_core.errors import MissingExtraError

TORCH = {"numpy": "numpy", "PIL": "pillow", "safetensors": "safetensors", "torch": "torch"}
"""The modules of the extra `torch`, each with its distribution."""


def require_torch(package: str) -> None:
    """Raise MissingExtraError unless the extra `torch` is installed, without importing it.

    package: the name of the package that needs the extra, for the message.
    """
    missing = [TORCH[name] for name in TORCH if name not in sys.modules and find_spec(name) is None]
    if missing:
        which = f"{', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed"
        raise MissingExtraError(f"{package} needs {which}: install omega-core with its extra torch.")
