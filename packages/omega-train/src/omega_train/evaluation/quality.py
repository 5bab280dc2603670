"""PSNR, SSIM, MS-SSIM and, by optional packages, perceptual metrics of 8-bit pictures.

SSIM: Wang, Bovik, Sheikh and Simoncelli 2004, "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE Transactions on Image Processing. MS-SSIM: Wang, Simoncelli and Bovik 2003, "Multiscale structural
similarity for image quality assessment". Both share the windows of the finest scale; Gaussian windows are separable.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from omega_core.images.metrics import psnr
from omega_core.images.pictures import Pixels
from omega_train.evaluation.perceptual import BLOCK, psnr_hvs_m, ssimulacra2

METRICS = ("psnr", "ssim", "ms_ssim", "psnr_hvs_m", "ssimulacra2")
DEFAULT_METRICS = METRICS[:3]
"""The metrics that are measured by default; the others need optional packages and take ten times as long."""
WINDOW = 11
"""The side of SSIM's Gaussian window (σ 1.5), in pixels."""
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""The weights of the scales of MS-SSIM, the finest first: Wang, Simoncelli and Bovik 2003, §4."""
MIN_SIDE = {
    "ssim": WINDOW,
    "ms_ssim": (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1,
    "psnr_hvs_m": BLOCK,
    "ssimulacra2": BLOCK,
}
"""The minimum side of a picture for each metric: a block, or the window at the coarsest scale, has to fit."""
_AT_ONCE = 1 << 21  # maximum number of pixels that are compared at once
_K1, _K2, _SIGMA = 0.01, 0.03, 1.5


@dataclass(frozen=True)
class Quality:
    """The quality of a decoded picture.

    psnr: in dB, over all colors. ssim, ms_ssim: the mean over colors. psnr_hvs_m, ssimulacra2: see
        `omega_train.evaluation.perceptual`. All but PSNR are None if not requested, or if the picture is too small.
    """

    psnr: float
    ssim: float | None = None
    ms_ssim: float | None = None
    psnr_hvs_m: float | None = None
    ssimulacra2: float | None = None


def qualities(original: Pixels, decoded: Sequence[Pixels], metrics: Collection[str] = DEFAULT_METRICS) -> list[Quality]:
    """Return the quality of each decoded picture, compared with the original.

    original, decoded: (colors, H, W), uint8.
    metrics: the metrics to compute, from METRICS; the others are None. PSNR is always computed.

    Raises ComponentError if the package of a metric is not installed.
    """
    side, at_once = min(original.shape[1:]), max(1, _AT_ONCE // original[0].size)
    wanted = [metric for metric in MIN_SIDE if metric in metrics and side >= MIN_SIDE[metric]]
    pyramid = _pyramid(original, len(WEIGHTS) if "ms_ssim" in wanted else int("ssim" in wanted))
    similar = list[tuple[float | None, float | None]]()
    for first in range(0, len(decoded), at_once):
        similar += zip(*_similarities(decoded[first : first + at_once], pyramid), strict=True)
    perceived = {"psnr_hvs_m": psnr_hvs_m, "ssimulacra2": ssimulacra2}
    return [
        Quality(
            psnr(original, one),
            ssim if "ssim" in wanted else None,
            ms_ssim,
            **{name: metric(original, one) for name, metric in perceived.items() if name in wanted},
        )
        for one, (ssim, ms_ssim) in zip(decoded, similar, strict=True)
    ]


@dataclass(frozen=True)
class _Scale:
    """The original at one scale, (C, H, W), and its mean and variance in each window, (C, H − 10, W − 10)."""

    image: Tensor
    mean: Tensor
    variance: Tensor


def _pyramid(original: Pixels, scales: int) -> list[_Scale]:
    image_CHW, found = torch.from_numpy(original.copy()).float() / 255, []
    for _ in range(scales):
        mean, square = _windows(image_CHW), _windows(image_CHW * image_CHW)
        found.append(_Scale(image_CHW, mean, (square - mean * mean).clamp_min(0)))
        image_CHW = _halved(image_CHW)
    return found


def _similarities(
    decoded: Sequence[Pixels], pyramid: Sequence[_Scale]
) -> tuple[Sequence[float | None], Sequence[float | None]]:
    """SSIM and MS-SSIM of pictures: contrast and structure at all scales, luminance at the coarsest."""
    none: list[float | None] = [None] * len(decoded)
    if not pyramid:
        return none, none
    x_NCHW = torch.from_numpy(np.stack(decoded)).float() / 255
    fine, product = none, torch.ones(())
    for number, (scale, weight) in enumerate(zip(pyramid, WEIGHTS, strict=False)):
        structure_NC, whole_NC = _similarity(x_NCHW, scale)
        if number == 0:
            fine = whole_NC.mean(dim=1).tolist()
        last = number == len(WEIGHTS) - 1
        product = product * (whole_NC if last else structure_NC).relu() ** weight
        x_NCHW = _halved(x_NCHW)
    return fine, product.mean(dim=1).tolist() if len(pyramid) == len(WEIGHTS) else none


def _similarity(x_NCHW: Tensor, scale: _Scale) -> tuple[Tensor, Tensor]:
    """The means over windows (N, C): of contrast and structure, and of their product with luminance, which is SSIM."""
    mean = _windows(x_NCHW)
    variance = (_windows(x_NCHW * x_NCHW) - mean * mean).clamp_min_(0)
    covariance = _windows(x_NCHW * scale.image) - mean * scale.mean
    structure = (2 * covariance + _K2**2) / (variance + scale.variance + _K2**2)
    luminance = (2 * mean * scale.mean + _K1**2) / (mean * mean + scale.mean * scale.mean + _K1**2)
    return structure.mean(dim=(2, 3)), (structure * luminance).mean(dim=(2, 3))


def _windows(x: Tensor) -> Tensor:
    """The mean (…, H − 10, W − 10) of (…, H, W) in each window within the picture, weighted by the Gaussian."""
    flat = x.flatten(0, -3)[None]
    planes = flat.shape[1]
    weights = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * _SIGMA**2))
    weights = (weights / weights.sum()).expand(planes, 1, 1, WINDOW)
    rows = functional.conv2d(flat, weights, groups=planes)
    return functional.conv2d(rows, weights.mT, groups=planes).view(
        *x.shape[:-2], *(side - WINDOW + 1 for side in x.shape[-2:])
    )


def _halved(x: Tensor) -> Tensor:
    """The mean of 2×2 pixels, with a border of 0 along odd sides."""
    return functional.avg_pool2d(x, 2, padding=[side % 2 for side in x.shape[-2:]])
