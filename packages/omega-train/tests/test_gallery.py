"""The pictures of the page of a report."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from omega_train.evaluation.gallery import MAX_BYTES, MAX_SETTINGS, Coded, gallery_picture, thinned
from omega_train.evaluation.measurements import Decoded, Measurement


def test_a_long_series_is_thinned_evenly_with_both_ends() -> None:
    assert thinned([1, 2, 3]) == [1, 2, 3]
    kept = thinned(list(range(32)))
    assert (len(kept), kept[0], kept[-1]) == (MAX_SETTINGS, 0, 31)
    assert max(np.diff(kept)) - min(np.diff(kept)) <= 1


def pixels_of(url: str) -> np.ndarray:
    kind, _, data = url.partition(";base64,")
    assert kind.startswith("data:image/")
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)


def coded(codec: str, pixels: np.ndarray, settings: int, estimated: float | None) -> Coded:
    """Files whose pixels are those of the original and noise."""
    random = np.random.default_rng(0)
    decoded, rows = [], []
    for n in range(settings):
        noisy = np.clip(pixels + random.integers(-4, 5, pixels.shape), 0, 255).astype(np.uint8)
        decoded.append(Decoded(n, b"x" * (n + 1), noisy, n + 1))
        rows.append(Measurement("a.png", codec, n, n + 1, n + 1, estimated, 0.1, 0.1, 30.0, None, None))
    return Coded(codec, decoded, rows)


@pytest.mark.parametrize("colors", [1, 3])
def test_small_pictures_are_shown_as_they_are(colors: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (colors, 40, 30), dtype=np.uint8)
    mine = coded("mine", pixels, 4, 0.1)
    page = gallery_picture("a.png", pixels, [mine])
    assert (page["width"], page["height"], page["part"]) == (30, 40, "")
    assert np.array_equal(pixels_of(page["original"]), np.broadcast_to(pixels, (3, 40, 30)))
    [shown] = page["codecs"]
    assert [version["setting"] for version in shown["versions"]] == [0, 1, 2, 3]
    for version, decoded in zip(shown["versions"], mine.decoded, strict=True):
        assert np.array_equal(pixels_of(version["picture"]), np.broadcast_to(decoded.pixels, (3, 40, 30)))
    json.dumps(page)


def test_a_picture_takes_a_limited_number_of_bytes() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (3, 600, 800), dtype=np.uint8)
    page = gallery_picture("a.png", noise, [coded("mine", noise, 32, 0.1), coded("jpeg", noise, 12, None)])
    assert len(json.dumps(page)) < 1.01 * MAX_BYTES
    assert all(2 <= len(each["versions"]) < MAX_SETTINGS for each in page["codecs"])
    smooth = np.broadcast_to(np.arange(400, dtype=np.uint8), (3, 300, 400))
    page = gallery_picture("a.png", smooth, [coded("mine", smooth // 2, 32, 0.1)])
    assert len(page["codecs"][0]["versions"]) == MAX_SETTINGS


def test_of_a_large_picture_the_middle_is_shown() -> None:
    large = np.zeros((3, 900, 1500), np.uint8)
    large[:, 66:834, 238:1262] = 200
    page = gallery_picture("a.png", large, [coded("mine", large, 1, 0.1)])
    assert (page["width"], page["height"], page["part"]) == (1024, 768, "the middle 1024×768 pixels")
    assert pixels_of(page["original"]).shape == (3, 768, 1024)
    assert pixels_of(page["original"]).min() > 190


def test_a_file_that_browsers_show_is_shown_itself() -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (3, 200, 300), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.transpose(1, 2, 0)).save(buffer, "JPEG", quality=20)
    row = Measurement("a.png", "jpeg", 20, 1, 1, None, 0.1, 0.1, 30.0, None, None)
    page = gallery_picture("a.png", pixels, [Coded("jpeg", [Decoded(20, buffer.getvalue(), pixels, 1)], [row])])
    assert page["codecs"][0]["versions"][0]["picture"] == (
        "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
    )


def test_rates_at_which_nothing_can_be_seen_are_left_out() -> None:
    pixels = np.zeros((3, 40, 30), np.uint8)
    mine = coded("mine", pixels, 3, 0.1)
    rows = [replace(row, bpp=bpp) for row, bpp in zip(mine.measurements, (0.5, 1.9, 3.0), strict=True)]
    [shown] = gallery_picture("a.png", pixels, [replace(mine, measurements=rows)])["codecs"]
    assert [version["bpp"] for version in shown["versions"]] == [0.5, 1.9]
    rows = [replace(row, bpp=3.0) for row in rows]
    [shown] = gallery_picture("a.png", pixels, [replace(mine, measurements=rows)])["codecs"]
    assert len(shown["versions"]) == 3
