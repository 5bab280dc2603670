"""The examples name what is there."""

import importlib
import json
import logging
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from omega_core.codec.loading import load_model
from omega_core.images.reading import read_picture
from omega_train.data.glyphs import glyphs
from omega_train.data.mnist import TEST, TRAINING
from omega_train.recipe import load_recipe, recipe_names
from omega_train.task import CodecTask
from omega_train.warm_start import warm_start

SCRIPT = Path(__file__).parents[1] / "examples" / "slurm" / "grid.sbatch"

FIGURES = SCRIPT.parents[1] / "figures.py"

PHOTO = SCRIPT.parents[1] / "photo.py"

DEMO = SCRIPT.parents[1] / "demo.py"

DRAWINGS = SCRIPT.parents[2] / "docs" / "models" / "drawings.py"

RELAX = SCRIPT.parents[1] / "relax_for_minutes.py"

PHASES = """
description = "compact-omega, but small"
architecture = "compact"
prior = "context"
dataset = "folder"
latent-channels = 16
channels = "0:24"
alphabet = 10
lambda = "0.853:0.99545"
steps = 20
batch-size = 2
schedule = "cosine"
ema = 0.9
relaxed-share = 0.8
decoder-share = 0.2
half-precision = true

[architecture-options]
width = 8
synthesis-width = 8
detail-width = 8

[quantizer-options]
start = "scalar"
rank = 1
stages = [8, 16]
finer = 2.0
dead-zone = true

[dataset-options]
crop = 64
scale-share = 0.3
"""

