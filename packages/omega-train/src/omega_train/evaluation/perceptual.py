"""PSNR-HVS-M and SSIMULACRA 2 of 8-bit pictures, by optional packages.

PSNR-HVS-M: Ponomarenko et al. 2007, "On between-coefficient contrast masking of DCT basis functions" (VPQM), measured
in dB on the luma of BT.601; psnr-hvsm is licensed under the GPL, version 3. SSIMULACRA 2: a metric of JPEG XL, up to
100, where 90 is visually lossless and 30 is low quality; ssimulacra2 is licensed under BSD.
"""

import io
from contextlib import redirect_stdout

import numpy as np
from PIL import Image

from omega_core.images.pictures import Pixels
from omega_train.evaluation.codecs.options import library

BLOCK = 8
"""The side of the blocks of PSNR-HVS-M in pixels; rows and columns beyond the last whole block are not measured."""
PACKAGES = {"psnr_hvs_m": "psnr_hvsm", "ssimulacra2": "ssimulacra2"}
"""The package of each metric."""


def check_metric(metric: str) -> None:
    """Raise ComponentError if the package of a metric is not installed; the metrics of this package need none."""
    if metric not in PACKAGES:
        return
    with redirect_stdout(io.StringIO()):  # psnr_hvsm prints messages about optional backends
        library(PACKAGES[metric], f"metric {metric}", "omega-train[metrics]")


def psnr_hvs_m(original: Pixels, decoded: Pixels) -> float:
    """Return the PSNR-HVS-M of two pictures (colors, H, W), uint8, with H and W of at least 8; 100 if equal."""
    check_metric("psnr_hvs_m")
    from psnr_hvsm.numpy import bt601ycbcr, psnr_hvs_hvsm

    height, width = (side // BLOCK * BLOCK for side in original.shape[1:])
    lumas = [bt601ycbcr(_rgb(pixels)[:height, :width])[0] for pixels in (original, decoded)]
    with np.errstate(all="ignore"):  # psnr_hvsm divides by the variance of flat blocks before it excludes them
        return float(psnr_hvs_hvsm(*lumas)[1])


def ssimulacra2(original: Pixels, decoded: Pixels) -> float:
    """Return the SSIMULACRA 2 of two pictures (colors, H, W), uint8, with H and W of at least 8; 100 if equal."""
    check_metric("ssimulacra2")
    from ssimulacra2 import compute_ssimulacra2

    files = []
    for pixels in (original, decoded):
        file = io.BytesIO()
        Image.fromarray(_rgb(pixels)).save(file, "BMP")
        files.append(file)
    return float(compute_ssimulacra2(*files))


def _rgb(pixels: Pixels) -> Pixels:
    """Pixels (1 or 3, H, W) as (H, W, 3)."""
    return np.ascontiguousarray(np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0))
