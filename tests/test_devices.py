"""What `--device` of the command does."""

import shutil
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"
MODEL = GOLDEN / "model.safetensors"


@pytest.mark.parametrize("command", ["compress", "decompress", "evaluate"])
def test_a_device_that_is_not_there_is_one_error_before_anything_is_done(
    omega_here: Any, tmp_path: Path, command: str
) -> None:
    shutil.copy(GOLDEN / "a.png", tmp_path / "a.png")
    shutil.copy(GOLDEN / "4-channels.omega", tmp_path / "b.omega")
    inputs = {"compress": ["a.png"], "decompress": ["b.omega"], "evaluate": ["--images", "a.png"]}[command]
    given = [tmp_path / each if each[0] != "-" else each for each in inputs]
    for named in (["--model", MODEL], []) if command == "decompress" else (["--model", MODEL],):
        done = omega_here(command, *given, "--output", tmp_path / "out", *named, "--device", "cuda:99")
        assert done.returncode == 2
        assert done.stderr.startswith("error: the device cuda:99 is not available")
        assert len(done.stderr.splitlines()) == 1
        assert not (tmp_path / "out").exists()


def test_files_are_made_and_read_on_a_device_by_worker_processes_too(omega_here: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copy(GOLDEN / "a.png", tmp_path / f"{name}.png")
    there = ("--model", MODEL, "--workers", 2)
    assert omega_here("compress", tmp_path, "--output", tmp_path / "files", "--device", "cpu", *there).returncode == 0
    read = omega_here("decompress", tmp_path / "files", "--output", tmp_path / "out", "--device", "auto", *there)
    assert read.returncode == 0
    assert len(list((tmp_path / "out").iterdir())) == 2
