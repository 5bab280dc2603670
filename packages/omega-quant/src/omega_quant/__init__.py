"""Quantizers for learned compression: one-hot max (Ω), integer and identity."""

from typing import TYPE_CHECKING

from omega_core.lazy import lazily

if TYPE_CHECKING:
    from omega_quant.identity import IdentityQuantizer as IdentityQuantizer
    from omega_quant.integer import IntegerQuantizer as IntegerQuantizer
    from omega_quant.omega import OmegaQuantizer as OmegaQuantizer

__version__: str

__getattr__, __dir__, __all__ = lazily(__name__)
