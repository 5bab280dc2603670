"""The probabilities of symbols: learned in training, integers afterwards."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from omega_core.coding.tables import FrozenPrior as FrozenPrior
from omega_core.coding.tables import FrozenTables


class Prior(nn.Module, ABC):
    """The probability of each symbol of each channel.

    Made as `Class(channels=C, alphabet=S, lowest=…, latent_size=(h, w) or None, **options)`.
    """

    observes: bool = False
    """Whether it learns from `observe`, and is to be shown the whole training set at the end."""

    conditional: bool = False
    """Whether its frozen tables depend on earlier channels: then they cost less on average than `code_lengths` say."""

    relaxation: nn.Module | None
    """What only the relaxed phase of training trains; None for priors without any, and where nothing is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.relaxation = None

    @abstractmethod
    def code_lengths(self, height: int, width: int) -> Tensor:
        """−log2 of the probability of every symbol, in bits.

        (C, 1, S) where all positions of a channel share a table, (C, h·w, S) where each has its own.
        """

    def likelihood(self, values: Tensor) -> Tensor:
        """The probability of real values (B, C, h, w), where the prior is a density that can tell."""
        raise NotImplementedError(f"{type(self).__name__} has no likelihood of real values")

    def relax(self, latent_channels: int) -> None:
        """Make ready for the relaxed phase, before any step: add, as `relaxation`, the density of latents (B, D, h, w).

        Nothing unless overridden; `interval_bits` is then missing, and quantizers that need it cannot be relaxed. The
        state of `relaxation` goes into model files as what further training needs, and is not loaded for coding.
        """

    def interval_bits(self, values: Tensor, half_width: Tensor, known: Tensor, fineness: Tensor) -> Tensor:
        """−log2 of the probabilities of the intervals [values − half_width, values + half_width]: (B, D, h, w).

        values: (B, D, h, w), a latent with noise. half_width: (B, D, 1, 1).
        known: (B, D, h, w), the latent as a decoder has it, from whose earlier channels and positions the others may
            be foretold.
        fineness: (B,), from 0 to 1, as `Quantizer.relaxed` has it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no density of latents")

    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        """See the symbols (B, C, h, w) of a training batch, of which kept (B,) channels count."""

    def recount(self) -> None:
        """Forget what was observed: the whole training set is about to be shown, each picture once."""

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order."""
        raise NotImplementedError(f"{type(self).__name__} cannot select channels")

    @abstractmethod
    def freeze(self) -> FrozenPrior:
        """The prior as integer tables, for coding."""

    @classmethod
    def thaw(cls, arrays: dict[str, NDArray[Any]]) -> FrozenPrior:
        """A frozen prior from what a model file kept of it. Raises ValueError or KeyError if it does not fit."""
        return FrozenTables.from_arrays(arrays)
