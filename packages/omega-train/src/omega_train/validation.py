"""How good a codec is while it is trained, at the channel counts at which its files can be cut."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from omega_core.contracts.dataset import Images
from omega_core.errors import OmegaWarning
from omega_train.data.arrays import ArrayImages
from omega_train.distributed import rank, summed, world_size
from omega_train.reading import reader, stop_reading
from omega_train.sampling import BatchedImages, rates_at, shares
from omega_train.task import CodecTask, channel_bits, symbol_counts

BATCH_PIXELS = 500 * 28 * 28  # at a time, whatever the size of the images


@dataclass(frozen=True)
class Score:
    """At one channel count: λ, the loss with it, MSE on normalised images, bpp, and mean PSNR in dB."""

    channels: int
    weight: float
    loss: float
    mse: float
    bpp: float
    psnr: float


@dataclass(frozen=True)
class Validation:
    """What validation found.

    loss: what training minimises: each channel count is scored with its own λ, and weighs as often as
        training draws it or one since the count before.
    scores: at each count.
    dead_symbols: the share of all symbols that were never chosen.
    dead_channels: the share of channels that always have the same symbol.
    """

    loss: float
    scores: Sequence[Score]
    dead_symbols: float
    dead_channels: float


@torch.no_grad()
def validate(task: CodecTask, images: Images, workers: int = 0) -> Validation:
    """Score a task on images it was not trained with; several processes share them, workers read for each."""
    counts, f, weights = shares(task.recipe)
    lambdas = rates_at(task.recipe, torch.from_numpy(f)).weight.tolist()
    was_training = task.training
    task.eval()
    totals = torch.zeros(len(counts), 3, dtype=torch.float64, device=task.device)
    has_alphabet = task.quantizer.needs_prior
    chosen = torch.zeros(
        (task.quantizer.channels, task.quantizer.alphabet) if has_alphabet else (1, 1),
        dtype=torch.int64,
        device=task.device,
    )
    for image in batches(task, images, workers=workers):
        symbols = task.quantizer.symbols(task.architecture.analysis(image))
        totals += _sums(task, image, symbols, counts)
        if has_alphabet:
            chosen += symbol_counts(symbols, all_of(task, image), task.quantizer.alphabet)
    task.train(was_training)
    means = (summed(totals) / len(images)).tolist()
    used = summed(chosen) > 0
    scores = []
    for n, weight, (mse, bpp, psnr) in zip(counts, lambdas, means, strict=True):
        scores.append(Score(n, weight, weight * mse + (1 - weight) * bpp, mse, bpp, psnr))
    return Validation(
        loss=float(np.dot(weights, [score.loss for score in scores])),
        scores=scores,
        dead_symbols=1 - float(used.float().mean()) if has_alphabet else 0.0,
        dead_channels=float((used.sum(dim=1) < 2).float().mean()) if has_alphabet else 0.0,
    )


def _sums(task: CodecTask, image: Tensor, symbols: Tensor, counts: list[int]) -> Tensor:
    """MSE, bpp and PSNR at each channel count, summed over a batch (B, colours, H, W)."""
    height, width = image.shape[2:]
    bits_BC = channel_bits(task.prior, symbols)
    sums = []
    for n in counts:
        restored = task.architecture.synthesis(task.quantizer.latent(symbols[:, :n]).to(image.dtype), height, width)
        seen = (restored.clamp(0, 1) * 255).round() - image * 255
        noise = seen.square().mean(dim=(1, 2, 3)).clamp_min(1e-3)
        mse = task.distortion(restored, image)
        bpp = bits_BC[:, :n].sum(dim=1) / (height * width)
        sums.append(torch.stack([mse.sum(), bpp.sum(), (10 * (255**2 / noise).log10()).sum()]).double())
    return torch.stack(sums)


def all_of(task: CodecTask, image: Tensor) -> Tensor:
    """Kept (B,), where all channels are."""
    return torch.full((len(image),), task.quantizer.channels, device=image.device)


def batches(task: CodecTask, images: Images, *, most: int | None = None, workers: int = 0) -> Iterator[Tensor]:
    """Images as floats (≤ B, colours, H, W) on the task's device, in order; of several processes, each its share.

    Those that are augmented are as they were for the first step, whenever they are asked for.
    most: how many images at the most, evenly taken; all if None. workers: processes that read them.
    """
    size = _batch_size(images)
    step = 1 if most is None else -(-len(images) // most)
    mine = range(0, len(images), step)[rank() :: world_size()]
    parts = [[(0, i) for i in mine[start : start + size]] for start in range(0, len(mine), size)]
    held = isinstance(images, ArrayImages)
    batched = BatchedImages(images, task.recipe.seed)
    reading = iter(reader(batched, parts, 0 if held else min(workers, len(parts))))
    try:
        for batch in reading:
            for remark in batch.remarks:
                warnings.warn(remark, OmegaWarning, stacklevel=2)
            image = batch.pixels.to(task.device).to(task.dtype) / 255
            yield image.contiguous(memory_format=torch.channels_last)
    finally:
        stop_reading(reading)


def _batch_size(images: Images) -> int:
    pixels: int = images.load(0, 0)[0].size
    return max(1, BATCH_PIXELS // pixels)


@torch.no_grad()
def recount(task: CodecTask, images: Images, workers: int = 0) -> None:
    """Show a prior that counts the whole training set, each picture once."""
    if task.prior is None or not task.prior.observes:
        return
    was_training = task.training
    task.eval()
    task.prior.recount()
    rounds = 0
    for image in batches(task, images, workers=workers):
        symbols, kept = task.quantizer.symbols(task.architecture.analysis(image)), all_of(task, image)
        task.prior.observe(symbols, kept)
        rounds += 1
    most = -(-len(images) // world_size())
    if rounds < -(-most // _batch_size(images)):  # others have one more, and a prior that counts may wait for all
        task.prior.observe(symbols[:0], kept[:0])
    task.train(was_training)
