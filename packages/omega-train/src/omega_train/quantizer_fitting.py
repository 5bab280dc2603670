"""The end of the relaxed phase: fitting the quantizer, ordering its channels, measuring its prefixes.

Channels are sorted by the reduction of the latent's squared error per bit. The error of the latent approximates that of
the image if the synthesis starts as an orthogonal transform. The bits of a symbol are its entropy given the symbol of
one earlier channel at the same position, the one that reduces it most: for a later stage of a quantizer, the same
latent channel in the previous stage. For each prefix of this order, two values are measured: its rate, and the fineness
at which the relaxed quantizer has the same error. This fineness is an input of the synthesis.
"""

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omega_core.contracts.dataset import Images
from omega_core.errors import TrainingError
from omega_train.distributed import all_reduce_sum
from omega_train.task import CodecTask, in_evaluation_mode, symbol_counts
from omega_train.validation import FINENESSES, batches

PICTURES = 48  # maximum number of pictures that are measured
_SIDES = 3
_AHEAD = 60  # distance in channels: see `parents_first`
Floats = NDArray[np.float64]


@in_evaluation_mode
def fit_quantizer(task: CodecTask, images: Images, workers: int = 0) -> str:
    """End the relaxed phase of a task: fit its quantizer, order its channels, measure its prefixes.

    task: changed in place. images: the training images, of which up to 48 are measured; several processes share them.
    workers: the number of processes that read the images; 0 reads them in this process.

    Raises TrainingError if no symbol carries information.

    Returns text for the log about the result.
    """
    task.quantizer.fit()
    found = _measure(task, images, workers)
    order = np.arange(len(found.bits))
    if _can_be_ordered(task):
        by_slope = np.argsort(-found.gains / np.maximum(found.bits, 1e-12), kind="stable")
        order = np.array(parents_first(by_slope.tolist(), task.quantizer.refinement().parents))
        _reorder(task, order.tolist())
    if task.prior is not None:
        task.prior.follow(task.quantizer.refinement())
    rates = np.concatenate([[0.0], found.bits[order].cumsum()])
    if not rates[-1] > 0:
        raise TrainingError(
            "after the relaxed phase, each channel has the same symbol everywhere, which takes no bits: raise lambda,"
            " or make the phase longer."
        )
    errors = found.error - np.concatenate([[0.0], found.gains[order].cumsum()])
    task.set_prefix_rates(torch.from_numpy(rates))
    task.quantizer.set_fineness(torch.from_numpy(_fineness_of(errors, found.relaxed_errors)).float().to(task.device))
    moved = int((order != np.arange(len(order))).sum())
    return f"quantizer fitted: {len(order)} channels, {rates[-1]:.3f} bpp in total, {moved} channels moved"


@dataclass(frozen=True)
class _Measured:
    """Measurements of the channels of a fitted quantizer.

    bits: (C,), bits per pixel of each channel. gains: (C,), the reduction of the latent's squared error by each.
    error: the squared error without channels. relaxed_errors: (R,), the errors of the relaxed quantizer at finenesses
        from 0 to 1.
    """

    bits: Floats
    gains: Floats
    error: float
    relaxed_errors: Floats


def _measure(task: CodecTask, images: Images, workers: int) -> _Measured:
    """Measure rates and errors; for the errors, each channel of the latent is scaled to fit its dequantized values."""
    quantizer, channels = task.quantizer, task.quantizer.channels
    seen: list[Tensor] = []
    counts = torch.zeros(channels, quantizer.alphabet, dtype=torch.int64, device=task.device)
    latents = task.recipe.latent_channels
    squares = torch.zeros(channels + 1 + FINENESSES, latents, dtype=torch.float64, device=task.device)
    products, power = torch.zeros_like(squares), torch.zeros_like(squares[0])
    pixels = torch.zeros(1, dtype=torch.float64, device=task.device)
    finenesses = torch.linspace(0, 1, FINENESSES).tolist()
    for image in batches(task, images, most=PICTURES, workers=workers):
        latent = task.codec.analyze(image)
        symbols = quantizer.symbols(latent)
        seen.append(symbols)
        counts += symbol_counts(symbols, task.all_channels(image), quantizer.alphabet)
        by_prefix = (quantizer.latent(symbols[:, :n]) for n in range(channels + 1))
        for number, each in enumerate(chain(by_prefix, _relaxed(task, latent, finenesses))):
            squares[number] += each.double().square().sum((0, 2, 3))
            products[number] += (each.double() * latent.double()).sum((0, 2, 3))
        power += latent.double().square().sum((0, 2, 3))
        pixels += image[:, 0].numel()
    modes = all_reduce_sum(counts).argmax(1)
    joint = torch.zeros(channels, _SIDES, channels, quantizer.alphabet, device=task.device)
    for symbols in seen:
        joint += _joint_counts(symbols, modes, quantizer.alphabet)
    squares, products, power = all_reduce_sum(squares), all_reduce_sum(products), all_reduce_sum(power)
    scales = products[channels] / power.clamp_min(1e-12)
    errors = ((squares - 2 * scales * products).sum(1) + (scales.square() * power).sum()).cpu().numpy()
    joint = all_reduce_sum(joint)
    bits = _entropies(joint) * float(joint[0, :, 0].sum()) / float(all_reduce_sum(pixels))
    return _Measured(bits, -np.diff(errors[: channels + 1]), float(errors[0]), errors[channels + 1 :])


