"""How good a codec is while it is trained, at the channel counts at which its files can be cut."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from omega_core.contracts.dataset import Images
from omega_train.sampling import rates_at, shares
from omega_train.task import CodecTask

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


@torch.no_grad()
def validate(task: CodecTask, images: Images) -> tuple[float, list[Score]]:
    """The loss that training minimises, on other images, and what it is at each channel count.

    Each count is scored with its own λ, and weighs as often as training draws it or one since the count before.
    """
    counts, f, weights = shares(task.recipe)
    lambdas = rates_at(task.recipe, torch.from_numpy(f)).weight.tolist()
    was_training = task.training
    task.eval()
    totals = torch.zeros(len(counts), 3, dtype=torch.float64)
    for image in batches(task, images):
        totals += _sums(task, image, counts)
    task.train(was_training)
    scores = []
    for n, weight, (mse, bpp, psnr) in zip(counts, lambdas, (totals / len(images)).tolist(), strict=True):
        scores.append(Score(n, weight, weight * mse + (1 - weight) * bpp, mse, bpp, psnr))
    return float(np.dot(weights, [score.loss for score in scores])), scores


def _sums(task: CodecTask, image: Tensor, counts: list[int]) -> Tensor:
    """MSE, bpp and PSNR at each channel count, summed over a batch (B, colours, H, W)."""
    height, width = image.shape[2:]
    symbols = task.quantizer.symbols(task.architecture.analysis(image))
    bits_BC = channel_bits(task, symbols)
    sums = []
    for n in counts:
        restored = task.architecture.synthesis(task.quantizer.latent(symbols[:, :n]), height, width)
        error = task.architecture.normalise(restored) - task.architecture.normalise(image)
        seen = (restored.clamp(0, 1) * 255).round() - image * 255
        noise = seen.square().mean(dim=(1, 2, 3)).clamp_min(1e-3)
        mse = error.square().mean(dim=(1, 2, 3))
        bpp = bits_BC[:, :n].sum(dim=1) / (height * width)
        sums.append(torch.stack([mse.sum(), bpp.sum(), (10 * (255**2 / noise).log10()).sum()]).double().cpu())
    return torch.stack(sums)


def channel_bits(task: CodecTask, symbols: Tensor) -> Tensor:
    """The bits of each channel (B, C) of symbols (B, C, h, w) under the prior as it is."""
    if task.prior is None:
        return torch.zeros(symbols.shape[:2], device=symbols.device)
    lengths_CTS = task.prior.code_lengths(*symbols.shape[2:])
    flat_CPB = symbols.flatten(2).permute(1, 2, 0)
    lengths_CPB = lengths_CTS.expand(-1, flat_CPB.shape[1], -1).gather(2, flat_CPB)
    return lengths_CPB.sum(dim=1).T


def batches(task: CodecTask, images: Images) -> Iterator[Tensor]:
    """Images as floats (≤ B, colours, H, W) on the task's device, in order."""
    size = max(1, BATCH_PIXELS // images.load(0, 0)[0].size)
    for start in range(0, len(images), size):
        pixels = [images.load(i, 0) for i in range(start, min(start + size, len(images)))]
        yield torch.from_numpy(np.stack(pixels)).to(task.device).float() / 255


@torch.no_grad()
def recount(task: CodecTask, images: Images) -> None:
    """Show a prior that counts the whole training set, unchanged."""
    if task.prior is None or not task.prior.observes:
        return
    was_training = task.training
    task.eval()
    task.prior.recount()
    for image in batches(task, images):
        symbols = task.quantizer.symbols(task.architecture.analysis(image))
        task.prior.observe(symbols, torch.full((len(image),), task.recipe.channels, device=symbols.device))
    task.train(was_training)
