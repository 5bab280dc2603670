"""The parameters of the parts of a codec, and their operations per pixel."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from omega_core.codec.image_codec import ImageCodec
from omega_core.contracts.prior import FrozenPrior, Prior

SIZE = (512, 768)
"""(H, W) at which operations are counted, for architectures that take any size."""


@dataclass(frozen=True)
class Cost:
    """The cost of one part of a codec.

    part: "analysis", "quantizer", "prior" or "synthesis".
    parameters: the number of parameters; of a prior, the number of probabilities in its tables and of its weights.
    kmac_per_pixel: thousands of multiply-accumulate operations per pixel of the picture, in matrix products and
        convolutions. Table lookups count as none.
    """

    part: str
    parameters: int
    kmac_per_pixel: float


def costs(codec: ImageCodec, prior: FrozenPrior | None = None, size: tuple[int, int] | None = None) -> list[Cost]:
    """Return the costs of analysis, quantizer (`symbols` and `latent`), prior and synthesis.

    codec: a codec in evaluation mode.
    prior: the frozen prior of a model. Default: the prior of the codec, with its tables of the joint phase alone.
    size: (H, W) of the picture to count for. Default: the fixed size of the architecture, or SIZE.

    Raises ImageError for a size that the architecture does not take.
    """
    architecture, quantizer = codec.architecture, codec.quantizer
    height, width = size or architecture.image_size or SIZE
    h, w = architecture.latent_size(height, width)
    like = next(architecture.parameters(), torch.empty(0))
    image = torch.zeros(1, architecture.colors, height, width, dtype=like.dtype, device=like.device)
    mine = next(quantizer.parameters(), torch.empty(0, dtype=like.dtype, device=like.device))
    latent = torch.zeros(1, architecture.latent_channels, h, w, dtype=mine.dtype, device=mine.device)
    symbols = torch.zeros(1, quantizer.channels, h, w, dtype=torch.int64, device=mine.device)
    pixels = height * width

    def counted(function: Any, *given: Any) -> float:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            function(*given)
        return float(counter.get_total_flops()) / 2 / 1000 / pixels

    synthesis = counted(codec.synthesize, latent.to(like), height, width, image.new_ones(1))
    used = _used(codec, image)
    return [
        Cost("analysis", used, counted(codec.analyze, image)),
        Cost("quantizer", _size(quantizer), counted(quantizer.symbols, latent) + counted(quantizer.latent, symbols)),
        Cost("prior", *_cost_of_prior(prior or codec.prior, h, w, pixels)),
        Cost("synthesis", _size(architecture) - used, synthesis),
    ]


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _used(codec: ImageCodec, image: torch.Tensor) -> int:
    """The number of parameters of the modules that the analysis calls."""
    called = set[nn.Module]()
    hooks = [
        module.register_forward_hook(lambda module, *_: called.add(module)) for module in codec.architecture.modules()
    ]
    try:
        with torch.inference_mode():
            codec.analyze(image)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(parameter.numel() for module in called for parameter in module.parameters(recurse=False))


def _cost_of_prior(prior: Prior | FrozenPrior | None, h: int, w: int, pixels: int) -> tuple[int, float]:
    """The parameters of a prior, and its thousands of operations per pixel. h, w: the size of the latent."""
    if isinstance(prior, FrozenPrior):
        return prior.parameters, prior.multiplications * h * w / pixels / 1000
    return (0 if prior is None else prior.code_lengths(h, w).numel()), 0.0
