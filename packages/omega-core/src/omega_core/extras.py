"""The extras of omega-core, and a check that the modules that a package needs are installed."""

import sys
from importlib.util import find_spec

from omega_core.errors import MissingExtraError

TORCH = {"numpy": "numpy", "PIL": "pillow", "safetensors": "safetensors", "torch": "torch"}
"""The modules of the extra `torch`, each with its distribution."""
ONNX = {"numpy": "numpy", "PIL": "pillow", "constriction": "constriction", "onnxruntime": "onnxruntime"}
"""The modules of the extra `onnx`, each with its distribution."""
EXPORT = {**TORCH, **ONNX, "onnxscript": "onnxscript"}
"""The modules of the extra `onnx-export`, each with its distribution."""

_EXTRAS = {"torch": TORCH, "onnx": ONNX, "onnx-export": EXPORT}


def require(package: str, *modules: str) -> None:
    """Raise MissingExtraError unless the given modules are installed, without importing them.

    package: the name of the package that needs them, for the message.
    modules: names of modules, as in `TORCH`.
    """
    absent = [name for name in modules if name not in sys.modules and find_spec(name) is None]
    if absent:
        raise missing(package, *absent)


def missing(package: str, *modules: str) -> MissingExtraError:
    """Return the error for modules that a package needs and that are not installed; it names the extras with them."""
    names = ", ".join(EXPORT[name] for name in modules)
    which = f"{names}, which {'is' if len(modules) == 1 else 'are'} not installed"
    extras = [extra for extra, brought in _EXTRAS.items() if set(modules) <= set(brought)]
    if len(extras) > 1:
        extras.remove("onnx-export")
    return MissingExtraError(f"{package} needs {which}: install omega-core with its extra {' or '.join(extras)}.")
