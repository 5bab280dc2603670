"""The codec as Lightning trains it.

image ─analysis→ y ─quantizer(y, prior, n)→ y_hat, bits ─synthesis→ image_hat
loss = mean over samples of λ·MSE + (1 − λ)·bpp, MSE on normalised images
"""

from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from omega_core.contracts.architecture import Architecture
from omega_core.contracts.prior import Prior
from omega_core.contracts.quantizer import Quantizer
from omega_core.errors import ComponentError
from omega_core.registry import build, resolve
from omega_core.tables import MAX_ALPHABET
from omega_train.recipe import Recipe
from omega_train.sampling import Batch, draw_rates, noise_seeds


class CodecTask(LightningModule):
    """Architecture, quantizer and prior of a recipe, with its loss and optimizer.

    Raises ComponentError if a component is unknown or does not take its options.
    """

    prior: Prior | None

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.architecture = cast(
            Architecture,
            build(
                "architecture",
                recipe.architecture,
                recipe.architecture_options,
                latent_channels=recipe.latent_channels,
            ),
        )
        self.quantizer = cast(
            Quantizer,
            build(
                "quantizer",
                recipe.quantizer,
                recipe.quantizer_options,
                latent_channels=recipe.latent_channels,
                channels=recipe.channels,
                alphabet=recipe.symbols,
            ),
        )
        self.prior = None
        if self.quantizer.needs_prior:
            size = self.architecture.image_size
            self.prior = cast(
                Prior,
                build(
                    "prior",
                    recipe.prior,
                    recipe.prior_options,
                    channels=recipe.channels,
                    alphabet=self.quantizer.alphabet,
                    lowest=self.quantizer.lowest,
                    latent_size=size and self.architecture.latent_size(*size),
                ),
            )
            if self.quantizer.alphabet > MAX_ALPHABET:
                raise ComponentError(f"{self.quantizer.alphabet} symbols are more than the {MAX_ALPHABET} of a table.")
            if self.quantizer.needs_likelihood and type(self.prior).likelihood is Prior.likelihood:
                raise ComponentError(
                    f"the quantizer {recipe.quantizer} needs a prior with a likelihood of real values, such as"
                    f" factorized; the prior {recipe.prior} has none."
                )
        resolve("coder", self.coder)
        self.last: dict[str, Tensor] = {}

    @property
    def coder(self) -> str:
        """The recipe's or, where symbols have no probabilities, `raw`."""
        return self.recipe.coder if self.quantizer.needs_prior else "raw"

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """The loss of a batch; what it is made of is left in `last`."""
        rates = draw_rates(self.recipe, batch)
        self.quantizer.sample_seeds = noise_seeds(self.recipe, batch)
        image = batch.pixels.to(self.dtype) / 255
        height, width = image.shape[2:]
        quantized = self.quantizer(self.architecture.analysis(image), self.prior, rates.kept)
        restored = self.architecture.synthesis(quantized.latent, height, width)
        error = self.architecture.normalise(restored.float()) - self.architecture.normalise(image)
        mse = error.square().mean(dim=(1, 2, 3))
        bpp = quantized.bits / (height * width)
        loss: Tensor = (rates.weight * mse + (1 - rates.weight) * bpp).mean()
        if self.prior is not None and self.prior.observes:
            self.prior.observe(quantized.symbols, rates.kept)
        self.last = {"loss": loss.detach(), "mse": mse.detach().mean(), "bpp": bpp.detach().mean()}
        return loss

    def configure_optimizers(self) -> Any:
        """Adam; weight decay for matrices and kernels only, as it would wear down a temperature."""
        parameters = [p for p in self.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.recipe.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.Adam(groups, lr=self.recipe.learning_rate)
