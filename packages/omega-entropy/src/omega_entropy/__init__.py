"""Priors (the learned probabilities of symbols) and entropy coders (symbols to bytes, without loss)."""

from typing import TYPE_CHECKING

from omega_core.lazy import lazily

if TYPE_CHECKING:
    from omega_core.coders.fixed import FixedCoder as FixedCoder
    from omega_core.coders.range import RangeCoder as RangeCoder
    from omega_core.coders.raw import RawCoder as RawCoder
    from omega_entropy.priors.context import ContextPrior as ContextPrior
    from omega_entropy.priors.factorized import FactorizedPrior as FactorizedPrior
    from omega_entropy.priors.regression import RegressionPrior as RegressionPrior
    from omega_entropy.priors.static import StaticPrior as StaticPrior

__version__: str

__getattr__, __dir__, __all__ = lazily(__name__)
