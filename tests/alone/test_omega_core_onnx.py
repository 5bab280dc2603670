"""omega-core with its extra onnx alone: models that were exported code pictures there, without torch."""

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import omega_core
from omega_core.errors import MissingExtraError
from omega_core.format.packs import Pack

MODEL = Path("golden/exported")
FILES = Path("golden/any-size")


@pytest.fixture(scope="module")
def model() -> omega_core.Model:
    return omega_core.load_model(MODEL)


def assert_alike(picture: Image.Image, name: str) -> None:
    """Pixels differ from those of a golden picture by one level at most; alpha and profile are the same."""
    with Image.open(FILES / name) as expected:
        assert (picture.mode, picture.size) == (expected.mode, expected.size)
        assert picture.info.get("icc_profile") == expected.info.get("icc_profile")
        difference = np.abs(np.asarray(picture, int) - np.asarray(expected))
    assert difference.max() <= 1
    assert "A" not in picture.mode or not difference[:, :, -1].any()


def test_it_brings_neither_torch_nor_other_packages() -> None:
    installed = {distribution.name for distribution in distributions()}
    assert not installed & {"torch", "safetensors", "onnx", "onnxscript", "omega-entropy", "omega-quant", "omega-cli"}
    assert {"constriction", "numpy", "onnxruntime", "pillow"} <= installed


@pytest.mark.parametrize("name", ["gray", "opacity-and-profile", "tiles"])
def test_golden_files_are_decoded(model: omega_core.Model, name: str) -> None:
    assert_alike(model.decompress(FILES / f"{name}.omega"), f"{name}.png")
    assert_alike(omega_core.decompress(FILES / f"{name}.omega", MODEL), f"{name}.png")


def test_a_golden_pack_is_decoded(model: omega_core.Model) -> None:
    for file, names in Pack.parse((FILES / "pack.omega").read_bytes()).blocks:
        for picture, name in zip(model.decompress_all(file.to_bytes()), names, strict=True):
            assert_alike(picture, f"pack-{name.replace('/', '-')}.png")


@pytest.mark.parametrize("name", ["gray", "opacity-and-profile", "tiles"])
@pytest.mark.parametrize("coder", [None, "fixed", "raw", "omega-entropy/range"])
def test_pictures_are_encoded(model: omega_core.Model, name: str, coder: str | None) -> None:
    data = model.compress(FILES / f"{name}.png", coder=coder)
    symbols = model.encode(FILES / f"{name}.png").symbols
    assert np.array_equal(model.decode(data)[0], symbols)
    length = omega_core.describe(data)["stream_bytes"]
    shorter = omega_core.truncate(data, max_bytes=len(data) - length // 2)
    assert (model.decode(shorter)[0] == -1).any()
    assert model.decompress(shorter).size == model.decompress(data[: -length // 2], partial=True).size
    *_, last = omega_core.decode_progressively(data, model)
    assert last.tobytes() == model.decompress(data).tobytes()


def test_what_needs_torch_says_so() -> None:
    with pytest.raises(
        MissingExtraError, match=r"needs safetensors, torch, .*: install omega-core with its extra torch"
    ):
        omega_core.load_model("golden/model.safetensors")
    with pytest.raises(MissingExtraError, match=r"ImageCodec needs torch, .* its extra torch"):
        _ = omega_core.ImageCodec
    with pytest.raises(MissingExtraError, match=r"export_onnx needs torch, .* its extra torch"):
        _ = omega_core.export_onnx
    with pytest.raises(omega_core.OmegaError, match="there is no coder 'torchac'"):
        omega_core.load_model(MODEL).compress(FILES / "gray.png", coder="torchac")


def test_decoding_opens_nothing_that_it_does_not_need() -> None:
    program = f"import sys, omega_core; omega_core.load_model({str(MODEL)!r}); print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
