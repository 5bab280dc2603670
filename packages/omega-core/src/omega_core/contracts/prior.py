"""Priors: the probabilities of symbols, learned in training and converted to integers afterwards."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omega_core.coding.specified_priors import specified_prior
from omega_core.coding.tables import FrozenPrior as FrozenPrior

if TYPE_CHECKING:
    from omega_core.contracts.quantizer import Refinement


class Prior(nn.Module, ABC):
    """The probability of each symbol of each channel.

    Made as `Class(channels=C, alphabet=S, lowest=…, latent_size=(h, w) or None, **options)`.
    """

    observes: bool = False
    """Whether it learns from `observe`; training then passes it the whole training set once more at the end."""

    conditional: bool = False
    """Whether its frozen tables depend on earlier symbols; symbols then cost less on average than `code_lengths`."""

    relaxation: nn.Module | None
    """The parameters that only the relaxed phase trains, and that a search for better symbols uses; None for priors
    without any, and in models that are loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.relaxation = None

    @abstractmethod
    def code_lengths(self, height: int, width: int) -> Tensor:
        """Return −log2 of the probability of every symbol, in bits.

        height, width: h and w of the latent, in positions.

        The result is (C, 1, S) if all positions of a channel share a table, (C, h·w, S) if each has its own.
        """

    def channel_bits(self, symbols: Tensor) -> Tensor:
        """Return the bits (B, C) of each channel of symbols (B, C, h, w); those of `code_lengths`, unless overridden.

        A prior that depends on other symbols learns from the gradient of the bits in the decoder and the prior phase.
        """
        lengths_CTS = self.code_lengths(symbols.shape[2], symbols.shape[3])
        flat_CPB = symbols.flatten(2).permute(1, 2, 0)
        lengths_CPB = lengths_CTS.expand(-1, flat_CPB.shape[1], -1).gather(2, flat_CPB)
        return lengths_CPB.sum(dim=1).T

    def coding_order(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Return the bits (B, C, h, w) of symbols, and the index of each in the order of coding.

        symbols: (B, C, h, w), int64.

        Indices are from 0 to C·h·w − 1, int64. Unless overridden, one channel is coded after the other, and all symbols
        of a channel have the same bits. In the decoder phase of training, the synthesis learns from the first symbols.
        """
        _, channels, height, width = symbols.shape
        bits = self.channel_bits(symbols) / (height * width)
        indices = torch.arange(channels * height * width, device=symbols.device).view(channels, height, width)
        return bits[:, :, None, None].expand(symbols.shape), indices.expand(symbols.shape)

    def follow(self, refinement: "Refinement") -> None:
        """Set how symbols refine each other. Called when the codec is made, and when its channels have been ordered.

        Does nothing unless overridden.
        """

    @property
    def knows_channels(self) -> bool:
        """True if it has learned parameters per channel. Fitting the quantizer then leaves channels in their order."""
        return False

    def begin_with(self, frozen: FrozenPrior) -> bool:
        """Begin training from a frozen prior, and return whether this has been done; False unless overridden.

        frozen: a frozen prior of this class, with as many channels and symbols. What it lacks stays unchanged.
        """
        return False

    def likelihood(self, values: Tensor) -> Tensor:
        """Return the probability (B, C, h, w) of the unit interval around each real value (B, C, h, w); optional."""
        raise NotImplementedError(f"{type(self).__name__} has no likelihood of real values")

    def relax(self, latent_channels: int) -> None:
        """Add a density of latents for the relaxed phase, as the submodule `relaxation`. Called before the first step.

        Does nothing unless overridden; a quantizer that needs `interval_bits` then has no relaxed phase. Model
        files keep the state of `relaxation`, for further training and for the search for better symbols.

        latent_channels: D.
        """

    def interval_bits(self, values: Tensor, half_width: Tensor, known: Tensor, fineness: Tensor) -> Tensor:
        """Return −log2 of the probability of each interval [values − half_width, values + half_width], (B, D, h, w).

        values: (B, D, h, w), a latent with noise.
        half_width: (B, D, 1, 1), or (B, D, h, w) for intervals that differ by position.
        known: (B, D, h, w), the latent that a decoder would have, whose earlier channels and positions may predict
            later ones; or (1, D, h, w) for several values of one latent.
        fineness: (B,), from 0 to 1, as for `Quantizer.relaxed`; (1,) for one latent.
        """
        raise NotImplementedError(f"{type(self).__name__} has no density of latents")

    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        """Learn from the first `kept` (B,) channels of each sample of a training batch of symbols (B, C, h, w)."""

    def recount(self) -> None:
        """Forget all observed symbols; `observe` is about to get the whole training set, each picture once."""

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep the given channels, in the given order; order: indices of channels."""
        raise NotImplementedError(f"{type(self).__name__} cannot select channels")

    @abstractmethod
    def freeze(self) -> FrozenPrior:
        """Return the prior as integer tables, for coding."""

    @classmethod
    def thaw(cls, arrays: dict[str, NDArray[Any]]) -> FrozenPrior:
        """Return a frozen prior from its arrays in a model file, by name. Unless overridden, it is one of FORMAT.md.

        Raises ValueError or KeyError if the arrays are not those of such a prior.
        """
        if not arrays:
            raise KeyError("cumulative")
        return specified_prior(arrays)
