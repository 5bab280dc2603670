"""PSNR, SSIM and MS-SSIM of 8-bit pictures, on torchmetrics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.image import structural_similarity_index_measure

from omega_core.images.metrics import psnr
from omega_core.images.pictures import Pixels

WINDOW = 11
"""The side of SSIM's Gaussian window (σ 1.5), in pixels."""
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The weights of the scales of MS-SSIM, the finest first: Wang, Simoncelli and Bovik 2003, §4."""
LEAST_SIDE = {"ssim": WINDOW, "ms_ssim": (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1}
"""The shortest side of a picture for each metric: the window has to fit at the coarsest scale."""
_AT_ONCE = 1 << 21  # the most pixels that are compared at once
_K1, _NO_LUMINANCE = 0.01, 1e3


@dataclass(frozen=True)
class Quality:
    """The quality of a decoded picture.

    psnr: in dB, over all colors. ssim, ms_ssim: the mean over colors; None if the picture is too small.
    """

    psnr: float
    ssim: float | None
    ms_ssim: float | None


def qualities(original: Pixels, decoded: Sequence[Pixels]) -> list[Quality]:
    """The quality of each decoded picture, compared with the original; all are (colors, H, W), uint8."""
    side, at_once = min(original.shape[1:]), max(1, _AT_ONCE // original[0].size)
    found = []
    for first in range(0, len(decoded), at_once):
        some = decoded[first : first + at_once]
        x_NCHW = torch.from_numpy(np.stack(some)).float() / 255
        target_NCHW = (torch.from_numpy(original.copy()).float() / 255).expand_as(x_NCHW)
        none = [None] * len(some)
        fine = _ssim(x_NCHW, target_NCHW).tolist() if side >= LEAST_SIDE["ssim"] else none
        multi = _ms_ssim(x_NCHW, target_NCHW).tolist() if side >= LEAST_SIDE["ms_ssim"] else none
        found += [Quality(psnr(original, one), *both) for one, *both in zip(some, fine, multi, strict=True)]
    return found


def _ssim(x_NCHW: Tensor, target_NCHW: Tensor) -> Tensor:
    return _similarity(x_NCHW, target_NCHW, _K1).mean(dim=1)


def _ms_ssim(x_NCHW: Tensor, target_NCHW: Tensor) -> Tensor:
    """MS-SSIM: contrast and structure at all scales, luminance at the coarsest."""
    product = torch.ones(())
    for scale, weight in enumerate(WEIGHTS):
        last = scale == len(WEIGHTS) - 1
        product = product * _similarity(x_NCHW, target_NCHW, _K1 if last else _NO_LUMINANCE).relu() ** weight
        odd = [side % 2 for side in x_NCHW.shape[2:]]
        x_NCHW, target_NCHW = (functional.avg_pool2d(each, 2, padding=odd) for each in (x_NCHW, target_NCHW))
    return product.mean(dim=1)


def _similarity(x_NCHW: Tensor, target_NCHW: Tensor, k1: float) -> Tensor:
    """SSIM of each color (N, C), over the windows within the picture.

    k1: the constant of the luminance term; a large one makes that term 1 and leaves contrast and structure.
    """
    samples, colors = x_NCHW.shape[:2]
    alone = (1, -1, *x_NCHW.shape[2:])  # all as channels of one picture, which is three times as fast
    _, whole = structural_similarity_index_measure(
        x_NCHW.reshape(alone),
        target_NCHW.reshape(alone),
        data_range=1.0,
        reduction="none",
        k1=k1,
        return_full_image=True,
    )
    edge = WINDOW // 2
    within: Tensor = whole[:, :, edge:-edge, edge:-edge].mean(dim=(2, 3))
    return within.view(samples, colors)