def _relaxed(task: CodecTask, latent: Tensor, finenesses: Sequence[float]) -> Iterator[Tensor]:
    """Yield a latent (B, D, h, w) as the relaxed quantizer restores it at each fineness, one by one to save memory."""
    kept = torch.full((len(latent),), task.quantizer.channels, device=latent.device)
    for fineness in finenesses:
        finenesses_B = torch.full((len(latent),), fineness, device=latent.device)
        yield task.quantizer.relaxed(latent, task.prior, kept, finenesses_B).latent


def _joint_counts(symbols: Tensor, modes: Tensor, alphabet: int) -> Tensor:
    """Count pairs of symbols (B, C, h, w) of two channels at one position: (C, sides, C, S).

    The first channel is reduced to three sides: below, at or above its most frequent symbol, modes (C,).
    """
    channels = symbols.shape[1]
    flat_CN = symbols.transpose(0, 1).flatten(1)
    one_hot_CSN = torch.zeros(channels, alphabet, flat_CN.shape[1], device=symbols.device)
    one_hot_CSN.scatter_(1, flat_CN[:, None], 1.0)
    side_CN = (flat_CN > modes[:, None]).long() - (flat_CN < modes[:, None]).long() + 1
    side_CTN = torch.zeros(channels, _SIDES, flat_CN.shape[1], device=symbols.device).scatter_(1, side_CN[:, None], 1.0)
    return (side_CTN.flatten(0, 1) @ one_hot_CSN.flatten(0, 1).T).view(channels, _SIDES, channels, alphabet)


def _entropies(counts: Tensor) -> Floats:
    """Bits per symbol (C,), given the side of the earlier channel that reduces them most; counts: (C, sides, C, S)."""
    found = torch.zeros(counts.shape[2], dtype=torch.float64)
    for c in range(len(found)):
        counts_CTS = counts[: max(1, c), :, c].double()
        total = counts_CTS[0].sum().clamp_min(1)
        if c == 0:
            counts_CTS = counts_CTS.sum(1, keepdim=True)
        both, sides = (torch.special.entr(each / total).flatten(1).sum(1) for each in (counts_CTS, counts_CTS.sum(2)))
        # rounding errors can make an entropy of 0 negative
        found[c] = (both - sides).min().clamp_min(0) / math.log(2)
    return found.numpy()


def _can_be_ordered(task: CodecTask) -> bool:
    return not (task.prior is not None and task.prior.knows_channels) and not task.lacking("select_channels")


def _reorder(task: CodecTask, order: list[int]) -> None:
    """Reorder channels in place, because optimizers refer to the parameters."""
    for module in (task.quantizer, task.prior):
        if module is not None:
            ordered = deepcopy(module)
            ordered.select_channels(order)
            module.load_state_dict(ordered.state_dict())


def parents_first(order: list[int], parents: Sequence[int]) -> list[int]:
    """Return an order of channels in which each comes after its parent (`Refinement`).

    order: the preferred order of the channels.
    parents: the parent of each channel, or −1.

    A parent that comes too late is moved to _AHEAD positions before its child, so that other channels lie between them
    and all of these can be coded at once.
    """
    rank = np.empty(len(order))
    rank[order] = np.arange(len(order))
    for channel in sorted(range(len(order)), key=lambda c: -_depth(c, parents)):
        parent = parents[channel]
        if parent >= 0 and rank[parent] > rank[channel]:
            rank[parent] = rank[channel] - _AHEAD
    found: list[int] = np.argsort(rank, kind="stable").tolist()
    return found


def _depth(channel: int, parents: Sequence[int]) -> int:
    """The number of ancestors of a channel."""
    depth = 0
    while (channel := parents[channel]) >= 0:
        depth += 1
    return depth


def _fineness_of(errors: Floats, relaxed_errors: Floats) -> Floats:
    """The finenesses at which the relaxed quantizer has these errors."""
    falling = np.minimum.accumulate(relaxed_errors)
    least = 1e-12 * float(errors[0])
    finenesses = np.linspace(0, 1, len(falling))
    found: Floats = np.interp(-np.log(np.maximum(errors, least)), -np.log(np.maximum(falling, least)), finenesses)
    found[-1] = 1.0
    return found
