"""What the READMEs show is run."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from omega_train.recipe import load_recipe

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", *sorted((ROOT / "packages").glob("*/README.md"))]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "tests" / "golden" / "model.safetensors", tmp_path)
    shutil.copy(ROOT / "tests" / "golden" / "a.png", tmp_path / "digit.png")
    Image.radial_gradient("L").resize((60, 40)).convert("RGB").save(tmp_path / "photo.png")
    return tmp_path


@pytest.mark.parametrize("path", [p for p in READMES if blocks(p, "python")], ids=lambda path: path.parent.name)
def test_python_in_a_readme_runs(path: Path, folder: Path) -> None:
    names: dict[str, Any] = {}
    for block in blocks(path, "python"):
        exec(compile(block, str(path), "exec"), names)


def test_commands_in_the_readme_of_the_command_run(omega: Any, folder: Path) -> None:
    lines = "".join(blocks(ROOT / "packages" / "omega-cli" / "README.md", "console")).splitlines()
    assert len(lines) > 5
    for line in lines:
        done = omega(*shlex.split(line)[1:])
        assert done.returncode == 0, (line, done.stderr)


def test_the_recipe_in_a_readme_is_one(tmp_path: Path) -> None:
    (block,) = blocks(ROOT / "packages" / "omega-train" / "README.md", "toml")
    (tmp_path / "recipe.toml").write_text(block)
    assert load_recipe(str(tmp_path / "recipe.toml")).channels == 16


def test_all_packages_have_one_version_and_pin_each_other_to_it() -> None:
    texts = {path.parent.name: path.read_text() for path in (ROOT / "packages").glob("*/pyproject.toml")}
    versions = {re.search(r'^version = "(.*)"', text, re.MULTILINE)[1] for text in texts.values()}  # type: ignore[index]
    assert len(versions) == 1
    (version,) = versions
    for name, text in texts.items():
        pins = re.findall(r'"(omega-\w+)(?:\[[\w-]+\])?(.*?)"', text.split("dependencies = [", 1)[1])
        assert all(pin == f"=={version}" for sibling, pin in pins), name
        module = ROOT / "packages" / name / "src" / name.replace("-", "_") / "__init__.py"
        assert f'__version__ = "{version}"' in module.read_text()
