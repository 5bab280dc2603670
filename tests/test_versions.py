"""All packages have the version in VERSION, and pin each other to it, in wheels and in what wheels are made of."""

import importlib
import re
import shutil
import subprocess
import sys
from email.parser import Parser
from importlib.metadata import requires, version
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
NAMES = ("omega-core", "omega-quant", "omega-entropy", "omega-train", "omega-cli")
BUILD = "from hatchling.builders.{kind} import {builder}; print(next({builder}({folder!r}).build(directory={to!r})))"


def pins(requirements: list[str]) -> list[str]:
    """What the requirements of other packages of ours ask for."""
    return [found[1] for text in requirements if (found := re.match(r"omega-\w+(?:\[[\w-]+\])?([^;]*)", text))]


@pytest.mark.parametrize("name", NAMES)
def test_the_version_is_told_in_one_place(name: str) -> None:
    expected = (ROOT / "VERSION").read_text().strip()
    package = importlib.import_module(name.replace("-", "_"))
    assert package.__version__ == version(name) == expected
    assert {*pins(requires(name) or [])} == ({f"=={expected}"} if name != "omega-core" else set())
    assert expected not in (ROOT / "packages" / name / "pyproject.toml").read_text()


def test_the_hooks_that_fill_in_pins_are_alike() -> None:
    hooks = [path.read_text() for path in (ROOT / "packages").glob("*/hatch_build.py")]
    assert len(hooks) == len(NAMES) - 1
    assert len({*hooks}) == 1


def built(kind: str, folder: Path, to: Path) -> Path:
    """The distribution of a package that hatchling builds, as pip would have it built."""
    program = BUILD.format(kind=kind, builder=f"{kind.capitalize()}Builder", folder=str(folder), to=str(to))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=folder)
    return Path(done.stdout.strip())


@pytest.mark.parametrize("name", ["omega-core", "omega-cli"])
def test_a_wheel_of_a_source_distribution_has_the_version_and_the_pins(name: str, tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "packages" / name, checkout / "packages" / name)
    (checkout / "VERSION").write_text("7.8.9\n")
    source = built("sdist", checkout / "packages" / name, tmp_path)
    shutil.unpack_archive(source, tmp_path, filter="data")
    wheel = built("wheel", tmp_path / source.name.removesuffix(".tar.gz"), tmp_path)
    with ZipFile(wheel) as archive:
        [path] = [path for path in archive.namelist() if path.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(path).decode())
    assert metadata["Version"] == "7.8.9"
    assert pins(metadata.get_all("Requires-Dist", [])) == ["==7.8.9"] * (5 if name == "omega-cli" else 0)
