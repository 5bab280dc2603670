"""A table of probabilities that is counted, not trained.

For given symbols the best static probabilities are their relative frequencies. So the prior has no
parameters: it keeps a moving average of how often each symbol occurs, through whose logarithm the rate
has its gradient to the latent. Before it is frozen it is counted once more over the training set.
"""

from collections.abc import Sequence

from torch import Tensor

from omega_core.coding.tables import FrozenTables
from omega_core.contracts.prior import FrozenPrior, Prior
from omega_core.errors import ComponentError
from omega_entropy.priors.counting import Counts
from omega_entropy.priors.density import LatentDensity


class StaticPrior(Prior):
    """Relative frequencies of the symbols of each channel and, for a fixed latent size, each position.

    channels, alphabet: C and S.
    lowest: not used; every symbol has a count of its own.
    latent_size: (h, w) where all pictures have one size, otherwise None.
    per_position: whether each position of a fixed latent size has a table of its own.
    decay: what a moving average keeps at each batch.
    smoothing: a count that every symbol has besides what was seen of it.
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
            raise ComponentError(f"the prior static keeps a share between 0 and 1 of its counts, not {decay}.")
        if not smoothing > 0:
            raise ComponentError(f"the prior static needs a smoothing above 0, not {smoothing}.")
        self.latent_size = latent_size if per_position else None
        self.decay, self.smoothing = decay, smoothing
        self.recounting = False
        positions = self.latent_size[0] * self.latent_size[1] if self.latent_size else 1
        self.seen = Counts(channels, positions, alphabet)

    def probabilities(self) -> Tensor:
        """(C, 1 or h·w, S), in float64."""
        return self.seen.probabilities(self.smoothing)

    def code_lengths(self, height: int, width: int) -> Tensor:
        """(C, 1 or h·w, S). Raises ValueError for another size than a fixed one."""
        if self.latent_size not in (None, (height, width)):
            raise ValueError(f"the prior static was made for latents of {self.latent_size}, not {(height, width)}")
        return -self.probabilities().log2()

    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        """Count the symbols (B, C, h, w) of kept (B,) channels; under several processes, of all of them."""
        self.seen.add(symbols, kept, decay=1.0 if self.recounting else self.decay)

    def recount(self) -> None:
        """Forget the moving average; from here on symbols are counted without decay."""
        self.seen.clear()
        self.recounting = True

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order."""
        self.seen.select_channels(order)

    def relax(self, latent_channels: int) -> None:
        """See `Prior.relax`: a density of each channel that depends on nothing, as the tables do."""
        self.relaxation = LatentDensity(latent_channels, conditional=False)

    def interval_bits(self, values: Tensor, half_width: Tensor, known: Tensor, fineness: Tensor) -> Tensor:
        """See `Prior.interval_bits`. Raises ValueError before `relax`."""
        if not isinstance(self.relaxation, LatentDensity):
            raise ValueError("a prior has a density of latents once it was relaxed")
        return self.relaxation.bits(values, half_width, known, fineness)

    def freeze(self) -> FrozenPrior:
        """The frequencies as integer tables."""
        return FrozenTables.from_probabilities(self.probabilities().cpu().numpy())
