"""Models for onnxruntime: exported by the command, and used without torch."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import omega_core
from omega_core.codec.decoding import PictureMaker
from omega_core.codec.loading import load_model
from omega_core.errors import ComponentError
from omega_core.format.file import OmegaFile

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

Painted = Callable[..., Image.Image]

GOLDEN = Path(__file__).parent / "golden"
OPERATORS = {
    *("Abs", "Add", "ArgMin", "Cast", "Clip", "Concat", "ConstantOfShape", "Conv", "ConvTranspose", "DepthToSpace"),
    *("Div", "Equal", "Exp", "Expand", "Floor", "Gather", "GatherElements", "GatherND", "Gemm", "LayerNormalization"),
    *("Less", "MatMul", "Max", "Min", "Mul", "Neg", "Pad", "Pow", "Range", "ReduceSum", "Relu", "Reshape", "ScatterND"),
    *("Shape", "Slice", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "Where"),
}
"""Of version 18: onnxruntime-web has them for WebAssembly and, all that take time, for WebGPU."""

WITHOUT_TORCH = """
import pickle, sys
sys.modules["torch"] = None
import omega_core
from omega_core.codec.decoding import PictureMaker

model = omega_core.load_model(sys.argv[1])
with open(sys.argv[2], "rb") as file:
    cases = pickle.load(file)
found = []
for picture, files in cases:
    decoded = [model.decode(data, partial=True) for data in files]
    pictures = [PictureMaker(model.file_codec, parsed.header).picture(symbols) for symbols, parsed in decoded]
    found.append((model.compress(picture), [symbols for symbols, _ in decoded], pictures))
with open(sys.argv[3], "wb") as file:
    pickle.dump(found, file)
"""
"""Compresses pictures, and decodes files, where torch cannot be imported and no plugin is."""


NAME = "compact"
"""Of the bundled model that is exported. `compact-screen` has a part of what it has."""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That model, exported."""
    folder: Path = tmp_path_factory.mktemp("exported") / NAME
    python = [sys.executable, "-W", "error::UserWarning", "-m", "omega_cli"]
    done = subprocess.run([*python, "export-onnx", NAME, "-o", str(folder)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{folder / 'synthesis.onnx'}: {(folder / 'synthesis.onnx').stat().st_size:,} bytes\n" in done.stdout
    assert "decoded pixels differ by at most 1 of 256 levels, by 0.0" in done.stdout
    return folder


def any_picture(painted: Painted, seed: int) -> Image.Image:
    """A picture of any size and mode; the first needs tiles."""
    chance = np.random.default_rng(seed)
    height, width = chance.integers(1, 90, 2).tolist() if seed else (60, 1100)
    return painted(seed, height, width, ("RGB", "L", "RGBA", "LA")[seed % 4])


def test_files_have_the_symbols_and_pixels_that_torch_decodes(exported: Path, painted: Painted, tmp_path: Path) -> None:
    torchs, cases = load_model(NAME, precision="float64"), []  # some processors analyze in bfloat16 otherwise
    for seed in range(12):
        picture = any_picture(painted, seed)
        data = torchs.compress(picture)
        file = OmegaFile.parse(data)
        shorter = [file.truncated(int(share * file.header.length)).to_bytes() for share in (0.6, 0.1, 0.0)]
        cases.append((picture, [data, *shorter, data[:-7]]))
    (tmp_path / "given").write_bytes(pickle.dumps(cases))
    arguments = [str(each) for each in (exported, tmp_path / "given", tmp_path / "found")]
    environment = {**os.environ, "OMEGA_PLUGINS": "nothing"}
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *arguments], check=True, env=environment)
    found = pickle.loads((tmp_path / "found").read_bytes())
    differ = []
    for (_, files), (data, symbols, pictures) in zip(cases, found, strict=True):
        wanted = [torchs.decode(file, partial=True) for file in files]
        differ.append((torchs.decode(data)[0] != wanted[0][0]).reshape(-1))
        assert differ[-1].sum() <= max(2, 1e-4 * differ[-1].size)
        for (right, parsed), own, picture in zip(wanted, symbols, pictures, strict=True):
            assert np.array_equal(own, right)
            expected = PictureMaker(torchs.file_codec, parsed.header).picture(right)
            assert (picture.mode, picture.size) == (expected.mode, expected.size)
            assert np.abs(picture.pixels.astype(int) - expected.pixels).max() <= 2
            assert picture.alpha is None or np.array_equal(picture.alpha, expected.alpha)
    assert np.mean(np.concatenate(differ)) < 1e-5


def test_an_exported_model_has_no_search_for_better_symbols(exported: Path, painted: Painted) -> None:
    model, picture = load_model(exported), painted(1, 32, 48)
    assert model.compress(picture, effort=0) == model.compress(picture)
    with pytest.raises(ComponentError):
        model.compress(picture, effort=1)


def test_what_a_decoder_needs_is_small(exported: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in exported.iterdir()}
    assert set(sizes) == {"analysis.onnx", "synthesis.onnx", "coding.bin"}
    assert sizes["synthesis.onnx"] + sizes["coding.bin"] < 7e6


@pytest.mark.parametrize("graph", ["analysis", "synthesis"])
def test_operators_are_those_of_browsers(exported: Path, graph: str) -> None:
    for folder in (exported, GOLDEN / "exported"):
        model = onnx.load(folder / f"{graph}.onnx")
        assert {node.op_type for node in model.graph.node} <= OPERATORS
        assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
        assert not model.functions


def test_graphs_say_nothing_of_the_machine_that_made_them(exported: Path) -> None:
    for path in exported.iterdir():
        assert b".py" not in path.read_bytes()


def test_a_picture_is_decoded_without_importing_torch(exported: Path, painted: Painted, tmp_path: Path) -> None:
    (tmp_path / "a.omega").write_bytes(omega_core.compress(any_picture(painted, 4), NAME))
    program = """
import sys, omega_core
omega_core.load_model(sys.argv[1]).decompress(sys.argv[2])
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program, exported, tmp_path / "a.omega"], check=True)


def test_the_command_takes_an_exported_model(omega: Callable[..., Any], tmp_path: Path) -> None:
    files, model = GOLDEN / "any-size", GOLDEN / "exported"
    done = omega("decompress", files, "--output", tmp_path, "--model", model)
    assert done.returncode == 0, done.stderr
    made = {path.relative_to(tmp_path).as_posix().replace("/", "-"): path for path in tmp_path.rglob("*.png")}
    assert set(made) == {path.name for path in files.glob("*.png")}
    for name, path in made.items():
        with Image.open(path) as decoded, Image.open(files / name) as wanted:
            assert np.abs(np.asarray(decoded, int) - np.asarray(wanted)).max() <= 1
    done = omega("compress", files / "gray.png", "--output", tmp_path / "again", "--model", model)
    assert done.returncode == 0, done.stderr
    with Image.open(files / "gray.png") as picture:
        assert omega_core.decompress(tmp_path / "again" / "gray.omega", model).size == picture.size


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("compact", "-o", "."), "error: . exists already; choose another --output."),
        (("nothing", "-o", "new"), "error: there is no model 'nothing'."),
        (("model.safetensors", "-o", "new"), "error: there is no model model.safetensors."),
        (("compact",), "error: Missing option '--output'"),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    omega_here: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, complaint: str
) -> None:
    (tmp_path / "note").touch()
    monkeypatch.chdir(tmp_path)
    done = omega_here("export-onnx", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(complaint)
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["note"]
