"""Digits through files: what the format promises, on many pictures and from another process."""

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import omega_core
from omega_core.format.file import OmegaFile
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
    pixels = model.files.pixels(symbols, *parsed.header.sizes[0])
    found[path.name] = [hashlib.sha256(values.tobytes()).hexdigest() for values in (symbols, pixels)]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def pictures(shared_mnist: Path | None) -> NDArray[np.uint8]:
    """MNIST's test pictures where they are, drawn digits where they are not."""
    if shared_mnist is None:
        return glyphs(COUNT, seed=4)[:, 0]
    return read_idx(shared_mnist / "t10k-images-idx3-ubyte.gz")[:COUNT]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, shared_mnist: Path | None) -> Path:
    """A model that was trained a little."""
    recipe = load_recipe("glyphs-omega-8" if shared_mnist is None else "mnist-omega-8", {"steps": 60})
    return train(recipe, tmp_path_factory.mktemp("run"), data=shared_mnist)


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
            own = np.asarray(model.reconstruct(picture, channels=n))
            parts = (np.ascontiguousarray(encoded.symbols[:n]), own)
            expected[name] = [hashlib.sha256(values.tobytes()).hexdigest() for values in parts]
    done = subprocess.run([sys.executable, "-c", DECODE, path, tmp_path], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == expected


@pytest.mark.job
def test_streams_are_as_long_as_the_tables_say(path: Path, pictures: NDArray[np.uint8]) -> None:
    model = omega_core.load_model(path)
    for n in CHANNELS:
        total = estimated = 0.0
        for picture in pictures:
            data = model.compress(picture, channels=n)
            total += len(OmegaFile.parse(data).stream)
            estimated += model.estimated_bits(model.decode(data)[0]) / 8
            assert len(OmegaFile.parse(model.compress(picture, channels=n, coder="fixed")).stream) == math.ceil(
                n * 9 * 8 / 8
            )
        assert estimated <= total <= 1.01 * estimated + 2 * len(pictures)


@pytest.mark.job
def test_a_shortened_file_is_the_file_of_fewer_channels(path: Path, pictures: NDArray[np.uint8]) -> None:
    model = omega_core.load_model(path)
    for picture in pictures[:20]:
        encoded = model.encode(picture)
        sizes = [len(encoded.file(n)) for n in encoded.cuts]
        assert encoded.cuts == list(range(1, 9))
        assert sizes == sorted(sizes)
        for n, size in zip(encoded.cuts, sizes, strict=True):
            assert encoded.file(n) == model.compress(picture, channels=n)
            assert size <= 16 + n + len(OmegaFile.parse(encoded.file(n)).stream)
