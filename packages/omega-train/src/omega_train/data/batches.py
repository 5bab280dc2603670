"""Batches of training: which samples they have, and what is random about their pictures.

All of it follows from seed, step and sample, and nothing has a state. So a run that is resumed, even in the middle of
an epoch, goes on exactly, and several processes do together what one would do.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from omega_core.contracts.dataset import Images
from omega_core.contracts.quantizer import hashed
from omega_core.errors import OmegaWarning
from omega_train.data.photos import FolderImages

_ORDER, RATE, NOISE, _PICTURE = range(4)  # what is drawn


@dataclass
class Batch:
    """What a step of training takes.

    pixels: (B, colors, H, W), uint8. samples: (B,), their numbers in the data set. step: of training.
    remarks: what was wrong with pictures.
    """

    pixels: Tensor
    samples: Tensor
    step: int
    remarks: tuple[str, ...] = ()

    def to(self, device: torch.device, non_blocking: bool = False) -> "Batch":
        """The batch on a device."""
        pixels = self.pixels.to(device, non_blocking=non_blocking)
        return Batch(pixels, self.samples.to(device, non_blocking=non_blocking), self.step, self.remarks)

    def pin_memory(self) -> "Batch":
        """The batch in memory from which a GPU copies while others work; a DataLoader calls this."""
        return Batch(self.pixels.pin_memory(), self.samples.pin_memory(), self.step, self.remarks)


class StepSampler(Sampler[list[tuple[int, int]]]):
    """The batches of training from a step on, without end, as lists of (step, sample).

    Each epoch shuffles anew and leaves out what does not fill a batch. Of `processes` processes, each
    takes its share of a batch that is `processes` times as large.
    """

    def __init__(self, *, size: int, batch: int, seed: int, first: int, process: int = 0, processes: int = 1) -> None:
        self.size, self.batch, self.seed, self.first = size, batch, seed, first
        self.process, self.processes = process, processes

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        whole = self.batch * self.processes
        steps = self.size // whole
        step = self.first
        while True:
            epoch, place = divmod(step, steps)
            order = np.random.default_rng([self.seed, _ORDER, epoch]).permutation(self.size)
            for start in range(place * whole, steps * whole, whole):
                chosen = order[start : start + whole][self.process :: self.processes]
                yield [(step, sample) for sample in chosen.tolist()]
                step += 1


class BatchedImages(Dataset[Batch]):
    """Pictures as batches for a DataLoader."""

    def __init__(self, images: Images, seed: int) -> None:
        self.images, self.seed = images, seed

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> Batch:
        samples = torch.tensor([sample for _, sample in keys])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", OmegaWarning)
            pixels = [self.images.load(sample, seed) for sample, seed in _seeded(self.seed, keys)]
        remarks = tuple(str(each.message) for each in caught)
        return Batch(torch.from_numpy(np.stack(pixels)), samples, keys[0][0], remarks)


class HeldImages:
    """Pictures that are all in memory, that of a device if one is given, as batches."""

    def __init__(self, pixels: NDArray[np.uint8], sampler: StepSampler, device: torch.device) -> None:
        self.pixels, self.sampler = torch.tensor(pixels, device=device), sampler

    def __iter__(self) -> Iterator[Batch]:
        for keys in self.sampler:
            samples = torch.tensor([sample for _, sample in keys], device=self.pixels.device)
            yield Batch(self.pixels[samples], samples, keys[0][0])


class HeldPhotos:
    """Crops of photos that are all in the memory of a device, as batches; the same as `BatchedImages` makes of them.

    images: whose crops are slices of pictures that they hold.

    Where crops are is drawn here; they are cut there, all of a batch at once.
    """

    def __init__(self, images: FolderImages, seed: int, sampler: StepSampler, device: torch.device) -> None:
        self.images, self.seed, self.sampler = images, seed, sampler
        sizes = [images.held[number].size for number in range(len(images.paths))]
        self.first = [0, *accumulate(sizes)]
        self.pixels = torch.empty(self.first[-1], dtype=torch.uint8, device=device)
        for number, (first, end) in enumerate(pairwise(self.first)):
            self.pixels[first:end] = torch.from_numpy(images.held[number].reshape(-1))

    def __iter__(self) -> Iterator[Batch]:
        device, crop = self.pixels.device, self.images.crop
        across, colors = torch.arange(crop, device=device), torch.arange(self.images.colors, device=device)
        for keys in self.sampler:
            steps = [self._steps(sample, seed) for sample, seed in _seeded(self.seed, keys)]
            first, plane, down, right = torch.tensor(steps, device=device).T[..., None, None, None]
            places_BCHW = first + plane * colors[:, None, None] + down * across[:, None] + right * across
            samples = torch.tensor([sample for _, sample in keys], device=device)
            yield Batch(self.pixels[places_BCHW], samples, keys[0][0])

    def _steps(self, sample: int, seed: int) -> tuple[int, int, int, int]:
        """Where the first pixel of a crop is, and how far it is from there to the next color, row and column."""
        number, cut = self.images.cut(sample, seed)
        height, width = self.images.held[number].shape[1:]
        first, down, right = self.first[number] + cut.top * width + cut.left, width, 1
        last = self.images.crop - 1
        if cut.mirrored:
            first, right = first + last * right, -right
        for _ in range(cut.turns):  # the new first pixel is the last of the first row
            first, down, right = first + last * right, -right, down
        return first, height * width, down, right


def _seeded(seed: int, keys: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The samples of a batch, each with the seed of what is random about its picture at this step."""
    steps, samples = torch.tensor(keys).T
    seeds = draws(seed, _PICTURE, steps, samples) & 0x7FFFFFFF
    return zip(samples.tolist(), seeds.tolist(), strict=True)


def draws(seed: int, purpose: int, steps: Tensor, samples: Tensor) -> Tensor:
    """64 random bits (B,) for each of samples (B,) at steps () or (B,), other ones for each purpose."""
    device = samples.device
    return hashed(torch.tensor(seed, device=device), torch.tensor(purpose, device=device), steps.to(device), samples)
