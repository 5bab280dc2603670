"""A training step on MNIST, relative to one that is written like published research code."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from measure import Row, times
from omega_core.architectures.mnist import MnistArchitecture
from omega_train.data.batches import Batch
from omega_train.rate_sampling import draw_rates
from omega_train.recipe import load_recipe
from omega_train.task import CodecTask

BATCH = 512


class ResearchCode(nn.Module):
    """One-hot tensors through convolutions, and a prior net that is evaluated for every image."""

    def __init__(self, dims: int = 32, channels: int = 8, alphabet: int = 256) -> None:
        super().__init__()
        self.channels, self.alphabet = channels, alphabet
        self.architecture = MnistArchitecture(latent_channels=dims)
        self.quantize = nn.Conv2d(dims, channels * alphabet, 1)
        self.dequantize = nn.Conv2d(channels * alphabet, dims, 1)
        self.prior = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, channels * alphabet, 1))
        self.temperature = nn.Parameter(torch.full((channels, 1, 1, 1), 100.0))
        self.prior_temperature = nn.Parameter(torch.full((channels, 1, 1, 1), 1.0))

    def forward(self, image: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstruction and the bits of each image."""
        latent = torch.relu(self.architecture.analysis(image))
        distance = self.quantize(latent).unflatten(1, (self.channels, self.alphabet)).abs()
        soft = torch.softmax(-self.temperature * distance, dim=2)
        hard = functional.one_hot(distance.argmin(dim=2), self.alphabet).movedim(-1, 2).to(soft.dtype)
        mask = (torch.arange(self.channels) < kept[:, None])[:, :, None, None, None]
        one_hot = (hard + soft - soft.detach()) * mask
        logits = self.prior(torch.ones(len(image), 1, *latent.shape[2:])).unflatten(1, (self.channels, self.alphabet))
        probability = torch.softmax(-self.prior_temperature * logits.abs(), dim=2)
        bits = (one_hot * -torch.log2(probability.clamp_min(1e-9))).sum(dim=(1, 2, 3, 4))
        restored = torch.relu(self.dequantize(one_hot.flatten(1, 2)))
        return self.architecture.synthesis(restored, 28, 28), bits


def rows() -> Iterator[Row]:
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (BATCH, 1, 28, 28), generator=random, dtype=torch.uint8)
    batch = Batch(pixels, torch.arange(BATCH), 0)
    task, research = CodecTask(load_recipe("mnist-omega-8")), ResearchCode()
    ours, theirs = task.configure_optimizers(), torch.optim.Adam(research.parameters(), lr=1e-3, weight_decay=1e-5)

    def our_step() -> None:
        ours.zero_grad()
        torch.autograd.backward(task.training_step(batch, 0))
        ours.step()

    def their_step() -> None:
        theirs.zero_grad()
        rates, image = draw_rates(task.recipe, batch), pixels / 255
        restored, bits = research(image, rates.kept)
        mse = ((restored - image) / 0.5).square().mean(dim=(1, 2, 3))
        torch.autograd.backward((rates.lambda_ * mse + (1 - rates.lambda_) * bits / 784).mean())
        theirs.step()

    mine, others = times(our_step, their_step, rounds=5)
    yield Row("training step, mnist-omega-8, batch 512", "research code", mine, others, 1 / 6)