SRUN = """#!/bin/sh
echo "$@"
"""


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Runs a script in this process, which has imported torch already."""
    before = logging.getLogger("omega_train").level  # which a script sets

    def run(script: Path, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, arguments)])
        runpy.run_path(str(script), run_name="__main__")

    yield run
    logging.getLogger("omega_train").setLevel(before)


@pytest.mark.parametrize("name", [name for name in recipe_names() if load_recipe(name).relaxed_share])
def test_minutes_of_relaxed_training_are_for_every_recipe_with_a_relaxed_phase(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.syspath_prepend(RELAX.parent)
    relaxed = importlib.import_module(RELAX.stem).relaxed
    assert relaxed(name, torch.device("cpu"), 2, None).phase_shares == (1, 0, 0)


def test_mistakes_in_commands_of_examples_are_errors_of_one_line(tmp_path: Path) -> None:
    for command in ([PHOTO, tmp_path, tmp_path / "missing.jpg"], [DEMO, "nonsuch", tmp_path / "a" / "b"]):
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


def test_the_grid_for_slurm_has_every_published_recipe() -> None:
    text = SCRIPT.read_text()
    listed = text.split("recipes=(")[1].split(")")[0].split()
    assert f"--array=0-{len(listed) - 1} " in text
    published = [name for name in recipe_names() if re.search(r"Löhdefink|bound", load_recipe(name).description)]
    assert set(listed) == set(published)


@pytest.mark.parametrize(("task", "began"), [(0, False), (17, True)])
def test_a_task_of_the_grid_starts_its_recipe_or_goes_on_with_it(tmp_path: Path, task: int, began: bool) -> None:
    listed = SCRIPT.read_text().split("recipes=(")[1].split(")")[0].split()
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    if began:
        (tmp_path / "runs" / listed[task]).mkdir(parents=True)
        (tmp_path / "runs" / listed[task] / "last.ckpt").touch()
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": str(task), "SLURM_CPUS_PER_TASK": "8"}
    done = subprocess.run(
        ["bash", str(SCRIPT), "/mnist", "/photos"], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    data, precision = ("/photos", "bf16-mixed") if listed[task].startswith("openimages") else ("/mnist", "32-true")
    options = f"--data {data} --output runs/{listed[task]} --precision {precision}"
    expected = f"--kill-on-bad-exit=1 omega train {listed[task]} {options}"
    assert done.stdout.strip() == expected + " --resume" * began


@pytest.fixture
def drawn_mnist(tmp_path: Path) -> Path:
    """A folder of IDX files as those of MNIST, with drawn digits."""
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name, count in ((TRAINING, 600), (TEST, 3)):
        digits = glyphs(count, seed=count)[:, 0]
        (folder / name).write_bytes(np.array([0x803, *digits.shape], ">u4").tobytes() + digits.tobytes())
    return folder


@pytest.mark.job
def test_the_figures_are_drawn_from_models_that_are_given_and_from_ones_it_trains(
    drawn_mnist: Path,
    untrained: Callable[..., Path],
    run_here: Callable[..., None],
    omega: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in recipe_names():  # all but one are there
        if name.startswith("mnist") and name != "mnist-integer-8":
            (tmp_path / "models" / name).mkdir(parents=True)
            source = untrained("mnist", channels=4, latent=8)
            (tmp_path / "models" / name / "model.safetensors").write_bytes(source.read_bytes())
    published = tmp_path / "published.csv"
    columns = "channels_min,channels_max,lambda_min,lambda_max,split,channels,psnr_db,bpp_real"
    points = [f"0,{c},.95,.999,testing,{n},{10 + n},{n / 40}" for c in (8, 16, 77) for n in (1, 2, 3, 4, 5)]
    published.write_text("\n".join([columns, *points, "0,16,.95,.999,training,1,50,.1"]))
    given = ["--mnist", drawn_mnist, "--models", tmp_path / "models", "--published", published]

    def run_command(command: list[str], *, check: bool) -> None:
        assert command[:3] == [sys.executable, "-m", "omega_cli"]
        done = omega(*command[3:])
        assert check
        assert done.returncode == 0, done.stderr

    monkeypatch.setattr(subprocess, "run", run_command)
    run_here(FIGURES, "--output", tmp_path / "figures", *given, "--steps", "2", "--images", "3")
    assert (tmp_path / "figures" / "runs" / "mnist-integer-8" / "model.safetensors").exists()
    for figure, curves in (("mnist-lambda", 1), ("mnist-quantizers", 2)):
        folder = tmp_path / "figures" / figure
        text = (folder / "plots" / "psnr.svg").read_text()
        assert text.count("<!-- published") == curves
        assert "bits per pixel of the stream" in text
        assert (folder / "report.html").exists()
    assert not (tmp_path / "figures" / "photos").exists()


@pytest.mark.job
def test_what_was_relaxed_for_some_minutes_codes_and_is_gone_on_from(
    run_here: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "small.toml").write_text(PHASES)
    for folder in ("some", "more"):
        (tmp_path / folder).mkdir()
        for number in range(4):
            coarse = np.random.default_rng(number).integers(0, 256, (6, 7, 3), np.uint8)
            Image.fromarray(coarse).resize((112, 96)).save(tmp_path / folder / f"{number}.png")
    given = [tmp_path / "small.toml", "--data", tmp_path / "some", "--data", f"{tmp_path / 'more'}=0.5"]
    given += ["--batch-size", "3", "--output"]
    command = [sys.executable, RELAX, *given, tmp_path / "out", "--minutes", "0.1", "--after", "2"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "quantizer fitted: 24 channels" in done.stderr
    speed = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert speed["crops"] == 3 * speed["steps"] > 0
    assert speed["crops_per_second"] > 0
    assert speed["seconds"] > 3, "4 seconds of steps, and what comes after them"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("model.safetensors", "speed.json", "metrics.csv", "train.log")
    }
    model = load_model(tmp_path / "out" / "model.safetensors")
    assert model.decompress(model.compress(tmp_path / "some" / "0.png")).size == (112, 96)
    said = warm_start(CodecTask(load_recipe(str(tmp_path / "small.toml"))), tmp_path / "out" / "model.safetensors")
    assert "left out" not in said
    assert "relaxation" not in said, "that of quantizer and prior was taken, too"
    begun = ("--init", tmp_path / "out" / "model.safetensors")
    run_here(RELAX, *given, tmp_path / "further", "--minutes", "0.05", "--after", "1", *begun)
    assert "arrays of model.safetensors loaded" in (tmp_path / "further" / "train.log").read_text()


@pytest.mark.parametrize("colors", [1, 3])
@pytest.mark.parametrize(("gap", "scale"), [(0, 1), (2, 1), (1, 3)])
def test_the_contact_sheet_of_the_demo_has_every_picture_at_its_place(
    monkeypatch: pytest.MonkeyPatch, colors: int, gap: int, scale: int
) -> None:
    monkeypatch.syspath_prepend(DEMO.parent)
    contact_sheet = importlib.import_module("demo").contact_sheet
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (2, 3, colors, 4, 5), np.uint8)
    sheet = contact_sheet(pictures, gap=gap, scale=scale)
    assert sheet.size == (3 * (5 * scale + gap) + gap, 2 * (4 * scale + gap) + gap)
    pixels = read_picture(sheet).pixels.astype(int)
    covered = np.zeros(pixels.shape[1:], bool)
    for i, j in np.ndindex(2, 3):
        top, left = gap + i * (4 * scale + gap), gap + j * (5 * scale + gap)
        place = np.s_[top : top + 4 * scale, left : left + 5 * scale]
        covered[place] = True
        assert (pixels[:, *place] == np.kron(pictures[i, j], np.ones((1, scale, scale), int))).all()
    assert (pixels[:, ~covered] == 255).all()


@pytest.mark.parametrize(("against", "panels"), [([], (1, 3)), (["--against", "webp,avif"], (2, 4))])
def test_a_photo_is_shown_at_rates_of_one_file(
    painted: Callable[..., Image.Image],
    run_here: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    against: list[str],
    panels: tuple[int, int],
) -> None:
    painted(3, 60, 90).save(tmp_path / "photo.png")
    run_here(PHOTO, tmp_path / "made", tmp_path / "photo.png", "--bpp", ".3,inf", *against)
    said = capsys.readouterr().out
    whole = len((tmp_path / "made" / "photo.omega").read_bytes())
    rows = [re.fullmatch(r" *(\d+) +([\d.]+) +([\d.]+) dB", line) for line in said.splitlines()]
    found = [(int(row[1]), float(row[2]), float(row[3])) for row in rows if row]
    assert [row[0] for row in found] == [int(0.3 * 60 * 90 / 8), whole]
    assert [row[1] for row in found] == pytest.approx([8 * row[0] / 60 / 90 for row in found], abs=1e-3)
    assert found[0][2] < found[1][2]
    down, across = panels
    with Image.open(tmp_path / "made" / "photo.png") as sheet, Image.open(tmp_path / "photo.png") as original:
        assert sheet.size == (across * (90 + 4) - 4, down * (60 + 22 + 4) - 4)
        assert (np.asarray(sheet.crop((0, 0, 90, 60))) == np.asarray(original)).all()


def test_drawings_for_training_are_of_all_kinds_and_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        command = [sys.executable, DRAWINGS, tmp_path / folder, 8]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    pictures = sorted((tmp_path / "one").iterdir())
    assert len({path.read_bytes() for path in pictures}) == 8
    assert [path.read_bytes() for path in sorted((tmp_path / "other").iterdir())] == [p.read_bytes() for p in pictures]
    for path in pictures:
        pixels = read_picture(path).pixels
        assert min(pixels.shape[1:]) >= 384
        assert pixels.std() > 5
