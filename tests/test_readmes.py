"""What the READMEs show is run."""

import logging
import re
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from omega_train.data.glyphs import glyphs
from omega_train.recipe import load_recipe

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", *sorted((ROOT / "packages").glob("*/README.md"))]

FEWER = ("--batch-size", 64, "--dataset-option", "training=64", "--dataset-option", "validation=64")
"""Makes training quick."""


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "tests" / "golden" / "model.safetensors", tmp_path)
    shutil.copy(ROOT / "tests" / "golden" / "a.png", tmp_path / "digit.png")
    Image.radial_gradient("L").resize((60, 40)).convert("RGB").save(tmp_path / "photo.png")
    yield tmp_path
    logging.getLogger("omega_train").setLevel(logging.NOTSET)  # which a README sets


@pytest.mark.parametrize("path", [p for p in READMES if blocks(p, "python")], ids=lambda path: path.parent.name)
def test_python_in_a_readme_runs(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omega_train.data.glyphs.glyphs", cache(glyphs))  # each run of training draws the same
    names: dict[str, Any] = {}
    for block in blocks(path, "python"):
        exec(compile(block, str(path), "exec"), names)


def test_commands_in_the_readme_of_the_command_run(omega: Any, folder: Path) -> None:
    lines = "".join(blocks(ROOT / "packages" / "omega-cli" / "README.md", "console")).splitlines()
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(line)[1:]
        done = omega(*words, *(FEWER if words[0] == "train" else ()))
        assert done.returncode == 0, (line, done.stderr)


def test_the_recipe_in_a_readme_is_one(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "packages" / "omega-train" / "README.md", "toml")
    (tmp_path / "recipe.toml").write_text(block)
    assert load_recipe(str(tmp_path / "recipe.toml")).channels == 16
