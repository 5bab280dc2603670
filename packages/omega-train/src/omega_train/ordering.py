"""Which channels a trained model keeps, and in which order."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch

from omega_core.codec.image_codec import ImageCodec
from omega_core.contracts.dataset import Images
from omega_train.distributed import all_reduce_sum
from omega_train.rates import rates_at
from omega_train.recipe import Recipe
from omega_train.task import CodecTask
from omega_train.validation import batches

PICTURES = 64
POINTS = 64  # of the curve of another order
SIDE = 128  # pixels, of the middle of a picture that is looked at: every prefix of the channels is decoded


@dataclass(frozen=True)
class Curve:
    """What the first n channels of some order come to, for rising n from 0 on: MSE on normalized images, and bpp."""

    counts: Sequence[int]
    mse: Sequence[float]
    bpp: Sequence[float]

    def at(self, counts: Sequence[int]) -> "Curve":
        """Some of its counts."""
        places = [self.counts.index(n) for n in counts]
        return Curve(counts, [self.mse[place] for place in places], [self.bpp[place] for place in places])

    def loss(self, recipe: Recipe) -> float:
        """The loss over the rates that a recipe trains for, each between those of two channel counts."""
        f = (np.arange(1000) + 0.5) / 1000 if recipe.adaptive else np.ones(1)
        rates = rates_at(recipe, torch.from_numpy(f**recipe.draw_exponent))
        n, weight = rates.kept.numpy(), rates.weight.numpy()
        mse, bpp = (np.interp(n, self.counts, numbers) for numbers in (self.mse, self.bpp))
        return float(np.mean(weight * mse + (1 - weight) * bpp))


@torch.no_grad()
def sort_channels(task: CodecTask, images: Images, workers: int = 0) -> str:
    """Sort the channels of a task by what a bit of each takes away from the distortion, and drop those not worth it.

    A channel is worth it if λ·ΔMSE is more than (1 − λ)·Δbpp, λ being that of the most channels. The order of
    training stays if no other is better on some training images. Returns what was done, for people.
    """
    recipe, everything = task.recipe, list(range(task.quantizer.channels))
    was_training = task.training
    task.eval()
    before = _curve(task, images, everything, len(everything), workers)
    gains, costs = -np.diff(before.mse), np.diff(before.bpp)
    ranked = sorted(everything, key=lambda c: -float(gains[c]) / max(float(costs[c]), 1e-9))
    worth = int(np.sum(recipe.lambda_max * gains > (1 - recipe.lambda_max) * costs))
    by_gain = ranked[: max(1, worth, recipe.channels_min if recipe.adaptive else 1)]
    kept = sorted(by_gain)
    first_loss = before.at(_counts(len(everything), POINTS)).loss(recipe)
    best, best_loss = everything, first_loss
    for order in (kept, by_gain):
        loss = _curve(task, images, order, POINTS, workers).loss(recipe)
        if loss < best_loss * (1 - 1e-6):  # rounding makes no order better
            best, best_loss = order, loss
    if best != everything:
        task.quantizer.select_channels(best)
        if task.prior is not None:
            task.prior.select_channels(best)
    task.train(was_training)
    if best == everything:
        return f"all {len(everything)} channels stay, in the order of training"
    return (
        f"{len(everything) - len(best)} of {len(everything)} channels dropped,"
        f" {'sorted' if best == by_gain else 'in the order of training'};"
        f" loss on training images {best_loss:.5f}, before {first_loss:.5f}"
    )


def _curve(task: CodecTask, images: Images, order: Sequence[int], points: int, workers: int) -> Curve:
    """Distortion and rate of up to so many prefixes of an order of the channels, and of none, on some images."""
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
    """0 and up to so many numbers of channels, evenly spaced."""
    counts: list[int] = np.unique(np.linspace(0, channels, min(points, channels) + 1).round().astype(int)).tolist()
    return counts


def _middle(image: torch.Tensor) -> torch.Tensor:
    """The middle of an image (B, colors, H, W), up to SIDE pixels a side."""
    top, left = (max(0, size - SIDE) // 2 for size in image.shape[2:])
    return image[:, :, top : top + SIDE, left : left + SIDE]
