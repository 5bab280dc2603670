"""A prior to begin with: how often each symbol of each channel occurs."""

from collections.abc import Sequence

import torch
from omega_core.coding.tables import FrozenTables
from omega_core.contracts import FrozenPrior, Prior
from torch import Tensor


class __CLASS__(Prior):
    """Counts symbols; half of what it counted is forgotten every `memory` batches.

    channels, alphabet: C and S.
    lowest, latent_size: not used: every symbol has a count of its own, and all positions of a channel share them.
    memory: batches.
    """

    observes = True
    counts: Tensor
    """(C, S)."""

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
        """(C, S): relative frequencies, after each symbol was seen once more than it was."""
        return (self.counts + 1) / (self.counts + 1).sum(dim=1, keepdim=True)

    def code_lengths(self, height: int, width: int) -> Tensor:
        """(C, 1, S)."""
        return -self.probabilities().log2()[:, None, :]

    @torch.no_grad()
    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        """Count the symbols (B, C, h, w) of the first kept (B,) channels."""
        if not self.counting_all:
            self.counts *= 0.5 ** (1 / self.memory)
        for channel, counts in enumerate(self.counts):
            seen = symbols[kept > channel, channel].flatten()
            counts += torch.bincount(seen, minlength=len(counts))

    def recount(self) -> None:
        """Forget all: the whole training set is about to be shown, once."""
        self.counts.zero_()
        self.counting_all = True

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order."""
        self.counts = self.counts[list(order)]

    def freeze(self) -> FrozenPrior:
        """The frequencies as integers, which are the same on every machine."""
        return FrozenTables.from_probabilities(self.probabilities()[:, None, :].cpu().numpy())
