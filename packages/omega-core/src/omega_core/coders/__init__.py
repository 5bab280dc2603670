"""The coders that the format specifies, except torchac: NumPy integers to bytes and back, without torch.

omega-entropy registers them as its components, and files contain these names. They are found without it, too.
"""

from importlib import import_module
from typing import TYPE_CHECKING, cast

from omega_core.extras import require

if TYPE_CHECKING:
    from omega_core.contracts.coder import Coder

require(__name__, "numpy")

_DISTRIBUTION = "omega-entropy"
_CLASSES = {"range": "RangeCoder", "fixed": "FixedCoder", "raw": "RawCoder"}


def specified_name(name: str) -> str | None:
    """Return the qualified name of a coder of this package, such as "omega-entropy/range"; None for others.

    name: bare or qualified.
    """
    distribution, _, bare = name.rpartition("/")
    return f"{_DISTRIBUTION}/{bare}" if distribution in ("", _DISTRIBUTION) and bare in _CLASSES else None


def specified_coder(name: str) -> "type[Coder] | None":
    """Return the class of a coder of this package by its qualified name; None for others.

    Raises MissingExtraError for `range` if constriction is not installed.
    """
    bare = name.removeprefix(f"{_DISTRIBUTION}/")
    if specified_name(name) != name:
        return None
    if bare == "range":
        require(f"the coder {name}", "constriction")
    return cast("type[Coder]", getattr(import_module(f"{__name__}.{bare}"), _CLASSES[bare]))
