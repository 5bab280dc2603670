"""The contracts of the seven kinds of component. Each is imported when it is first used."""

from typing import TYPE_CHECKING, Any

from omega_core.extras import require
from omega_core.lazy import lazily

if TYPE_CHECKING:
    from omega_core.contracts.architecture import Architecture as Architecture
    from omega_core.contracts.architecture import LocalArchitecture as LocalArchitecture
    from omega_core.contracts.codec import BaselineCodec as BaselineCodec
    from omega_core.contracts.coder import Coder as Coder
    from omega_core.contracts.dataset import Dataset as Dataset
    from omega_core.contracts.dataset import Images as Images
    from omega_core.contracts.prior import FrozenPrior as FrozenPrior
    from omega_core.contracts.prior import Prior as Prior
    from omega_core.contracts.quantizer import Quantized as Quantized
    from omega_core.contracts.quantizer import Quantizer as Quantizer
    from omega_core.contracts.trainer import Trainer as Trainer

__getattr__, __dir__, __all__ = lazily(__name__)


require(__name__, "numpy")


def implements(component: Any, contract: type, method: str) -> bool:
    """Whether a component overrides an optional method of its contract.

    component: an instance of a subclass of the contract.
    contract: a class of this package, such as `Quantizer`.
    method: the name of the method, such as `select_channels` or `likelihood`.
    """
    own = getattr(contract, method, None)
    return own is not None and getattr(type(component), method, own) is not own
