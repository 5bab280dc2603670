"""PSNR, SSIM and MS-SSIM, beside other people's; perceptual metrics by other people."""

import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omega_core.errors import ComponentError
from omega_core.images.pictures import Pixels
from omega_core.images.reading import read_picture
from omega_train.evaluation.codecs.pillow import JpegCodec
from omega_train.evaluation.quality import MIN_SIDE, qualities

PHOTOS = Path(__file__).parents[4] / "shared" / "data" / "photos" / "test"


def pictures() -> Iterator[tuple[Pixels, Pixels]]:
    """Ten pictures and what JPEG makes of them: photos where there are some, with odd and with even sides."""
    photos = sorted(PHOTOS.glob("*"))[:10]
    random, jpeg = np.random.default_rng(7), JpegCodec()
    for i in range(10):
        if photos:
            pixels = read_picture(photos[i]).pixels
        else:
            coarse = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8))
            pixels = np.asarray(coarse.resize((321 + i, 240 + i // 2))).transpose(2, 0, 1)
        pixels = pixels[:, : pixels.shape[1] - i % 3, : pixels.shape[2] - i % 2]
        yield pixels, jpeg.decode(jpeg.encode(pixels, 10 + 8 * i), len(pixels))


def test_they_agree_with_scikit_image_and_pytorch_msssim() -> None:
    metrics = pytest.importorskip("skimage.metrics", reason="needs scikit-image")
    pytorch_msssim = pytest.importorskip("pytorch_msssim", reason="needs pytorch-msssim")
    import torch

    for original, decoded in pictures():
        [quality] = qualities(original, [decoded])
        assert quality.psnr == pytest.approx(metrics.peak_signal_noise_ratio(original, decoded), abs=1e-3)
        gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        theirs = metrics.structural_similarity(original, decoded, channel_axis=0, data_range=255, **gaussian)
        assert quality.ssim == pytest.approx(theirs, abs=1e-3)
        x, y = (torch.from_numpy(p.copy()).float()[None] / 255 for p in (original, decoded))
        assert quality.ms_ssim == pytest.approx(pytorch_msssim.ms_ssim(y, x, data_range=1.0).item(), abs=1e-3)


def test_several_are_measured_as_each_alone() -> None:
    [(original, decoded), *_] = pictures()
    worse = (decoded // 2).astype(np.uint8)
    both = qualities(original, [decoded, worse])
    alone = [qualities(original, [each])[0] for each in (decoded, worse)]
    for one, other in zip(both, alone, strict=True):
        assert one.psnr == other.psnr
        assert (one.ssim, one.ms_ssim) == pytest.approx((other.ssim, other.ms_ssim), abs=1e-6)


def test_perceptual_metrics_fall_with_the_quality_of_jpeg() -> None:
    for package in ("psnr_hvsm.numpy", "ssimulacra2"):
        with redirect_stdout(io.StringIO()):
            pytest.importorskip(package, reason="needs the extra metrics")
    [(original, _), *_] = pictures()
    jpeg, wanted = JpegCodec(), ("psnr_hvs_m", "ssimulacra2")
    decoded = [jpeg.decode(jpeg.encode(original, quality), 3) for quality in (95, 50, 10)]
    found = qualities(original, [original, *decoded], wanted)
    assert (found[0].psnr_hvs_m, found[0].ssimulacra2) == (100, 100)
    for metric in wanted:
        values = [getattr(each, metric) for each in found]
        assert values == sorted(values, reverse=True)
        assert values[1] > values[2] + 5 > values[3] + 10
    assert found[0].ssim is found[0].ms_ssim is None
    gray = original[:1]
    [quality] = qualities(gray, [gray], wanted)
    assert (quality.psnr_hvs_m, quality.ssimulacra2) == (100, 100)
    small = original[:, :7]
    assert qualities(small, [small], wanted)[0].psnr_hvs_m is None


def test_a_metric_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ssimulacra2", None)
    pixels = np.zeros((3, 16, 16), np.uint8)
    with pytest.raises(ComponentError, match=r"metric ssimulacra2 .*omega-train\[metrics\]"):
        qualities(pixels, [pixels], ["ssimulacra2"])


@pytest.mark.parametrize("metric", ["ssim", "ms_ssim"])
@pytest.mark.parametrize("missing", [0, 1])
def test_a_metric_is_left_out_where_its_window_does_not_fit(metric: str, missing: int) -> None:
    side = MIN_SIDE[metric] - missing
    pixels = np.random.default_rng(0).integers(0, 256, (1, side, side + 9), dtype=np.uint8)
    [quality] = qualities(pixels, [pixels])
    assert (getattr(quality, metric) is None) == bool(missing)
    if not missing:
        assert getattr(quality, metric) == pytest.approx(1, abs=1e-4)
