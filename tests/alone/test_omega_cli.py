"""The command without training: it uses models that are there."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

OMEGA = shutil.which("omega", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") or "omega"


def omega(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([OMEGA, *map(str, arguments)], capture_output=True, text=True)


def test_it_brings_no_training() -> None:
    installed = {distribution.name for distribution in distributions()}
    assert not installed & {"omega-train", "lightning", "torchac"}


def test_a_picture_goes_through_a_file_and_back(tmp_path: Path) -> None:
    model = "golden/model.safetensors"
    assert omega("compress", "golden/a.png", "--output", tmp_path, "--model", model).returncode == 0
    assert (tmp_path / "a.omega").read_bytes() == Path("golden/4-channels.omega").read_bytes()
    assert omega("decompress", tmp_path / "a.omega", "--output", tmp_path, "--model", model).returncode == 0
    decoded, expected = (np.asarray(Image.open(p)).astype(int) for p in (tmp_path / "a.png", "golden/4-channels.png"))
    assert np.abs(decoded - expected).max() <= 1


def test_it_brings_models(tmp_path: Path) -> None:
    names = ("compact", "compact-screen", "compact-small", "mnist-omega-16", "mnist-integer-16")
    files = [f"golden/bundled/{name}.omega" for name in names]
    done = omega("decompress", *files, "--output", tmp_path / "first")
    assert done.returncode == 0, done.stderr
    for name in names:
        picture = tmp_path / "first" / f"{name}.png"
        named = () if name == "compact" else ("--model", name)
        done = omega("compress", picture, "--output", tmp_path, *named)
        assert done.returncode == 0, done.stderr
    done = omega("decompress", *(tmp_path / f"{name}.omega" for name in names), "--output", tmp_path / "second")
    assert done.returncode == 0, done.stderr
    for name in names:
        first, second = (np.asarray(Image.open(tmp_path / at / f"{name}.png"), float) for at in ("first", "second"))
        assert np.sqrt(np.square(first - second).mean()) < 20, name


def test_training_says_what_is_missing() -> None:
    done = omega("train", "mnist-omega-8")
    assert done.returncode == 2
    assert done.stderr.startswith("error: training needs the package omega-train")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--help",), ("list",), ("plugins",), ("info", "golden/model.safetensors")])
def test_what_needs_no_torch_works(arguments: tuple[str, ...]) -> None:
    done = omega(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout
