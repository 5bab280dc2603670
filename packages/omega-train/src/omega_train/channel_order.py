"""Sorting the channels of a trained model by the distortion that they remove per bit, and dropping some."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch

from omega_core.codec.image_codec import ImageCodec
from omega_core.contracts.dataset import Images
from omega_train.distributed import all_reduce_sum
from omega_train.rate_sampling import rates_at
from omega_train.recipe import Recipe
from omega_train.task import CodecTask, in_evaluation_mode
from omega_train.validation import batches

PICTURES = 64  # maximum number of pictures that are measured
POINTS = 64  # maximum number of prefixes of a new order that are measured
SIDE = 128  # side in pixels of the middle of each picture, which is decoded at every prefix


@dataclass(frozen=True)
class Curve:
    """Distortion and rate of prefixes of an order of the channels.

    counts: ascending numbers of channels, from 0. mse, bpp: MSE on normalized images, and rate, at each count.
    """

    counts: Sequence[int]
    mse: Sequence[float]
    bpp: Sequence[float]

    def loss(self, recipe: Recipe) -> float:
        """The mean loss over the rates that a recipe trains for, interpolated between channel counts."""
        f = (np.arange(1000) + 0.5) / 1000 if recipe.adaptive else np.ones(1)
        rates = rates_at(recipe, torch.from_numpy(f**recipe.draw_exponent))
        n, lambda_ = rates.kept.numpy(), rates.lambda_.numpy()
        mse, bpp = (np.interp(n, self.counts, numbers) for numbers in (self.mse, self.bpp))
        return float(np.mean(lambda_ * mse + (1 - lambda_) * bpp))


@in_evaluation_mode
def sort_channels(task: CodecTask, images: Images, workers: int = 0) -> str:
    """Sort the channels of a task by the distortion that each removes per bit, and drop those not worth their rate.

    A channel is worth its rate if λ_max·ΔMSE > (1 − λ_max)·Δbpp. The order of training is kept unless another order
    has a lower loss. If the prior was trained for this order (`Prior.knows_channels`), all channels are kept in it.

    task: changed in place. images: the training images, of which up to 64 are measured; several processes share them.
    workers: the number of processes that read the images; 0 reads them in this process.

    Returns text for the log about the result.
    """
    recipe, everything = task.recipe, list(range(task.quantizer.channels))
    if task.prior is not None and task.prior.knows_channels:
        return f"all {len(everything)} channels stay, in the order that the prior {recipe.prior} was trained for"
    before = _curve(task, images, everything, len(everything), workers)
    gains, costs = -np.diff(before.mse), np.diff(before.bpp)
    ranked = sorted(everything, key=lambda c: -float(gains[c]) / max(float(costs[c]), 1e-9))
    worth = int(np.sum(recipe.lambda_max * gains > (1 - recipe.lambda_max) * costs))
    by_gain = ranked[: max(1, worth, recipe.channels_min if recipe.adaptive else 1)]
    kept = sorted(by_gain)
    counts = _counts(len(everything), POINTS)  # the loss of each order uses up to POINTS counts
    first_loss = Curve(counts, [before.mse[n] for n in counts], [before.bpp[n] for n in counts]).loss(recipe)
    best, best_loss = everything, first_loss
    for order in (kept, by_gain):
        loss = _curve(task, images, order, POINTS, workers).loss(recipe)
        if loss < best_loss * (1 - 1e-6):  # the difference exceeds rounding errors
            best, best_loss = order, loss
    if best != everything:
        task.quantizer.select_channels(best)
        if task.prior is not None:
            task.prior.select_channels(best)
    if best == everything:
        return f"all {len(everything)} channels stay, in the order of training"
    return (
        f"{len(everything) - len(best)} of {len(everything)} channels dropped,"
        f" {'sorted' if best == by_gain else 'in the order of training'};"
        f" loss on training images {best_loss:.5f}, before {first_loss:.5f}"
    )


def _curve(task: CodecTask, images: Images, order: Sequence[int], points: int, workers: int) -> Curve:
    """Measure up to `points` prefixes of an order of the channels, and the empty one, on some images."""
    counts = _counts(len(order), points)
    quantizer = deepcopy(task.quantizer)
    quantizer.select_channels(order)
    selected = ImageCodec(task.architecture, quantizer)
    errors = torch.zeros(len(counts), dtype=torch.float64, device=task.device)
    bits = torch.zeros(len(order), dtype=torch.float64, device=task.device)
    seen = torch.zeros(2, dtype=torch.float64, device=task.device)
    for whole in batches(task, images, most=PICTURES, workers=workers):
        image = whole if task.architecture.image_size else _middle(whole)
        height, width = image.shape[2:]
        symbols = selected.encode_symbols(image)
        all_of_them = symbols.new_zeros((len(image), task.quantizer.channels, *symbols.shape[2:]))
        all_of_them[:, list(order)] = symbols
        bits += task.codec.channel_bits(all_of_them)[:, list(order)].sum(dim=0)
        for number, n in enumerate(counts):
            restored = selected.decode_symbols(symbols[:, :n], height, width)
            errors[number] += task.distortion(restored, image).sum()
        seen += torch.tensor([len(image), len(image) * height * width], device=task.device)
    pictures, pixels = all_reduce_sum(seen).tolist()
    rate = [0.0, *accumulate((all_reduce_sum(bits) / pixels).tolist())]
    return Curve(counts, (all_reduce_sum(errors) / pictures).tolist(), [rate[n] for n in counts])


def _counts(channels: int, points: int) -> list[int]:
    """0 and up to `points` numbers of channels, evenly spaced."""
    counts: list[int] = np.unique(np.linspace(0, channels, min(points, channels) + 1).round().astype(int)).tolist()
    return counts


def _middle(image: torch.Tensor) -> torch.Tensor:
    """The middle of an image (B, colors, H, W), up to SIDE pixels a side."""
    top, left = (max(0, size - SIDE) // 2 for size in image.shape[2:])
    return image[:, :, top : top + SIDE, left : left + SIDE]
