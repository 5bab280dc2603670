"""Quantizers: latents to symbols and back."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from omega_core.coding.integer_net import MAX_LEVEL as MAX_LEVEL
from omega_core.coding.tables import MAX_ALPHABET
from omega_core.errors import ComponentError

if TYPE_CHECKING:
    from omega_core.contracts.prior import Prior


@dataclass(frozen=True)
class Refinement:
    """How symbols refine each other: a symbol refines the number of its parent, an earlier channel at this position.

    After each symbol, the number that it refines has a level from −31 to 31: its sign and, roughly, its size.

    parents: the parent of each of the C channels, or −1 for none.
    levels: (63, S), int64: in row k, the level after symbol s if the level after the symbol of the parent is k − 31; in
        row 31 also the level after a symbol of a channel without a parent.
    sizes: (C,), the squared distance in the latent between level 0 and level 1 of each channel.
    """

    parents: Sequence[int]
    levels: Tensor
    sizes: Sequence[float]


@dataclass
class Quantized:
    """The output of a quantizer in training.

    latent: (B, D, h, w), the dequantized latent, with a gradient to the input latent.
    bits: (B,), the estimated bits of each sample's kept channels, with a gradient.
    symbols: (B, C, h, w), integers; undefined in channels that are not kept; None in a relaxed phase without symbols.
    penalty: (B,), a further term of the loss, such as a commitment loss, added to it unweighted; None without one.
    """

    latent: Tensor
    bits: Tensor
    symbols: Tensor | None
    penalty: Tensor | None = None


class Quantizer(nn.Module, ABC):
    """Turns latents into symbols with channels in order of importance, and any prefix of the channels into latents.

    Made as `Class(latent_channels=D, channels=C, alphabet=S, **options)`.
    """

    channels: int
    """C, the number of symbol channels."""
    alphabet: int
    """S: symbols are integers in [0, S)."""
    lowest: int = 0
    """The value of symbol 0, if symbols are consecutive integers."""
    needs_prior: bool = True
    """False if the symbols have no probabilities, as those of `identity`."""
    needs_likelihood: bool = False
    """True if `forward` calls `Prior.likelihood`."""
    relaxation: nn.Module | None
    """The parameters that only the relaxed phase trains; None for quantizers without one, and in trained models."""
    sample_seeds: Tensor | None = None
    """(B,), int64, set by a trainer before `forward`, so that `noise` is a function of seed, step and sample."""
    progress: float = 0.0
    """The fraction of training that is done, from 0 to 1, set by a trainer before `forward`, for schedules."""

    def __init__(self) -> None:
        super().__init__()
        self.relaxation = None

    @abstractmethod
    def forward(self, latent: Tensor, prior: "Prior | None" = None, kept: Tensor | None = None) -> Quantized:
        """Quantize and dequantize, differentiably while training.

        latent: (B, D, h, w).
        prior: gives the bits; they are zero if None.
        kept: (B,), int64, the number of kept channels of each sample; all C if None.
        """

    @abstractmethod
    def symbols(self, latent: Tensor) -> Tensor:
        """Quantize a latent (B, D, h, w) to symbols (B, C, h, w), int64 in [0, S)."""

    @abstractmethod
    def latent(self, symbols: Tensor) -> Tensor:
        """Dequantize the first n ≤ C channels of symbols, (B, n, h, w), to a latent (B, D, h, w).

        Symbols of −1 are missing, because a truncated file lacks them. At each position, the latent is as if the
        channels ended before the missing symbols.
        """

    def cells(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Return the lower and upper ends, (B, D, h, w) each, of the values that known symbols stand for; optional.

        The search for better symbols (`omega_core.codec.symbol_search`) needs it to move single values of a latent
        over an end of their cell.

        symbols: (B, n, h, w), of the first n ≤ C channels; −1 if they are missing.

        All latents between the ends have these symbols. The ends are −inf and inf where no symbol is known, and where a
        cell has no end. Raises ComponentError if a symbol depends on several values of the latent.
        """
        raise ComponentError(f"{type(self).__name__} has no cells, which a search for better symbols needs.")

    def mask(self, kept: Tensor | None, like: Tensor) -> Tensor:
        """Return (B, C, 1, 1): 1 for the kept channels of each sample, 0 for the others.

        kept: (B,), the number of kept channels; all C if None.
        like: (B, …), a tensor with the dtype and device that the mask should have.
        """
        if kept is None:
            return like.new_ones((like.shape[0], self.channels, 1, 1))
        here = torch.arange(self.channels, device=like.device) < kept[:, None]
        return here[:, :, None, None].to(like.dtype)

    def fineness(self, kept: Tensor) -> Tensor:
        """Return how finely the first channels describe a latent, (B,), float32, from 0 to 1.

        A `fineness_aware` synthesis takes it. It is kept / C unless overridden.

        kept: (B,), the number of kept channels of each sample, with a fraction where a part of a channel is missing.
        """
        return kept.float() / self.channels

    def relax(self) -> None:
        """Add the parameters that the relaxed phase trains, as the submodule `relaxation`. Called before step 0.

        Does nothing unless overridden. Model files keep the state of `relaxation`, for further training; it is
        not loaded for coding. Raises ComponentError if the quantizer's options exclude a relaxed phase.
        """

    def relaxed(self, latent: Tensor, prior: "Prior | None", kept: Tensor, fineness: Tensor) -> Quantized:
        """Quantize approximately, with useful gradients, close to the quantization that `fit` will set up.

        Unless overridden, this is `forward` with the kept channels.

        latent: (B, D, h, w).
        prior: gives the bits; they are zero if None.
        kept: (B,), int64, about ⌈fineness · C⌉ channels, for quantizers without a relaxation.
        fineness: (B,), drawn uniformly from 0 for the coarsest quantization to 1 for the finest.

        The symbols of the result may be None.
        """
        return self(latent, prior, kept)

    def fit(self) -> None:
        """Set up quantization to symbols at the end of the relaxed phase. Does nothing unless overridden.

        Parameters keep their shapes. The trainer then orders the channels (`select_channels` with a permutation) and
        passes the fineness that it measured for each prefix (`set_fineness`).
        """

    def set_fineness(self, fineness: Tensor) -> None:
        """Store what `fineness` is to return for 0 to C kept channels, (C + 1,). Does nothing unless overridden."""

    def rate(self, values: Tensor, prior: "Prior", kept: Tensor | None = None) -> Tensor:
        """Return the bits (B,) of the kept channels of real-valued symbols, such as values.

        Code lengths are linearly interpolated between integers, which gives a gradient to `values`. For symbols
        without an order see `expected_rate`.

        values: (B, C, h, w), from 0 to S − 1.
        prior: gives the code lengths.
        kept: (B,), the number of kept channels of each sample; all C if None.
        """
        flat_CPB = values.flatten(2).permute(1, 2, 0)
        lengths = prior.code_lengths(values.shape[2], values.shape[3]).to(values.dtype)
        lengths_CPS = lengths.expand(-1, flat_CPB.shape[1], -1)
        below = flat_CPB.detach().floor().clamp(0, self.alphabet - 2).long()
        share = flat_CPB - below
        bits_CPB = lengths_CPS.gather(2, below) * (1 - share) + lengths_CPS.gather(2, below + 1) * share
        return (bits_CPB.sum(dim=1).T * self.mask(kept, values)[:, :, 0, 0]).sum(dim=1)

    def expected_rate(self, chances: Tensor, prior: "Prior", kept: Tensor | None = None) -> Tensor:
        """Return the bits (B,) of the kept channels of symbols without an order, such as indices of a codebook.

        chances: (B, C, S, h, w), the probability of each symbol: 1 for the chosen one, else 0. For a gradient, add
            soft − soft.detach(), where soft is, for example, a softmax over −distances.
        prior: gives the code lengths.
        kept: (B,), the number of kept channels of each sample; all C if None.
        """
        lengths_CPS = prior.code_lengths(chances.shape[3], chances.shape[4]).to(chances.dtype)
        lengths_CSP = lengths_CPS.expand(-1, chances.shape[3] * chances.shape[4], -1).transpose(1, 2)
        bits_BC = (chances.flatten(3) * lengths_CSP).sum(dim=(2, 3))
        return (bits_BC * self.mask(kept, bits_BC)[:, :, 0, 0]).sum(dim=1)

    def temperature(self) -> Tensor | None:
        """Return the temperature of each channel, (C,), for the log; None for quantizers without temperatures."""
        return None

    def compile_parts(self) -> None:
        """Compile parts of `forward` with torch.compile, for training. Does nothing unless overridden."""

    def reset_dead_symbols(self, counts: Tensor, seed: int) -> int:
        """Re-initialize symbols that were never chosen: move them near chosen symbols. Return their number.

        Training calls this every `reset-dead-every` steps of the recipe.

        counts: (C, S), how often each symbol was chosen since the last call.
        seed: the seed of all random choices, so that every process makes the same ones.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot reset dead symbols")

    def refinement(self) -> "Refinement":
        """Return how symbols refine each other, for priors that depend on it.

        Unless overridden, symbols are numbers that refine nothing: symbol s stands for the number s + `lowest`.
        """
        numbers = (torch.arange(min(self.alphabet, MAX_ALPHABET)) + self.lowest).clamp(-MAX_LEVEL, MAX_LEVEL)
        levels = numbers.repeat(2 * MAX_LEVEL + 1, 1)
        return Refinement([-1] * self.channels, levels, [1.0] * self.channels)

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep the given channels, in the given order; C becomes their number, D stays.

        A model file with the `state_dict` is loaded into an instance that is made with the new C.

        order: indices of the channels to keep, the most important first.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot select channels")

    def noise(self, like: Tensor) -> Tensor:
        """Return uniform noise between −½ and ½, of the shape, type and device of `like`, (B, …).

        If `sample_seeds` are set, it depends on them only, not on batch, device or process.
        """
        if self.sample_seeds is None:
            return torch.rand_like(like) - 0.5
        bits = hashed(self.sample_seeds.to(like.device)[:, None], torch.arange(like[0].numel(), device=like.device))
        uniform = (bits >> 40 & 0xFFFFFF).to(torch.float64) / 2**24 - 0.5
        return uniform.to(like.dtype).reshape(like.shape)


def hashed(*numbers: Tensor) -> Tensor:
    """Hash tuples of integers to 64 bits each (SplitMix64); the tensors of integers are broadcast together."""
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
    """Shift logically to the right; torch's own operator copies the sign bit."""
    return (x >> by) & ((1 << (64 - by)) - 1)
