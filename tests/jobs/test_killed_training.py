"""`omega train` and `omega evaluate`, killed at any moment, leave whole files, from which the next run goes on.

OMEGA_KILLS is the number of kills of each; 50 take ten minutes.
"""

import csv
import json
import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omega_core.codec.model_file import read_model
from omega_train.checkpoint_reading import read_checkpoint
from omega_train.recipe import load_recipe

KILLS = int(os.environ.get("OMEGA_KILLS", "2"))


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def has_grown(path: Path, before: int) -> bool:
    return size(path) > before


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{**row, "images_per_second": ""} for row in csv.DictReader(file)]


def state_of_run(folder: Path) -> tuple[Any, Any, Any]:
    weights = {name: tensor.tolist() for name, tensor in read_checkpoint(folder)["state_dict"].items()}
    return read_model(folder / "model.safetensors").fingerprint, weights, rows(folder / "metrics.csv")


def steps_of_checkpoint(folder: Path) -> int:
    return int(read_checkpoint(folder)["global_step"]) if (folder / "last.ckpt").exists() else 0


@pytest.mark.job
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_nobody_disturbs(
    omega: Any, killed: Any, recipe: Any, tmp_path: Path
) -> None:
    settings = recipe(steps=120, validate_every=3, ema=0.9)
    began = time.monotonic()
    assert omega("train", settings, "--output", tmp_path / "whole").returncode == 0
    took = time.monotonic() - began
    whole = state_of_run(tmp_path / "whole")
    chance = random.Random(1)
    kills = rounds = 0
    stopped_at: list[int] = []
    while kills < KILLS:
        rounds += 1
        folder = tmp_path / str(rounds)
        log, before = folder / "train.log", 0
        while True:
            command = ["train", settings, "--output", folder, *(["--resume"] if before else [])]
            wait = took * chance.choice((0.01, 0.2, 1)) * chance.random()
            if kills >= KILLS or not killed(command, partial(has_grown, log, size(log)), wait):
                break
            kills += 1
            steps = steps_of_checkpoint(folder)
            assert steps >= before
            before = steps
            stopped_at.append(steps)
            load_recipe(str(folder / "recipe.toml"))
            if (folder / "model.safetensors").exists():
                assert before
                read_model(folder / "model.safetensors")
        if steps_of_checkpoint(folder) < 120 or not (folder / "model.safetensors").exists():
            done = omega("train", settings, "--output", folder, *(["--resume"] if before else []))
            assert done.returncode == 0, done.stderr
        elif kills >= KILLS:
            assert omega("train", settings, "--output", folder, "--resume").returncode == 0
        assert state_of_run(folder) == whole
        assert not list(folder.glob(".*.part"))
    print(f"killed {kills} times in {rounds} runs, at checkpoints of steps {stopped_at}")


@pytest.mark.job
def test_an_evaluation_that_is_killed_again_and_again_ends_as_one_that_nobody_disturbs(
    omega: Any, killed: Any, untrained: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    for number in range(40):
        noise = np.random.default_rng(number).integers(0, 256, (28, 28), np.uint8)
        Image.fromarray(noise).save(tmp_path / "images" / f"{number}.png")
    model = untrained("mnist", channels=8)
    given = ["evaluate", "--model", model, "--images", tmp_path / "images", "--against", "jpeg", "--workers", 1]
    began = time.monotonic()
    assert omega(*given, "--output", tmp_path / "whole").returncode == 0
    took = time.monotonic() - began
    chance = random.Random(2)
    kills = rounds = 0
    left_at: list[int] = []
    while kills < KILLS:
        rounds += 1
        folder = tmp_path / str(rounds)
        command = [*given, "--output", folder, "--skip-existing"]
        parts: dict[Path, bytes] = {}

        def begun(folder: Path = folder, before: dict[Path, bytes] = parts) -> bool:
            return len(list(folder.glob("parts/*/*.csv"))) > len(before)

        while kills < KILLS and killed(command, begun, took * chance.choice((0.01, 0.2, 1)) * chance.random()):
            kills += 1
            now = {path: path.read_bytes() for path in folder.glob("parts/*/*.csv")}
            assert parts.items() <= now.items()
            parts.update(now)
            left_at.append(len(parts))
            json.loads((folder / "evaluation.json").read_bytes())
            for path in (*folder.glob("*.csv"), *parts):
                assert all(None not in row and None not in row.values() for row in rows(path))
        done = omega(*command)
        assert done.returncode == 0, done.stderr
        for name in ("images.csv", "summary.csv"):
            assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    print(f"killed {kills} times in {rounds} evaluations, at {left_at} measurements")
