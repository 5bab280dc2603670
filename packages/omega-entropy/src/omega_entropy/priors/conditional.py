"""What priors have in common whose tables depend on earlier symbols."""

from typing import Any

from omega_core.errors import ComponentError
from omega_entropy.priors.latent_density import LatentDensity
from omega_entropy.priors.static import StaticPrior


class ConditionalPrior(StaticPrior):
    """Frequencies given earlier symbols; in the relaxed phase of training, densities given earlier latents.

    weight: as how many symbols what is known without counting counts in each table, above 0.
    marginal_share: of the rate in the relaxed phase of training, from 0 to 1, the part that is measured without
        conditions (`omega_entropy.priors.latent_density`).
    others: as `StaticPrior` has them.

    Raises ComponentError for options out of range.
    """

    conditional = True

    def __init__(self, *, weight: float, marginal_share: float, **others: Any) -> None:
        if not 0 <= marginal_share <= 1:
            raise ComponentError(f"the marginal share of the rate is from 0 to 1, not {marginal_share}.")
        super().__init__(**others)
        self.weight, self.marginal_share = weight, marginal_share

    def relax(self, latent_channels: int) -> None:
        """See `Prior.relax`: a density of each channel that depends on what tables depend on."""
        self.relaxation = LatentDensity(latent_channels, conditional=True, marginal_share=self.marginal_share)
