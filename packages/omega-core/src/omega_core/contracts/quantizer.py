"""Latents to symbols and back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from omega_core.contracts.prior import Prior


@dataclass
class Quantized:
    """What a quantizer makes of a latent.

    latent: (B, D, h, w), the dequantized latent, with a gradient to the one that came in.
    bits: (B,), estimated bits of each sample's kept channels, with a gradient.
    symbols: (B, C, h, w), integers; those of channels that are not kept mean nothing; None where there are none yet.
    penalty: (B,), what else training is to make small, such as a commitment to a codebook: added to the loss as it is.
    """

    latent: Tensor
    bits: Tensor
    symbols: Tensor | None
    penalty: Tensor | None = None


class Quantizer(nn.Module, ABC):
    """Turns latents into symbols, channels in order of importance, and any prefix of them back.

    Made as `Class(latent_channels=D, channels=C, alphabet=S, **options)`.
    """

    channels: int
    """C, the channels of symbols."""
    alphabet: int
    """S: symbols are integers in [0, S)."""
    lowest: int = 0
    """The value that symbol 0 stands for, where symbols are consecutive values."""
    needs_prior: bool = True
    """False where symbols have no probabilities."""
    needs_likelihood: bool = False
    """True where training asks the prior for the likelihood of real values."""
    relaxation: nn.Module | None
    """What only the relaxed phase of training trains; None for quantizers without one, and where nothing is trained."""
    sample_seeds: Tensor | None = None
    """(B,), set by a trainer before `forward`: what makes `noise` a function of seed, step and sample."""
    progress: float = 0.0
    """The share of training that is done, set by a trainer before `forward`, for what changes on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.relaxation = None

    @abstractmethod
    def forward(self, latent: Tensor, prior: "Prior | None" = None, kept: Tensor | None = None) -> Quantized:
        """Quantize and dequantize, differentiably while training.

        latent: (B, D, h, w).
        prior: where the bits come from; without one they are zero.
        kept: (B,), how many leading channels of each sample are kept; all of them if None.
        """

    @abstractmethod
    def symbols(self, latent: Tensor) -> Tensor:
        """Latent (B, D, h, w) to symbols (B, C, h, w), int64 in [0, S)."""

    @abstractmethod
    def latent(self, symbols: Tensor) -> Tensor:
        """The first n ≤ C channels of symbols (B, n, h, w) to a latent (B, D, h, w)."""

    def mask(self, kept: Tensor | None, like: Tensor) -> Tensor:
        """1 for the kept (B,) channels of each sample and 0 for the others: (B, C, 1, 1), in the type of `like`."""
        if kept is None:
            return like.new_ones((len(like), self.channels, 1, 1))
        here = torch.arange(self.channels, device=like.device) < kept[:, None]
        return here[:, :, None, None].to(like.dtype)

    def fineness(self, kept: Tensor) -> Tensor:
        """How finely the first kept (B,) channels describe a latent, from 0 to 1: (B,), float32.

        What a `fineness_aware` synthesis is told; kept/C unless a quantizer knows better.
        """
        return kept.float() / self.channels

    def relax(self) -> None:
        """Make ready for the relaxed phase, before any step: add the parameters that it trains, as `relaxation`.

        Nothing unless overridden. The state of `relaxation` goes into model files as what further training needs, and
        is not loaded for coding. Raises ComponentError where its options leave no relaxed phase.
        """

    def relaxed(self, latent: Tensor, prior: "Prior | None", kept: Tensor, fineness: Tensor) -> Quantized:
        """Quantize as the relaxed phase of training does: quickly learned from, and near to what `fit` will make.

        latent: (B, D, h, w). fineness: (B,), from 0 for the coarsest quantization to 1 for the finest, drawn evenly.
        kept: (B,), as many channels as that share of them, for quantizers without a relaxation: unless overridden,
            this is `forward` with these.

        The symbols may be None.
        """
        quantized: Quantized = self(latent, prior, kept)
        return quantized

    def fit(self) -> None:
        """End the relaxed phase: begin with the quantization that it has learned. Nothing unless overridden.

        Parameters keep their shapes. The trainer then orders the channels (`select_channels` with a permutation) and
        passes the fineness that it measured for each prefix (`set_fineness`).
        """

    def set_fineness(self, fineness: Tensor) -> None:
        """Take what `fineness` is to give for 0 to C channels: (C + 1,). Nothing unless overridden."""

    def rate(self, places: Tensor, prior: "Prior", kept: Tensor | None = None) -> Tensor:
        """Bits (B,) of the kept channels of symbols that may lie between two: (B, C, h, w), from 0 to S − 1.

        What the prior says at whole numbers, interpolated between them: so that there is a gradient to the places. For
        symbols in an order, such as levels; for others see `expected_rate`.
        """
        flat_CPB = places.flatten(2).permute(1, 2, 0)
        lengths = prior.code_lengths(places.shape[2], places.shape[3]).to(places.dtype)
        lengths_CPS = lengths.expand(-1, flat_CPB.shape[1], -1)
        below = flat_CPB.detach().floor().clamp(0, self.alphabet - 2).long()
        share = flat_CPB - below
        bits_CPB = lengths_CPS.gather(2, below) * (1 - share) + lengths_CPS.gather(2, below + 1) * share
        bits: Tensor = (bits_CPB.sum(dim=1).T * self.mask(kept, places)[:, :, 0, 0]).sum(dim=1)
        return bits

    def expected_rate(self, chances: Tensor, prior: "Prior", kept: Tensor | None = None) -> Tensor:
        """Bits (B,) of the kept channels of symbols in no order, such as the numbers of vectors in a codebook.

        chances: (B, C, S, h, w), of each symbol; 1 for the one that is chosen. For a gradient, add to that choice
            soft − soft.detach(), where soft is, say, a softmax over −distances.
        """
        lengths_CPS = prior.code_lengths(chances.shape[3], chances.shape[4]).to(chances.dtype)
        lengths_CSP = lengths_CPS.expand(-1, chances.shape[3] * chances.shape[4], -1).transpose(1, 2)
        bits_BC = (chances.flatten(3) * lengths_CSP).sum(dim=(2, 3))
        bits: Tensor = (bits_BC * self.mask(kept, bits_BC)[:, :, 0, 0]).sum(dim=1)
        return bits

    def temperature(self) -> Tensor | None:
        """The temperature of each channel (C,), for the log, where there are such."""
        return None

    def compile_parts(self) -> None:
        """Have torch.compile make quicker, in training, what gains by it: nothing unless overridden."""

    def reset_dead_symbols(self, counts: Tensor, seed: int) -> int:
        """Re-initialize symbols that were never chosen next to symbols that were, and return their number.

        Training calls this every `reset-dead-every` steps of the recipe.

        counts: (C, S), how often each symbol was chosen since the last call.
        seed: of all random choices, so that every process makes the same ones.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot reset dead symbols")

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order: C is then their number, latents keep their D channels.

        A file with the model is read with the class made anew with that C, which then loads the `state_dict`.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot select channels")

    def noise(self, like: Tensor) -> Tensor:
        """Uniform between −½ and ½, of the shape of `like` (B, …).

        Where a trainer set `sample_seeds` it depends on them alone, not on batch, device or process.
        """
        if self.sample_seeds is None:
            return torch.rand_like(like) - 0.5
        bits = hashed(self.sample_seeds.to(like.device)[:, None], torch.arange(like[0].numel(), device=like.device))
        uniform = (bits >> 40 & 0xFFFFFF).to(torch.float64) / 2**24 - 0.5
        return uniform.to(like.dtype).reshape(like.shape)


def hashed(*numbers: Tensor) -> Tensor:
    """64 well-mixed bits for every tuple of the integers given, which are broadcast (SplitMix64)."""
    state = torch.zeros((), dtype=torch.int64, device=numbers[0].device)
    for number in numbers:
        state = _mixed(state.to(number.device) ^ (number.to(torch.int64) * -7046029254386353131))
    return state


def _mixed(x: Tensor) -> Tensor:
    """SplitMix64's finalizer (Steele, Lea, Flood 2014); torch's int64 wraps around."""
    x = x + -7046029254386353131  # 0x9E3779B97F4A7C15
    x = (x ^ _shifted(x, 30)) * -4658895280553007687  # 0xBF58476D1CE4E5B9
    x = (x ^ _shifted(x, 27)) * -7723592293110705685  # 0x94D049BB133111EB
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, by: int) -> Tensor:
    """A logical shift to the right: torch's own copies the sign."""
    return (x >> by) & ((1 << (64 - by)) - 1)
