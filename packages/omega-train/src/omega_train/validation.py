"""Validation of a codec during training, at up to 32 channel counts."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omega_core.coding.tables import MISSING
from omega_core.contracts import implements
from omega_core.contracts.dataset import Images
from omega_core.contracts.prior import Prior
from omega_core.errors import OmegaWarning
from omega_train.data.arrays import ArrayImages
from omega_train.data.batches import BatchedImages
from omega_train.data.reader_processes import reader, start_reading, stop_reading
from omega_train.distributed import all_reduce_sum, rank, world_size
from omega_train.rate_sampling import Rates, rates_at, shares
from omega_train.task import CodecTask, in_evaluation_mode, symbol_counts

FINENESSES = 8  # the number of finenesses at which the relaxed phase is scored
BATCH_PIXELS = 500 * 28 * 28  # maximum number of pixels of a batch


@dataclass(frozen=True)
class Score:
    """The scores at one channel count.

    channels: the count; in the relaxed phase, which has no channels, the count at the same share as the fineness.
    lambda_: λ. loss: λ·MSE + (1 − λ)·bpp, scaled in recipes with a relaxed phase. mse: the MSE of normalized images.
    bpp: the estimated rate. psnr: the mean over images, in dB.
    """

    channels: int
    lambda_: float
    loss: float
    mse: float
    bpp: float
    psnr: float


@dataclass(frozen=True)
class Validation:
    """The result of a validation.

    loss: the expected training loss: the mean of the losses at the counts, each weighted by the probability that
        training draws this count, or a count between it and the previous one.
    scores: the scores at each channel count.
    dead_symbols: the share of all symbols that were never chosen.
    dead_channels: the share of channels that always have the same symbol.
    """

    loss: float
    scores: Sequence[Score]
    dead_symbols: float
    dead_channels: float


@in_evaluation_mode
def validate(task: CodecTask, images: Images, workers: int = 0) -> Validation:
    """Score a task.

    images: the validation images, which several processes share.
    workers: the number of processes that read the images for each; 0 reads them in this process.
    """
    counts, rates, weights = _points(task)
    totals = torch.zeros(len(counts), 3, dtype=torch.float64, device=task.device)
    counted = task.fitted and task.quantizer.needs_prior  # whether there are symbols of an alphabet
    chosen = torch.zeros(
        (task.quantizer.channels, task.quantizer.alphabet) if counted else (1, 1),
        dtype=torch.int64,
        device=task.device,
    )
    for image in batches(task, images, workers=workers):
        if not task.fitted:
            totals += _relaxed_sums(task, image, rates)
            continue
        symbols = task.codec.encode_symbols(image)
        totals += _sums(task, image, symbols, counts)
        if counted:
            chosen += symbol_counts(symbols, task.all_channels(image), task.quantizer.alphabet)
    means = all_reduce_sum(totals) / len(images)
    used = all_reduce_sum(chosen) > 0
    scores = _scores(counts, rates, means)
    return Validation(
        loss=float(np.dot(weights, [score.loss for score in scores])),
        scores=scores,
        dead_symbols=1 - float(used.float().mean()) if counted else 0.0,
        dead_channels=float((used.sum(dim=1) < 2).float().mean()) if counted else 0.0,
    )


def _points(task: CodecTask) -> tuple[list[int], Rates, NDArray[np.float64]]:
    """The channel counts of a validation, their rates, and the weights of their losses."""
    if not task.fitted:
        rates = rates_at(task.recipe, torch.linspace(0, 1, FINENESSES, dtype=torch.float64))
        return rates.kept.tolist(), rates, np.full(FINENESSES, 1 / FINENESSES)
    counts, f, weights = shares(task.recipe)
    if not task.recipe.relaxed_share:
        return counts, rates_at(task.recipe, torch.from_numpy(f)), weights
    kept = torch.tensor(counts, device=task.device)
    up_to = (task.prefix_rates[kept] / task.prefix_rates[-1]).cpu().numpy()
    return counts, task.rates_of(kept), np.diff(up_to ** (1 / task.recipe.draw_exponent), prepend=0.0)


def _scores(counts: Sequence[int], rates: Rates, means: Tensor) -> list[Score]:
    """Scores from channel counts, their rates, and the means (N, 3) of MSE, bpp and PSNR."""
    losses = rates.losses(means[:, 0], means[:, 1])
    rows = zip(counts, rates.lambda_.tolist(), losses.tolist(), *means.T.tolist(), strict=True)
    return [Score(*row) for row in rows]


def _sums_of(task: CodecTask, image: Tensor, restored: Tensor, bits: Tensor) -> Tensor:
    """MSE, bpp and PSNR (3,), summed over a batch (B, colors, H, W), its restored images and their bits (B,)."""
    seen = (restored.clamp(0, 1) * 255).round() - image * 255
    noise = seen.square().mean(dim=(1, 2, 3)).clamp_min(1e-3)
    mse = task.distortion(restored, image)
    return torch.stack([mse.sum(), bits.sum() / image[0, 0].numel(), (10 * (255**2 / noise).log10()).sum()]).double()


def _sums(task: CodecTask, image: Tensor, symbols: Tensor, counts: list[int]) -> Tensor:
    """MSE, bpp and PSNR of the first symbols of files, summed over a batch (B, colors, H, W).

    counts: the numbers of channels; for each, as many symbols are used as these channels have.
    """
    bits, indices = task.codec.coding_order(symbols)
    # if channels are coded one after the other, missing symbols are cut off, which is faster
    by_channel = task.prior is None or not implements(task.prior, Prior, "coding_order")
    sums = []
    for n in counts:
        known = indices < n * symbols[0, 0].numel()
        first = symbols[:, :n] if by_channel else torch.where(known, symbols, MISSING)
        restored = task.codec.decode_symbols(first, image.shape[2], image.shape[3])
        sums.append(_sums_of(task, image, restored, (bits * known).sum(dim=(1, 2, 3))))
    return torch.stack(sums)


def _relaxed_sums(task: CodecTask, image: Tensor, rates: Rates) -> Tensor:
    """MSE, bpp and PSNR at each of some finenesses in the relaxed phase, with the bits of its density, summed."""
    latent = task.codec.analyze(image)
    sums = []
    for fineness, kept in zip(rates.fineness.tolist(), rates.kept.tolist(), strict=True):
        fineness_B, kept_B = (torch.full((len(image),), each, device=task.device) for each in (fineness, kept))
        output = task.codec.relaxed(image, kept_B, fineness_B, latent=latent)
        sums.append(_sums_of(task, image, output.reconstruction, output.bits))
    return torch.stack(sums)


def batches(task: CodecTask, images: Images, *, most: int | None = None, workers: int = 0) -> Iterator[Tensor]:
    """Batches of images as floats in [0, 1] (B, colors, H, W) on the device of the task, in order.

    Augmented images are always those of the first step. Each of several processes has its share.

    task: determines device, precision and seed. images: the images.
    most: the maximum number of images, evenly spaced. Default: all. workers: the number of processes that read them.
    """
    parts = [[(0, i) for i in part] for part in _parts(images, most, rank())]
    held = isinstance(images, ArrayImages)
    batched = BatchedImages(images, task.recipe.seed)
    loader = reader(batched, parts, 0 if held else min(workers, len(parts)))
    started: list[Any] = []
    try:
        for batch in start_reading(loader, started):
            for remark in batch.remarks:
                warnings.warn(remark, OmegaWarning, stacklevel=2)
            yield _floats(task, batch.pixels)
    finally:
        stop_reading(started)


def _floats(task: CodecTask, pixels: Tensor) -> Tensor:
    """Pixels (B, colors, H, W), uint8, as images on the device of a task."""
    image = pixels.to(task.device).to(task.dtype) / 255
    return image.contiguous(memory_format=torch.channels_last)


def _parts(images: Images, most: int | None, process: int) -> list[range]:
    """The indices of the images in the batches of a process. most: see `batches`."""
    mine = range(0, len(images), 1 if most is None else -(-len(images) // most))[process :: world_size()]
    size = max(1, BATCH_PIXELS // images.load(0, 0)[0].size)
    return [mine[start : start + size] for start in range(0, len(mine), size)]


@in_evaluation_mode
def recount(task: CodecTask, images: Images, workers: int = 0, most: int | None = None) -> None:
    """Count a prior from scratch over images, each once; priors that do not count are unchanged.

    task: its prior is changed in place. images: the training images. workers: the number of processes that read them.
    most: the maximum number of images, evenly spaced. Default: all.
    """
    if task.prior is None or not task.prior.observes:
        return
    task.prior.recount()
    for image in batches(task, images, most=most, workers=workers):
        task.prior.observe(task.codec.encode_symbols(image), task.all_channels(image))
    # other processes may have one more batch, and `observe` may wait for all processes
    if rank() and len(_parts(images, most, rank())) < len(_parts(images, most, 0)):
        image = _floats(task, torch.from_numpy(images.load(0, 0)[None]))
        task.prior.observe(task.codec.encode_symbols(image)[:0], task.all_channels(image)[:0])
