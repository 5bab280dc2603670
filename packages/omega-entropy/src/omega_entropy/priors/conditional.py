"""The base class of priors whose tables depend on earlier symbols."""

from typing import Any

from omega_core.errors import ComponentError
from omega_entropy.priors.latent_density import LatentDensity
from omega_entropy.priors.static import StaticPrior


class ConditionalPrior(StaticPrior):
    """Frequencies given earlier symbols; in the relaxed phase of training, densities given earlier latents.

    weight: pseudo-count, in symbols and above 0, of the probabilities that each table has before counting.
    marginal_share: the share, from 0 to 1, of the rate in the relaxed phase of training that is measured with
        unconditional densities (`omega_entropy.priors.latent_density`).
    others: the arguments of `StaticPrior`.

    Raises ComponentError for options out of range.
    """

    conditional = True

    def __init__(self, *, weight: float, marginal_share: float, **others: Any) -> None:
        if not 0 <= marginal_share <= 1:
            raise ComponentError(f"the marginal share of the rate has to be from 0 to 1, not {marginal_share}.")
        super().__init__(**others)
        self.weight, self.marginal_share = weight, marginal_share

    def relax(self, latent_channels: int) -> None:
        """See `Prior.relax`. Like tables, densities depend on earlier channels and half of the positions."""
        self.relaxation = LatentDensity(latent_channels, conditional=True, marginal_share=self.marginal_share)
