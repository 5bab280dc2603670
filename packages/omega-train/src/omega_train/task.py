"""The Lightning module that trains a codec.

image ─ImageCodec, n kept channels→ image_hat, bits
loss = mean over samples of scale·(λ·MSE + `rate_factor`·(1 − λ)·bpp), with MSE on normalized images; see `Rates`

The phase of a step determines which parts are trained and how the quantizer is applied: see `omega_train.phases`.
"""

import math
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from omega_core.codec.image_codec import ImageCodec
from omega_core.contracts import implements
from omega_core.contracts.architecture import Architecture
from omega_core.contracts.prior import Prior
from omega_core.contracts.quantizer import Quantizer
from omega_core.errors import ComponentError, TrainingError
from omega_core.plugins.registry import resolve
from omega_train.data.batches import Batch
from omega_train.distributed import all_reduce_sum
from omega_train.optimizers import build_optimizer
from omega_train.phases import Phase, Phases
from omega_train.rate_sampling import Rates, balanced_rates, draw_rates, draw_shares, noise_seeds
from omega_train.recipe import Recipe

_Measure = TypeVar("_Measure", bound=Callable[..., Any])


class CodecTask(LightningModule):
    """The codec of a recipe, with its loss and optimizer.

    recipe: the names of the components, and all settings.

    Raises ComponentError if a component is unknown, does not take its options, or lacks a method that the recipe needs.
    """

    codec: ImageCodec
    chosen: Tensor
    """(C, S), the number of times each symbol was chosen since the last call of `reset_dead_symbols`."""
    prefix_rates: Tensor
    """(C + 1,), bits per pixel of the first 0 to C channels, measured when the quantizer is fitted; 0 until then.
    Empty if the recipe has no relaxed phase."""
    fitted: bool
    """Whether the quantizer is fitted, or needs no fit because the recipe has no relaxed phase."""
    steps: int
    """The total number of training steps."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.codec = ImageCodec.from_names(
            recipe.architecture,
            recipe.quantizer,
            recipe.prior,
            latent_channels=recipe.latent_channels,
            channels=recipe.channels,
            alphabet=recipe.alphabet,
            architecture_options=recipe.architecture_options,
            quantizer_options=recipe.quantizer_options,
            prior_options=recipe.prior_options,
        )
        resolve("coder", self.coder)
        self._check_options()
        if recipe.relaxed_share:
            self.codec.relax()
        self.steps = recipe.steps or 1
        self.last: dict[str, Tensor] = {}
        shape = (recipe.channels, self.quantizer.alphabet) if recipe.reset_dead_every else (0, 0)
        self.register_buffer("chosen", torch.zeros(shape, dtype=torch.int64))
        prefixes = recipe.channels + 1 if recipe.relaxed_share else 0
        self.register_buffer("prefix_rates", torch.zeros(prefixes, dtype=torch.float64))
        self.fitted = not prefixes

    def _check_options(self) -> None:
        """Raise ComponentError if a component lacks a method that the recipe needs."""
        for setting, method in (("reset_dead_every", "reset_dead_symbols"), ("sort_channels", "select_channels")):
            if getattr(self.recipe, setting) and (lacking := self.lacking(method)):
                asked = setting.replace("_", "-")
                raise ComponentError(f"the {lacking[0]} has no `{method}`, which {asked} needs.")
        if self.recipe.relaxed_share and not self.quantizer.needs_prior:
            raise ComponentError(
                f"the quantizer {self.recipe.quantizer} has no alphabet of symbols, which relaxed-share needs."
            )
        relaxes = implements(self.quantizer, Quantizer, "relaxed")
        if self.recipe.relaxed_share and relaxes and (lacking := self.lacking("interval_bits")):
            raise ComponentError(f"the {lacking[0]} has no `interval_bits`, which relaxed-share needs.")
        if self.recipe.prior_share and (self.prior is None or not list(self.prior.parameters())):
            raise ComponentError(f"the prior {self.recipe.prior} has no parameters, which prior-share would train.")

    def lacking(self, method: str) -> list[str]:
        """The parts (quantizer, prior), by name, that do not implement `method`, an optional method of a contract."""
        parts = (("quantizer", self.quantizer, Quantizer), ("prior", self.prior, Prior))
        return [
            f"{kind} {getattr(self.recipe, kind)}"
            for kind, part, contract in parts
            if part is not None and hasattr(contract, method) and not implements(part, contract, method)
        ]

    @property
    def architecture(self) -> Architecture:
        """The architecture of the codec."""
        return self.codec.architecture

    @property
    def quantizer(self) -> Quantizer:
        """The quantizer of the codec."""
        return self.codec.quantizer

    @property
    def prior(self) -> Prior | None:
        """The prior of the codec, if it has one."""
        return self.codec.prior

    @property
    def coder(self) -> str:
        """The name of the coder: the recipe's, or `raw` if the quantizer has no prior."""
        return self.recipe.coder if self.quantizer.needs_prior else "raw"

    @property
    def phases(self) -> Phases:
        """The phases of the training."""
        return Phases.of(self.recipe, self.steps)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load a state as `torch.nn.Module.load_state_dict` does, and set `fitted`."""
        loaded = super().load_state_dict(state_dict, strict, assign)
        self.fitted = not len(self.prefix_rates) or bool(self.prefix_rates[-1] > 0)
        return loaded

    def set_prefix_rates(self, rates: Tensor) -> None:
        """Store the rates of a fitted quantizer, and set `fitted`. rates: (C + 1,), see `prefix_rates`."""
        self.prefix_rates.copy_(rates)
        self.fitted = True

    def phase(self, step: int) -> Phase:
        """The phase of a step, which counts from 0. Once the quantizer is fitted, no step is relaxed."""
        phase = self.phases.at(step)
        return Phase.JOINT if phase is Phase.RELAXED and self.fitted else phase

    def needs_fit(self, step: int) -> bool:
        """Whether the relaxed phase is over and the quantizer has to be fitted (`fit_quantizer`) before a step."""
        return not self.fitted and self.phase(step) is not Phase.RELAXED

    def rate_factor(self, step: int) -> float:
        """The factor of the rate in the loss at a step; it rises linearly to 1 during the rate warmup."""
        rising = self.steps * self.recipe.rate_warmup
        return min(1.0, step / rising) if rising else 1.0

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the mean loss of a batch, and store loss, MSE and bpp in `last`.

        batch: the images of the step `batch.step`.
        index: not used.
        """
        if self.needs_fit(batch.step):
            raise TrainingError(
                "the relaxed phase is over, but the quantizer is not fitted. The trainer has to call"
                f" `omega_train.fit_quantizer(task, images)` before step {batch.step}, where `task.needs_fit` is true."
            )
        phase = self.phase(batch.step)
        self.quantizer.sample_seeds = noise_seeds(self.recipe, batch)
        self.quantizer.progress = min(1.0, batch.step / self.steps)
        image = (batch.pixels.to(self.dtype) / 255).contiguous(memory_format=torch.channels_last)
        if phase is Phase.PRIOR:
            return self._prior_step(image)
        rates = self._draw_rates(batch)
        if phase is Phase.RELAXED:
            output = self.codec.relaxed(image, rates.kept, rates.fineness)
        elif phase is Phase.JOINT:
            output = self.codec(image, rates.kept)
        else:
            output = self.codec.with_frozen_symbols(image, rates.kept)
        mse = self.distortion(output.reconstruction, image)
        bpp = output.bits / image[0, 0].numel()
        loss = rates.losses(mse, bpp, self.rate_factor(batch.step)).mean()
        if output.penalty is not None:
            loss = loss + output.penalty.mean()
        if output.symbols is not None:
            self._observe(output.symbols, rates.kept)
        self.last = {"loss": loss.detach(), "mse": mse.detach().mean(), "bpp": bpp.detach().mean()}
        return loss

    def _prior_step(self, image: Tensor) -> Tensor:
        """The loss of the prior phase: the mean bits per pixel of all symbols of images (B, colors, H, W)."""
        symbols = self.codec.encode_symbols(image)
        self._observe(symbols, self.all_channels(image))
        with torch.autocast(image.device.type, enabled=False):
            loss = self.codec.channel_bits(symbols).sum(dim=1).mean() / image[0, 0].numel()
        self.last = {"loss": loss.detach(), "bpp": loss.detach()}
        return loss

    def _draw_rates(self, batch: Batch) -> Rates:
        """Draw the rates of a batch; after a relaxed phase, about a share U^draw_exponent of the bits of a file."""
        if not len(self.prefix_rates) or not self.fitted:
            return draw_rates(self.recipe, batch)
        shares = draw_shares(self.recipe, batch) ** self.recipe.draw_exponent
        wanted = shares.to(self.prefix_rates.device) * self.prefix_rates[-1]
        kept = torch.searchsorted(self.prefix_rates, wanted).clamp(
            self.recipe.channels_min + 1, self.quantizer.channels
        )
        return self.rates_of(kept)

    def rates_of(self, kept: Tensor) -> Rates:
        """The rates of `kept` channels (B,), once the quantizer is fitted."""
        return balanced_rates(self.recipe, kept, self.quantizer.fineness(kept))

    def all_channels(self, image: Tensor) -> Tensor:
        """The numbers of kept channels (B,) of a batch of images if all channels are kept."""
        return torch.full((len(image),), self.quantizer.channels, device=image.device)

    def distortion(self, restored: Tensor, image: Tensor) -> Tensor:
        """MSE (B,) of restored images and images (B, colors, H, W), normalized by the architecture."""
        error = self.architecture.normalize(restored) - self.architecture.normalize(image)
        return error.square().mean(dim=(1, 2, 3))

    def _observe(self, symbols: Tensor, kept: Tensor) -> None:
        if self.prior is not None and self.prior.observes:
            self.prior.observe(symbols, kept)
        if self.recipe.reset_dead_every:
            self.chosen += all_reduce_sum(symbol_counts(symbols, kept, self.quantizer.alphabet))

    def reset_dead_symbols(self, step: int) -> int:
        """Re-initialize the symbols that were not chosen since the last call, and return their number."""
        reset = self.quantizer.reset_dead_symbols(self.chosen, seed=self.recipe.seed + step)
        self.chosen.zero_()
        return reset

    def configure_optimizers(self) -> Any:
        """The optimizer of the recipe, with a schedule of learning rates if it has one."""
        optimizer = build_optimizer(self.recipe, self.codec)
        if self.recipe.schedule == "constant" and not self.recipe.warmup:
            return optimizer
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._learning_rate_factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _learning_rate_factor(self, step: int) -> float:
        """The factor of the learning rates at a step, by the schedule of its phase."""
        first, end = self.phases.schedule(step)
        rising = min(1.0, (step - first + 1) / (self.recipe.warmup + 1))
        if self.recipe.schedule == "constant":
            return rising
        done = min(1.0, (step - first) / max(1, end - first))
        return rising * (0.5 + 0.5 * math.cos(math.pi * done))


def in_evaluation_mode(measure: _Measure) -> _Measure:
    """Decorate a function of a task: it computes no gradients, and the task is in evaluation mode meanwhile."""

    @wraps(measure)
    def measured(task: CodecTask, *others: Any, **named: Any) -> Any:
        was_training = task.training
        task.eval()
        try:
            with torch.no_grad():
                return measure(task, *others, **named)
        finally:
            task.train(was_training)

    return cast(_Measure, measured)


def symbol_counts(symbols: Tensor, kept: Tensor, alphabet: int) -> Tensor:
    """Count the symbols of each channel: (C, S), int64.

    symbols: (B, C, h, w). kept: (B,), the number of leading channels that are counted of each sample. alphabet: S.
    """
    channels = symbols.shape[1]
    channel_C = torch.arange(channels, device=symbols.device)
    numbered = (channel_C[:, None] * alphabet + symbols.flatten(2))[channel_C < kept[:, None]]
    return torch.bincount(numbered.flatten(), minlength=channels * alphabet).view(channels, alphabet)
