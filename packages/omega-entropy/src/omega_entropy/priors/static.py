"""Tables of relative frequencies, which are counted instead of trained.

The static probabilities with the lowest rate for given symbols are their relative frequencies. Therefore the prior has
no parameters. During training it is a moving average of the frequencies, and the rate depends on the latent through
their logarithms. Before it is frozen, the symbols of the training set are counted again.
"""

from collections.abc import Sequence

from torch import Tensor

from omega_core.coding.tables import FrozenTables
from omega_core.contracts.prior import FrozenPrior, Prior
from omega_core.errors import ComponentError
from omega_entropy.priors.latent_density import LatentDensity
from omega_entropy.priors.symbol_counts import Counts


class StaticPrior(Prior):
    """Relative frequencies of the symbols of each channel and, for a fixed latent size, each position.

    channels, alphabet: C and S.
    lowest: ignored, as frequencies do not depend on the values of symbols.
    latent_size: (h, w) if all pictures have one size, otherwise None.
    per_position: whether each position has its own table, if the latent size is fixed.
    decay: the factor of the moving average for each batch, in [0, 1).
    smoothing: added to each count, above 0.

    Raises ComponentError for a decay or a smoothing out of its range.
    """

    observes = True

    def __init__(
        self,
        *,
        channels: int,
        alphabet: int,
        lowest: int = 0,
        latent_size: tuple[int, int] | None = None,
        per_position: bool = True,
        decay: float = 0.9,
        smoothing: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ComponentError(f"the decay of the prior static has to be at least 0 and below 1, not {decay}.")
        if not smoothing > 0:
            raise ComponentError(f"the prior static needs a smoothing above 0, not {smoothing}.")
        self.latent_size = latent_size if per_position else None
        self.decay, self.smoothing = decay, smoothing
        self.recounting = False
        positions = self.latent_size[0] * self.latent_size[1] if self.latent_size else 1
        self.seen = Counts(channels, positions, alphabet)

    def probabilities(self) -> Tensor:
        """The relative frequencies (C, 1 or h·w, S), float64."""
        return self.seen.probabilities(self.smoothing)

    def code_lengths(self, height: int, width: int) -> Tensor:
        """The bits (C, 1 or h·w, S) of each symbol. Raises ValueError for other sizes than a fixed latent size."""
        if self.latent_size not in (None, (height, width)):
            raise ValueError(f"the prior static was made for latents of {self.latent_size}, not {(height, width)}")
        return -self.probabilities().log2()

    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        """Count the symbols (B, C, h, w) of the kept (B,) channels, over all processes of torch.distributed."""
        self.seen.add(symbols, kept, decay=1.0 if self.recounting else self.decay)

    def recount(self) -> None:
        """Clear the counts, and count without decay from now on."""
        self.seen.clear()
        self.recounting = True

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep the channels `order`, in this order."""
        self.seen.select_channels(order)

    def relax(self, latent_channels: int) -> None:
        """See `Prior.relax`. The density of a channel is unconditional, like its table."""
        self.relaxation = LatentDensity(latent_channels, conditional=False)

    def interval_bits(self, values: Tensor, half_width: Tensor, known: Tensor, fineness: Tensor) -> Tensor:
        """See `Prior.interval_bits`. Raises ValueError before `relax`."""
        if not isinstance(self.relaxation, LatentDensity):
            raise ValueError("the prior has no density of latents before `relax`")
        return self.relaxation.bits(values, half_width, known, fineness)

    def freeze(self) -> FrozenPrior:
        """The frequencies as integer tables."""
        return FrozenTables.from_probabilities(self.probabilities().cpu().numpy())
