"""Batches of training: the order of samples and their random augmentation.

Both are functions of seed, step and sample, without any state. Therefore a run is resumed exactly, even in the middle
of an epoch, and several processes train like one.
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
from omega_core.errors import OmegaWarning, RecipeError
from omega_train.data.photos import FolderImages

_ORDER, RATE, NOISE, _PICTURE = range(4)  # purposes of random numbers


@dataclass
class Batch:
    """The input of a training step.

    pixels: (B, colors, H, W), uint8. samples: (B,), int64, their indices in the dataset. step: the step, from 0.
    remarks: warnings about pictures that could not be read.
    """

    pixels: Tensor
    samples: Tensor
    step: int
    remarks: tuple[str, ...] = ()

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device, copied asynchronously if it is in pinned memory; Lightning calls this."""
        pixels, samples = (each.to(device, non_blocking=True) for each in (self.pixels, self.samples))
        return Batch(pixels, samples, self.step, self.remarks)

    def pin_memory(self) -> "Batch":
        """The batch in pinned memory, which a GPU copies asynchronously; DataLoader calls this."""
        return Batch(self.pixels.pin_memory(), self.samples.pin_memory(), self.step, self.remarks)


def steps_per_epoch(size: int, batch: int) -> int:
    """The number of whole batches in `size` pictures. Raises RecipeError if there is none."""
    if size < batch:
        raise RecipeError(
            f"a batch of {batch} pictures is more than the {size} training pictures; set a smaller batch-size."
        )
    return size // batch


class StepSampler(Sampler[list[tuple[int, int]]]):
    """An endless sequence of training batches, as lists of (step, sample).

    Each epoch has another order, and leaves out the samples that do not fill a batch.

    size: the number of samples of the dataset. batch: the number of samples of a batch in each process.
    seed: the seed of the order. first: the first step.
    process, processes: the index of this process, and the number of processes; together they have the batches of one
        process with a batch `processes` times as large.

    Raises RecipeError if that batch is larger than the dataset.
    """

    def __init__(self, *, size: int, batch: int, seed: int, first: int, process: int = 0, processes: int = 1) -> None:
        self.size, self.batch, self.seed, self.first = size, batch, seed, first
        self.process, self.processes = process, processes
        self.steps = steps_per_epoch(size, batch * processes)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        whole = self.batch * self.processes
        step = self.first
        while True:
            epoch, within = divmod(step, self.steps)
            order = np.random.default_rng([self.seed, _ORDER, epoch]).permutation(self.size)
            for start in range(within * whole, self.steps * whole, whole):
                chosen = order[start : start + whole][self.process :: self.processes]
                yield [(step, sample) for sample in chosen.tolist()]
                step += 1


class BatchedImages(Dataset[Batch]):
    """Images as a torch dataset of batches, for a DataLoader. seed: the seed of the augmentation."""

    def __init__(self, images: Images, seed: int) -> None:
        self.images, self.seed = images, seed

    def __getitems__(self, keys: Sequence[tuple[int, int]]) -> Batch:
        samples = torch.tensor([sample for _, sample in keys])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", OmegaWarning)
            seeded = _seeded(self.seed, keys)
            together = getattr(self.images, "load_together", None)  # one call is faster over a network
            pixels = together(seeded) if together else [self.images.load(sample, seed) for sample, seed in seeded]
        remarks = tuple(str(each.message) for each in caught)
        return Batch(torch.from_numpy(np.stack(pixels)), samples, keys[0][0], remarks)


class HeldImages:
    """Batches of pictures (N, colors, H, W) that a device holds in its memory."""

    def __init__(self, pixels: NDArray[np.uint8], sampler: StepSampler, device: torch.device) -> None:
        self.pixels, self.sampler = torch.tensor(pixels, device=device), sampler

    def __iter__(self) -> Iterator[Batch]:
        for keys in self.sampler:
            samples = torch.tensor([sample for _, sample in keys], device=self.pixels.device)
            yield Batch(self.pixels[samples], samples, keys[0][0])


class HeldPhotos:
    """Batches of crops of photos that a device holds in its memory; the same batches as those of `BatchedImages`.

    images: images for which `are_slices` is true. seed: the seed of the augmentation. sampler: determines the batches.

    The CPU draws the positions of crops; the device cuts all crops of a batch at once.
    """

    def __init__(self, images: FolderImages, seed: int, sampler: StepSampler, device: torch.device) -> None:
        self.images, self.seed, self.sampler = images, seed, sampler
        sizes = [images.held[number].size for number in range(len(images.paths))]
        self.first = [0, *accumulate(sizes)]
        self.pixels = torch.empty(self.first[-1], dtype=torch.uint8, device=device)
        for number, (first, end) in enumerate(pairwise(self.first)):
            self.pixels[first:end] = torch.from_numpy(images.held[number].reshape(-1))

    def __iter__(self) -> Iterator[Batch]:
        device, crop = self.pixels.device, self.images.crops.side
        across, colors = torch.arange(crop, device=device), torch.arange(self.images.crops.colors, device=device)
        for keys in self.sampler:
            steps = [self._steps(sample, seed) for sample, seed in _seeded(self.seed, keys)]
            first, plane, down, right = torch.tensor(steps, device=device).T[..., None, None, None]
            indices_BCHW = first + plane * colors[:, None, None] + down * across[:, None] + right * across
            samples = torch.tensor([sample for _, sample in keys], device=device)
            yield Batch(self.pixels[indices_BCHW], samples, keys[0][0])

    def _steps(self, sample: int, seed: int) -> tuple[int, int, int, int]:
        """The offset of the first pixel of a crop, and the strides of its colors, rows and columns."""
        number, cut = self.images.held_cut(sample, seed)
        height, width = self.images.held[number].shape[1:]
        first, down, right = self.first[number] + cut.top * width + cut.left, width, 1
        last = self.images.crops.side - 1
        if cut.mirrored:
            first, right = first + last * right, -right
        for _ in range(cut.turns):  # the new first pixel is the last of the first row
            first, down, right = first + last * right, -right, down
        return first, height * width, down, right


def _seeded(seed: int, keys: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The samples of a batch, each with the seed of its augmentation at this step."""
    steps, samples = torch.tensor(keys).T
    seeds = draws(seed, _PICTURE, steps, samples) & 0x7FFFFFFF
    return zip(samples.tolist(), seeds.tolist(), strict=True)


def draws(seed: int, purpose: int, steps: Tensor, samples: Tensor) -> Tensor:
    """64 random bits (B,), int64, for samples (B,) at steps () or (B,), independent for each purpose."""
    device = samples.device
    return hashed(torch.tensor(seed, device=device), torch.tensor(purpose, device=device), steps.to(device), samples)
