"""The examples name what is there."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from omega_train.recipe import load_recipe, recipe_names

SCRIPT = Path(__file__).parents[1] / "examples" / "slurm" / "grid.sbatch"

FIGURES = SCRIPT.parents[1] / "figures.py"

SRUN = """#!/bin/sh
echo "$@"
"""


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


@pytest.mark.job
def test_the_figures_are_drawn_from_models_that_are_given_and_from_ones_it_trains(
    shared_mnist: Path | None, untrained: Callable[..., Path], tmp_path: Path
) -> None:
    if shared_mnist is None:
        pytest.skip("MNIST is not beside the checkout")
    for name in recipe_names():  # all but one are there
        if name.startswith("mnist") and name != "mnist-integer-8":
            (tmp_path / "models" / name).mkdir(parents=True)
            source = untrained("mnist", channels=4, latent=8)
            (tmp_path / "models" / name / "model.safetensors").write_bytes(source.read_bytes())
    published = tmp_path / "published.csv"
    columns = "channels_min,channels_max,lambda_min,lambda_max,split,channels,psnr_db,bpp_real"
    points = [f"0,{c},.95,.999,testing,{n},{10 + n},{n / 40}" for c in (8, 16, 77) for n in (1, 2, 3, 4, 5)]
    published.write_text("\n".join([columns, *points, "0,16,.95,.999,training,1,50,.1"]))
    given = ["--mnist", shared_mnist, "--models", tmp_path / "models", "--published", published]
    command = [sys.executable, FIGURES, "--output", tmp_path / "figures", *given, "--steps", "2", "--images", "3"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "figures" / "runs" / "mnist-integer-8" / "model.safetensors").exists()
    for figure, curves in (("mnist-lambda", 1), ("mnist-quantizers", 2)):
        folder = tmp_path / "figures" / figure
        text = (folder / "plots" / "psnr.svg").read_text()
        assert text.count("<!-- published") == curves
        assert "bits per pixel of the stream" in text
        assert (folder / "report.html").exists()
    assert not (tmp_path / "figures" / "photos").exists()
