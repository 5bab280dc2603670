"""A prior to start from: the relative frequency of each symbol in each channel."""

from collections.abc import Sequence

import torch
from omega_core.coding.tables import FrozenTables
from omega_core.contracts import FrozenPrior, Prior
from torch import Tensor


class __CLASS__(Prior):
    """Counts symbols. Counts decay exponentially during training.

    channels, alphabet: C and S.
    lowest, latent_size: unused: each symbol has its own count, which all positions of a channel share.
    memory: the number of batches after which a count has decayed to one half.
    """

    observes = True
    counts: Tensor
    """The number of occurrences (C, S)."""

    def __init__(
        self,
        *,
        channels: int,
        alphabet: int,
        lowest: int = 0,
        latent_size: tuple[int, int] | None = None,
        memory: float = 10.0,
    ) -> None:
        super().__init__()
        self.memory = memory
        self.counting_all = False
        self.register_buffer("counts", torch.zeros(channels, alphabet, dtype=torch.float64))

    def probabilities(self) -> Tensor:
        """The relative frequencies (C, S). All counts are increased by one, so that no probability is 0."""
        return (self.counts + 1) / (self.counts + 1).sum(dim=1, keepdim=True)

    def code_lengths(self, height: int, width: int) -> Tensor:
        """Code lengths in bits (C, 1, S): the same at all positions."""
        return -self.probabilities().log2()[:, None, :]

    @torch.no_grad()
    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        """Count symbols (B, C, h, w); only the first `kept` (B,) channels of each sample are used."""
        if not self.counting_all:
            self.counts *= 0.5 ** (1 / self.memory)
        for channel, counts in enumerate(self.counts):
            seen = symbols[kept > channel, channel].flatten()
            counts += torch.bincount(seen, minlength=len(counts))

    def recount(self) -> None:
        """Reset all counts, before the whole training set is observed once."""
        self.counts.zero_()
        self.counting_all = True

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order."""
        self.counts = self.counts[list(order)]

    def freeze(self) -> FrozenPrior:
        """The frequencies as integer tables, with which coding is the same on all machines."""
        return FrozenTables.from_probabilities(self.probabilities()[:, None, :].cpu().numpy())
