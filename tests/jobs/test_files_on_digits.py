"""Digits through files: what the format promises, on many pictures and from another process."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import omega_core
from omega_core.coding.tables import MISSING
from omega_core.images.metrics import psnr
from omega_train import load_recipe, train
from omega_train.data.glyphs import glyphs
from omega_train.data.mnist import read_idx

COUNT = 100
CHANNELS = (2, 4, 8)

DECODE = """
import hashlib, json, sys
from pathlib import Path
import torch
import omega_core
torch.set_num_threads(2)
model = omega_core.load_model(sys.argv[1])
found = {}
for path in sorted(Path(sys.argv[2]).glob("*.omega")):
    symbols, parsed = model.decode(path.read_bytes())
    pixels = model.file_codec.pixels(symbols, *parsed.header.sizes[0])
    first = symbols[: int(path.stem.partition("-")[2])]
    found[path.name] = [hashlib.sha256(values.tobytes()).hexdigest() for values in (first, pixels)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def pictures(shared_mnist: Path | None) -> NDArray[np.uint8]:
    """MNIST's test pictures where they are, drawn digits where they are not."""
    if shared_mnist is None:
        return glyphs(COUNT, seed=4)[:, 0]
    return read_idx(shared_mnist / "t10k-images-idx3-ubyte.gz")[:COUNT]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was trained a little, on drawn digits."""
    few = {"steps": 30, "batch-size": 128, "dataset-options": {"training": 1024, "validation": 64}}
    return train(load_recipe("glyphs-omega-8", few), tmp_path_factory.mktemp("run"))


@pytest.mark.job
def test_symbols_and_pixels_come_back_in_another_process_with_other_threads(
    path: Path, pictures: NDArray[np.uint8], tmp_path: Path
) -> None:
    model = omega_core.load_model(path)
    expected = {}
    for number, picture in enumerate(pictures):
        encoded = model.encode(picture)
        for n in CHANNELS:
            name = f"{number:03}-{n}.omega"
            (tmp_path / name).write_bytes(encoded.file(n))
            own = np.asarray(model.decompress(encoded.file(n)))
            parts = (np.ascontiguousarray(encoded.symbols[:n]), own)
            expected[name] = [hashlib.sha256(values.tobytes()).hexdigest() for values in parts]
    done = subprocess.run([sys.executable, "-c", DECODE, path, tmp_path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == expected


@pytest.mark.job
def test_streams_are_as_long_as_the_tables_say(path: Path, pictures: NDArray[np.uint8]) -> None:
    model = omega_core.load_model(path)
    total, estimated = dict.fromkeys(CHANNELS, 0.0), dict.fromkeys(CHANNELS, 0.0)
    for picture in pictures:
        encoded, fixed = (model.encode(picture, coder=coder, counts=CHANNELS) for coder in ("range", "fixed"))
        bits = encoded.coded.tables.bits_of_each(encoded.coded.symbols)
        for n in CHANNELS:
            count = encoded.coded.end_of(n)
            assert count == n * 9
            total[n] += encoded.lengths[n]
            estimated[n] += bits[:count].sum() / 8
            assert fixed.lengths[n] == count  # 8 bits a symbol
        assert len(encoded.whole.stream) == encoded.lengths[8]
    for n in CHANNELS:
        assert estimated[n] <= total[n] <= 1.01 * estimated[n] + 2 * len(pictures)


@pytest.mark.job
def test_a_shortened_file_is_the_file_of_fewer_channels(path: Path, pictures: NDArray[np.uint8]) -> None:
    model = omega_core.load_model(path)
    for picture in pictures[:20]:
        encoded = model.encode(picture)
        sizes = [len(encoded.file(n)) for n in encoded.lengths]
        assert list(encoded.lengths) == list(range(1, 9))
        assert sizes == sorted(sizes)
        for (n, length), size in zip(encoded.lengths.items(), sizes, strict=True):
            assert encoded.file(n) == model.compress(picture, channels=n)
            assert size == 15 + length


@pytest.mark.job
def test_a_file_of_any_length_is_a_picture_that_gets_better(path: Path, pictures: NDArray[np.uint8]) -> None:
    model = omega_core.load_model(path)
    quality = list[list[float]]()
    for picture in pictures[:20]:
        whole = model.encode(picture).whole
        known = -1
        for length in range(len(whole.stream) + 1):
            symbols, _ = model.decode(whole.truncated(length).to_bytes())
            assert (symbols != MISSING).sum() >= known
            known = int((symbols != MISSING).sum())
        assert known == symbols.size
        lengths = [len(whole.stream) * quarter // 4 for quarter in range(5)]
        files = [whole.truncated(length).to_bytes() for length in lengths]
        quality.append([psnr(picture[None], each.pixels) for each in model.decompress_each(files)])
    means = np.mean(quality, axis=0)
    assert (np.diff(means) > 0).all()
