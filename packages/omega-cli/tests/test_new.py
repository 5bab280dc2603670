"""What `omega new` makes, and what it does not. That it works is shown by tests/plugin_authors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from omega_cli.new import new
from omega_core import file_io
from omega_core.errors import OutputError
from omega_core.file_io import write_whole
from omega_core.plugins.components import KINDS


def omega_new(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "omega_cli", "new", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_distribution_has_all_that_one_needs(tmp_path: Path, kind: str) -> None:
    done = omega_new(kind, "my-own", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "omega-my-own"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "src/omega_my_own/__init__.py",
        "src/omega_my_own/plugin.py",
        f"src/omega_my_own/{kind}.py",
        "tests/test_omega_my_own.py",
    }
    texts = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
    assert not re.search("__[A-Z]+__", texts)
    assert f"class MyOwn{kind.capitalize()}" in texts
    assert 'omega-core[torch]>=0.1,<0.2"' in texts
    assert "pip install" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("teapot", "mine"), "error: there is no kind of component 'teapot'. The kinds are architecture, "),
        (
            ("quantiser", "mine"),
            "error: there is no kind of component 'quantiser'. Did you mean 'quantizer'? The kinds ",
        ),
        (("quant", "mine"), "error: there is no kind of component 'quant'. Did you mean 'quantizer'? The kinds "),
        (
            ("quantizer", "My Quant"),
            "error: 'My Quant' is not a valid name: use lower-case letters, digits and hyphens, starting with a letter,"
            " such as my-quant.\n",
        ),
        (("quantizer", "3d"), "error: '3d' is not a valid name: "),
        (("quantizer", "../mine"), "error: '../mine' is not a valid name: "),
        (("trainer", "train"), "error: omega-train is a package of Omega itself: choose a name other than 'train'."),
    ],
)
def test_what_cannot_be_made_is_named(tmp_path: Path, arguments: tuple[str, str], message: str) -> None:
    done = omega_new(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "omega-mine").mkdir()
    (tmp_path / "omega-mine" / "notes.txt").write_text("mine")
    done = omega_new("quantizer", "mine", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "error: omega-mine exists already; choose another --output.\n")
    assert omega_new("quantizer", "mine", "--output", tmp_path / "elsewhere", cwd=tmp_path).returncode == 0
    assert (tmp_path / "elsewhere" / "src" / "omega_mine" / "quantizer.py").exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_distribution_that_cannot_be_written_to_its_end_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    count = 0

    def write(path: Path, data: bytes, *, overwrite: bool) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise OutputError(f"cannot write {path}: No space left on device.")
        write_whole(path, data, overwrite=overwrite)

    folder = tmp_path / "deeper" / "omega-mine"
    if there:
        folder.mkdir(parents=True)
    monkeypatch.setattr(file_io, "write_whole", write)
    with pytest.raises(OutputError):
        new("quantizer", "mine", folder)
    assert count == 4
    assert list(tmp_path.rglob("*")) == [tmp_path / "deeper", *([folder] if there else [])]


def test_an_empty_folder_is_filled_the_current_one_too(tmp_path: Path) -> None:
    done = omega_new("quantizer", "mine", "--output", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("LICENSE", "README.md", "pyproject.toml", "src", "tests"),
    ]


def test_a_summary_is_what_its_author_says(tmp_path: Path) -> None:
    done = omega_new("coder", "mine", "--summary", "Golomb–Rice coding", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for name in ("README.md", "pyproject.toml", "src/omega_mine/plugin.py", "src/omega_mine/__init__.py"):
        assert "Golomb–Rice coding" in (tmp_path / "omega-mine" / name).read_text("utf-8")
    assert omega_new("coder", "other", "--summary", 'a "quote"', cwd=tmp_path).returncode == 2


def test_a_name_that_another_has_is_remarked_on(tmp_path: Path) -> None:
    done = omega_new("quantizer", "integer", cwd=tmp_path)
    assert done.returncode == 0
    assert "warning: omega-quant/integer has the same name" in done.stderr
