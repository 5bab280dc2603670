"""The examples name what is there."""

import re
import subprocess
from pathlib import Path

import pytest

from omega_train.recipe import load_recipe, recipe_names

SCRIPT = Path(__file__).parents[1] / "examples" / "slurm" / "grid.sbatch"

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
