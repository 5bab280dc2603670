"""Photos, as a user trains on them: with the command, stopped and resumed, by several processes, and evaluated."""

import csv
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import omega_core

STOPS = int(os.environ.get("OMEGA_STOPS", "3"))

RECIPE = """
architecture = "compact"
quantizer = "omega"
dataset = "folder"
latent-channels = 8
channels = "0:8"
alphabet = 16
lambda = "0.95:0.999"
steps = 60
batch-size = 4
learning-rate = 1e-3
schedule = "cosine"
warmup = 5
rate-warmup = 0.2
gradient-clip = 1.0
ema = 0.9
decoder-share = 0.1
reset-dead-every = 15
sort-channels = true
validate-every = 25

[quantizer-options]
start = "scalar"

[dataset-options]
crop = 48
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Soft colored shapes, of several sizes and formats."""
    folder = tmp_path_factory.mktemp("photos")
    chance = np.random.default_rng(7)
    for number in range(23):
        coarse = Image.fromarray(chance.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        size = (int(chance.integers(50, 90)), int(chance.integers(50, 90)))
        suffix = ("png", "jpg", "webp")[number % 3]
        coarse.resize(size, Image.Resampling.BICUBIC).save(folder / f"{number:02}.{suffix}")
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "photos.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def whole(omega: Any, recipe: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed, in one thread."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = omega("train", recipe, "--data", photos, "--output", folder, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [{**row, "images_per_second": ""} for row in csv.DictReader(file)]


@pytest.mark.job
def test_the_loss_falls(omega: Any, photos: Path, whole: Path, tmp_path: Path) -> None:
    """By little: a single step leaves the lapped transform from which training begins, which does well already."""
    recipe = tmp_path / "short.toml"
    recipe.write_text(RECIPE.replace("steps = 60", "steps = 1"))
    done = omega("train", recipe, "--data", photos, "--output", tmp_path / "run", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    first, last = (
        [float(row["loss"]) for row in rows(run) if row["split"] == "validation" and not row["channels"]][-1]
        for run in (tmp_path / "run", whole)
    )
    assert last < 0.98 * first


@pytest.mark.job
def test_a_run_that_is_stopped_again_and_again_ends_as_one_that_was_not(
    start_omega: Any, recipe: Path, photos: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    command = ["train", recipe, "--data", photos, "--output", folder]
    chance = random.Random(STOPS)
    stopped = 0
    for _ in range(STOPS + 1):
        resume = ["--resume"] if (folder / "last.ckpt").exists() else []
        process, output = start_omega(*command, *resume, OMP_NUM_THREADS="1")
        with output:
            for line in output:  # steps have begun
                if line.startswith("step "):
                    break
            if stopped < STOPS:
                time.sleep(chance.uniform(0.1, 4.0 / STOPS))
                process.terminate()
            said = output.read()
        process.wait(300)
        status = process.returncode
        if status == 0:
            break
        assert (status, stopped < STOPS) == (128 + signal.SIGTERM, True), said
        assert "--resume continues from there" in said
        stopped += 1
    assert status == 0
    assert stopped > 0
    assert rows(folder) == rows(whole)
    weights, expected = (torch.load(run / "last.ckpt", weights_only=True)["state_dict"] for run in (folder, whole))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    models = [omega_core.load_model(run / "model.safetensors") for run in (folder, whole)]
    assert models[0].fingerprint == models[1].fingerprint


@pytest.mark.job
def test_a_model_is_evaluated_beside_codecs(omega: Any, photos: Path, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in ("00.png", "01.jpg", "02.webp"):
        (tmp_path / "images" / name).write_bytes((photos / name).read_bytes())
    (tmp_path / "images" / "damaged.png").write_bytes(b"no picture")
    arguments = ["--model", whole / "model.safetensors", "--images", tmp_path / "images", "--output", tmp_path / "out"]
    done = omega(
        "evaluate", *arguments, "--channels", "1,2", "--against", "jpeg,webp", "--save-images", "--rate", "stream"
    )
    assert done.returncode == 1
    assert "damaged.png" in done.stderr
    with (tmp_path / "out" / "summary.csv").open() as file:
        means = list(csv.DictReader(file))
    assert [(mean["codec"], mean["setting"], mean["images"]) for mean in means[:2]] == [
        (whole.name, n, "3") for n in "12"
    ]
    assert {mean["codec"] for mean in means[2:]} == {"jpeg", "webp"}
    with (tmp_path / "out" / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == {"00.png", "01.jpg", "02.webp"}
    for row in rows:  # what is kept is what was measured
        folder = tmp_path / "out" / "pictures" / row["image"]
        original, decoded = (
            np.asarray(Image.open(folder / name)).astype(float)
            for name in ("original.png", f"{row['codec']}-{row['setting']}.png")
        )
        measured = 10 * np.log10(255**2 / np.square(original - decoded).mean())
        assert float(row["psnr"]) == pytest.approx(measured, abs=1e-3)
    made_with = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert made_with["models"][whole.name]["recipe"]["seed"] == 42
    assert (tmp_path / "out" / "report.html").exists()
    for wrong, complaint in ((["--channels", "many"], "4,8,16"), (["--against", "gif"], "there is no codec 'gif'")):
        done = omega("evaluate", *arguments, *wrong)
        assert done.returncode == 2
        assert complaint in done.stderr


@pytest.mark.job
def test_an_evaluation_is_shared_and_goes_on_where_it_stopped(
    omega: Any, photos: Path, whole: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name in ("00.png", "01.jpg", "02.webp"):
        (images / name).write_bytes((photos / name).read_bytes())
    (images / "0.png").write_bytes(b"no picture")  # the first process's
    arguments = ["--model", whole / "model.safetensors", "--images", images, "--channels", "2"]
    assert omega("evaluate", *arguments, "--output", tmp_path / "alone").returncode == 1
    for number in range(2):
        done = omega("evaluate", *arguments, "--output", tmp_path / "both", WORLD_SIZE="2", RANK=str(number))
        assert done.returncode == 1 - number, done.stderr
        assert (tmp_path / "both" / "summary.csv").exists() == (number == 1)
    for name in ("images.csv", "summary.csv"):
        assert (tmp_path / "both" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    parts = sorted((tmp_path / "alone" / "parts").rglob("*.csv"))
    before = {part: part.stat().st_mtime_ns for part in parts}
    parts[0].unlink()
    (tmp_path / "alone" / "summary.csv").unlink()
    assert omega("evaluate", *arguments, "--output", tmp_path / "alone", "--skip-existing").returncode == 1
    assert [part for part in parts if part.stat().st_mtime_ns != before[part]] == parts[:1]
    assert (tmp_path / "alone" / "summary.csv").read_bytes() == (tmp_path / "both" / "summary.csv").read_bytes()


@pytest.mark.job
def test_several_processes_share_the_pictures(omega: Any, photos: Path, whole: Path, tmp_path: Path) -> None:
    model = ["--model", whole / "model.safetensors"]
    for number in range(2):
        started = {"WORLD_SIZE": "2", "RANK": str(number)}
        done = omega("compress", photos, "--output", tmp_path / str(number), *model, **started)
        assert done.returncode == 0, done.stderr
    shares = [{file.name for file in (tmp_path / str(number)).glob("*.omega")} for number in range(2)]
    assert [len(share) for share in shares] == [12, 11]
    assert len(shares[0] | shares[1]) == 23
    done = omega("compress", photos, "--output", tmp_path, "--pack", *model, WORLD_SIZE="2", RANK="0")
    assert done.returncode == 2
    assert "several processes cannot make one pack" in done.stderr
    for number in range(2):
        done = omega(
            "decompress", tmp_path / "0", "--output", tmp_path / "decoded", *model, WORLD_SIZE="2", RANK=str(number)
        )
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "decoded").glob("*.png"))) == 12
