"""A table of probabilities that is counted, not trained.

For given symbols the best static probabilities are their relative frequencies. So the prior has no
parameters: it keeps a moving average of how often each symbol occurs, through whose logarithm the rate
has its gradient to the latent. Before it is frozen it is counted once more over the training set.
"""

import torch
from torch import Tensor

from omega_core.contracts.prior import Prior
from omega_core.errors import ComponentError
from omega_core.tables import FrozenTables


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
    counts: Tensor

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
        self.register_buffer("counts", torch.zeros(channels, positions, alphabet, dtype=torch.float64))

    def probabilities(self) -> Tensor:
        """(C, 1 or h·w, S), in float64."""
        counts = self.counts + self.smoothing
        return counts / counts.sum(dim=2, keepdim=True)

    def code_lengths(self, height: int, width: int) -> Tensor:
        """(C, 1 or h·w, S). Raises ValueError for another size than a fixed one."""
        if self.latent_size not in (None, (height, width)):
            raise ValueError(f"the prior static was made for latents of {self.latent_size}, not {(height, width)}")
        return -self.probabilities().log2()

    @torch.no_grad()
    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        """Count the symbols (B, C, h, w) of kept (B,) channels; under several processes, of all of them."""
        channels, tables, alphabet = self.counts.shape
        batch, _, height, width = symbols.shape
        positions = torch.arange(height * width, device=symbols.device) % tables
        row_CP = torch.arange(channels, device=symbols.device)[:, None] * tables + positions
        mask_BC = torch.arange(channels, device=symbols.device) < kept[:, None]
        seen = (row_CP * alphabet + symbols.reshape(batch, channels, -1))[mask_BC]
        fresh = torch.bincount(seen.reshape(-1), minlength=self.counts.numel()).view_as(self.counts).to(self.counts)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(fresh)
        if not self.recounting:
            self.counts.mul_(self.decay)
        self.counts.add_(fresh)

    def recount(self) -> None:
        """Forget the moving average; from here on symbols are counted without decay."""
        self.counts.zero_()
        self.recounting = True

    def freeze(self) -> FrozenTables:
        """The frequencies as integer tables."""
        return FrozenTables.from_probabilities(self.probabilities().cpu().numpy())
