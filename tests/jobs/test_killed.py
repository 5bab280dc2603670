"""A command that is killed at any moment leaves whole files, from which another goes on."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omega_core import load_model
from omega_core.format.file import OmegaFile
from omega_core.format.rate_control import truncate

COUNT = 100
KILLS = int(os.environ.get("OMEGA_KILLS", "3"))
Omega = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def model(untrained: Callable[..., Path]) -> Path:
    return untrained(channels=8, symbols=16, latent=8, width=8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(COUNT):
        noise = np.random.default_rng(number).integers(0, 256, (12, 8 + number % 9, 3), np.uint8)
        path = folder / f"{number % 7}" / f"{number:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise).resize((160, 120)).save(path)
    return folder


@pytest.fixture(scope="module")
def expected(
    omega: Omega,
    model: Path,
    pictures: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, bytes]:
    """What a command that nobody disturbs writes."""
    output = tmp_path_factory.mktemp("undisturbed")
    done = omega("compress", pictures, "--output", output, "--model", model, "--workers", 1)
    assert (done.returncode, done.stderr) == (0, "")
    files = whole_files(output)
    assert len(files) == COUNT
    return files


def whole_files(folder: Path) -> dict[str, bytes]:
    """The files of a folder by their names, each of which is whole."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.omega")}
    for data in files.values():
        OmegaFile.parse(data)
    return files


@pytest.mark.job
@pytest.mark.parametrize("workers", [1, 2])
def test_who_is_killed_at_any_moment_leaves_whole_files_and_another_goes_on(
    killed: Any, omega: Omega, model: Path, pictures: Path, expected: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    chance = random.Random(workers)
    kills = rounds = 0
    left_at: list[int] = []
    while kills < KILLS:
        rounds += 1
        output = tmp_path / str(rounds)
        output.mkdir()
        command = ["compress", pictures, "--output", output, "--model", model, "--workers", workers, "--skip-existing"]
        files: dict[str, bytes] = {}
        while kills < KILLS:

            def begun(output: Path = output, before: int = len(files)) -> bool:
                return len(list(output.rglob("*.omega"))) > before

            if not killed(command, begun, chance.choice((0.02, 0.2, 1)) * chance.random()):
                break
            kills += 1
            files = whole_files(output)
            left_at.append(len(files))
            assert files.items() <= expected.items()
        done = omega(*command, "--quiet")  # slow machines show progress
        assert (done.returncode, done.stderr) == (0, "")
        assert whole_files(output) == expected
    parts = len(list(tmp_path.rglob("*.part")))
    print(f"killed {kills} times in {rounds} folders with {workers} workers, at {left_at} files; {parts} parts left")
    assert len(set(left_at)) > len(left_at) / 4


@pytest.mark.job
@pytest.mark.parametrize("workers", [1, 2])
def test_who_is_killed_while_replacing_files_loses_none_of_them(
    killed: Any, omega: Omega, model: Path, pictures: Path, expected: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    chance = random.Random(workers)
    old = {name: OmegaFile.parse(data).truncated(1).to_bytes() for name, data in expected.items()}
    for name, data in old.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    command = ["compress", pictures, "--output", tmp_path, "--model", model, "--workers", workers, "--overwrite"]
    replaced, first = list[int](), next(iter(old))

    def replaces_first() -> bool:
        return (tmp_path / first).read_bytes() != old[first]

    for _ in range(KILLS):
        (tmp_path / first).write_bytes(old[first])
        killed(command, replaces_first, chance.choice((0.02, 0.2, 1)) * chance.random())
        files = whole_files(tmp_path)
        assert files.keys() == old.keys()
        assert all(data in (old[name], expected[name]) for name, data in files.items())
        replaced.append(sum(data == expected[name] for name, data in files.items()))
    print(f"killed {KILLS} times with {workers} workers, when {replaced} files were replaced")
    assert omega(*command).returncode == 0
    assert whole_files(tmp_path) == expected


def test_a_file_that_is_shortened_again_and_again_is_whole_whenever_the_command_is_killed(
    model: Path, tmp_path: Path
) -> None:
    source = tmp_path / "whole.omega"
    noise = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    source.write_bytes(load_model(model).compress(noise))
    program = """if True:
        import itertools, sys
        from contextlib import suppress
        from omega_cli.main import run
        for size in itertools.cycle(("100", "200", "300")):
            options = ["--overwrite", "--quiet", "--max-bytes", size]
            sys.argv = ["omega", "truncate", sys.argv[2], "-o", sys.argv[4], *options]
            with suppress(SystemExit):
                run()
    """
    path, chance = tmp_path / "out.omega", random.Random(0)
    whole = {truncate(source.read_bytes(), max_bytes=size) for size in (100, 200, 300)}
    found = set()
    for _ in range(max(10, KILLS)):
        path.unlink(missing_ok=True)
        arguments = [sys.executable, "-c", program, "", str(source), "", str(path)]
        with subprocess.Popen(arguments) as process:
            while not path.exists() and process.poll() is None:
                time.sleep(0.001)
            time.sleep(0.1 * chance.random())
            process.kill()
        assert process.returncode == -9
        found.add(path.read_bytes())
    print(f"killed {max(10, KILLS)} times; {len(list(tmp_path.glob('*.part')))} parts left")
    assert found <= whole
    assert len(found) > 1
    assert {each.suffix for each in tmp_path.iterdir()} <= {".omega", ".part"}
