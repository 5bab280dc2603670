"""Pictures of any size through files: every length, every limit, other machines' arithmetic, and tiles."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import omega_core
from omega_core.codec.encoding import Encoded
from omega_core.codec.file_codec import FileCodec
from omega_core.codec.model import Model
from omega_core.errors import OmegaWarning, RateError
from omega_core.images.metrics import psnr
from omega_core.images.reading import read_picture

SIZES = [(512, 512), (500, 333)]
BUDGETS = 50

ENCODE = """
import hashlib, json, sys
from pathlib import Path
import torch
import omega_core
torch.set_num_threads(1)
model = omega_core.load_model(sys.argv[1])
found = {}
for path in map(Path, sys.argv[2:]):
    encoded = model.encode(path)
    path.with_suffix(".omega").write_bytes(encoded.file(64))
    found[path.stem] = hashlib.sha256(encoded.symbols.tobytes()).hexdigest()
print(json.dumps(found))
"""

DECODE = """
import hashlib, json, sys
from pathlib import Path
import numpy as np
import torch
import omega_core
torch.set_num_threads(2)
found = {}
for precision in ("float32", "float64", "bfloat16"):
    model = omega_core.load_model(sys.argv[1], precision=precision)
    for path in map(Path, sys.argv[2:]):
        data = path.with_suffix(".omega").read_bytes()
        symbols, _ = model.decode(data)
        found[f"{path.stem} {precision}"] = hashlib.sha256(symbols.tobytes()).hexdigest()
        model.decompress(data).save(path.with_name(f"{path.stem} {precision}.png"))
print(json.dumps(found))
"""


def photo(width: int, height: int) -> Image.Image:
    """Something like a photo: soft shapes, edges and a little noise."""
    chance = np.random.default_rng(width * height)
    coarse = chance.integers(0, 256, (height // 50 + 2, width // 50 + 2, 3), np.uint8)
    soft = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    y, x = np.mgrid[:height, :width]
    edges = 60 * (((x // 37) ^ (y // 53)) & 1)
    return Image.fromarray((soft // 2 + edges[:, :, None] + chance.integers(0, 20, soft.shape)).astype(np.uint8))


@pytest.fixture(scope="module")
def path(untrained: Callable[..., Path]) -> Path:
    return untrained(channels=64, symbols=256, latent=64)


@pytest.fixture(scope="module")
def model(path: Path) -> Model:
    return omega_core.load_model(path)


@pytest.fixture(scope="module")
def encoded(model: Model) -> dict[tuple[int, int], Encoded]:
    return {size: model.encode(photo(*size)) for size in SIZES}


@pytest.mark.job
@pytest.mark.parametrize("size", SIZES)
def test_a_shortened_file_is_the_file_of_fewer_channels(
    model: Model, encoded: dict[tuple[int, int], Encoded], size: tuple[int, int]
) -> None:
    files = {channels: encoded[size].file(channels) for channels in encoded[size].lengths}
    assert list(files) == [2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 18, 21, 24, 29, 34, 40, 46, 55, 64]
    for data in files.values():
        assert omega_core.truncate(files[64], max_bytes=len(data)) == data
    with pytest.raises(RateError):
        omega_core.truncate(files[64], max_bytes=12)
    for channels in (2, 29, 64):
        assert model.compress(photo(*size), channels=channels) == files[channels]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transforms that remember what they have been given: what is left to do is to code and to choose."""

    def remembering(method: Callable[..., Any]) -> Callable[..., Any]:
        known: dict[tuple[object, ...], Any] = {}

        def recall(codec: FileCodec, values: list[NDArray[Any]], *sizes: object, **options: object) -> Any:
            key = (id(codec), *(each.tobytes() for each in values), str(sizes), *options.items())
            if key not in known:
                known[key] = method(codec, values, *sizes, **options)
            return known[key]

        return recall

    for name in ("symbols_of_all", "pixels_of_all"):
        monkeypatch.setattr(FileCodec, name, remembering(getattr(FileCodec, name)))


@pytest.mark.job
@pytest.mark.parametrize("kind", ["any size", "digits"])
def test_every_limit_is_met_to_the_byte(model: Model, untrained: Callable[..., Path], quick: None, kind: str) -> None:
    if kind == "digits":
        model = omega_core.load_model(untrained("mnist", channels=8, symbols=256, latent=32))
        picture = photo(28, 28).convert("L")
    else:
        picture = photo(200, 133)
    pixels = picture.width * picture.height
    original = read_picture(picture).pixels
    whole = model.encode(picture).whole
    files = [whole.truncated(length).to_bytes() for length in range(1, len(whole.stream) + 1)]
    least, most = len(files[0]), len(files[-1])
    chance = np.random.default_rng(0)
    for budget in [1, least - 1, least, most - 1, most, *chance.integers(1, 2 * most, BUDGETS).tolist()]:
        fitting = [data for data in files if len(data) <= budget]
        for limit in ({"max_bytes": budget}, {"bpp": 8 * (budget + 0.5) / pixels}):
            if fitting:
                assert model.compress(picture, **limit) == fitting[-1]
                assert len(fitting[-1]) >= min(budget - 1, most)
            else:
                assert budget < least
                with pytest.raises(RateError) as refused:
                    model.compress(picture, **limit)
                assert refused.value.least_bytes == least

    def quality(data: bytes) -> float:
        return psnr(original, read_picture(model.decompress(data)).pixels)

    ends = quality(files[0]), quality(files[-1])
    for wanted in chance.uniform(min(ends) - 1, max(ends) + 1, BUDGETS).tolist():
        if ends[1] >= wanted:
            assert quality(model.compress(picture, psnr=wanted)) >= wanted
        else:
            with pytest.warns(OmegaWarning, match="cannot reach"):
                assert model.compress(picture, psnr=wanted) == files[-1]


@pytest.mark.job
def test_symbols_come_back_in_another_process_with_other_threads_and_precisions(path: Path, tmp_path: Path) -> None:
    sizes = [(128, 128), (125, 83)]
    pictures = [tmp_path / f"{width}x{height}.png" for width, height in sizes]
    for size, picture in zip(sizes, pictures, strict=True):
        photo(*size).save(picture)
    encoded, decoded = (
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code, path, *pictures], capture_output=True, text=True, check=True
            ).stdout
        )
        for code in (ENCODE, DECODE)
    )
    assert len(encoded) == len(pictures)
    assert decoded == {
        f"{name} {precision}": symbols
        for precision in ("float32", "float64", "bfloat16")
        for name, symbols in encoded.items()
    }
    for picture in pictures:
        single, double = (
            np.asarray(Image.open(picture.with_name(f"{picture.stem} {precision}.png"))).astype(int)
            for precision in ("float32", "float64")
        )
        assert np.std(double) > 5
        assert np.abs(single - double).max() <= 1


@pytest.mark.job
def test_tiles_do_not_show(untrained: Callable[..., Path]) -> None:
    model = omega_core.load_model(untrained(channels=64, symbols=256, latent=64, width=8))
    model.tile_size = 256
    data = model.compress(photo(1024, 1024))
    symbols, parsed = model.decode(data)
    assert parsed.header.tile == 256
    tiled = np.asarray(model.decompress(data)).astype(int)
    whole = model.file_codec.pixels(symbols, 1024, 1024).transpose(1, 2, 0)
    assert np.mean(symbols != model.file_codec.symbols(read_picture(photo(1024, 1024)).pixels)) <= 0.001
    assert whole.std() > 5
    assert np.mean(np.abs(tiled - whole) <= 1) >= 0.999
