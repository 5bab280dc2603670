"""A shell as an author of plugins has it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


class Shell:
    """Runs command lines in a folder of its own, with the commands of this environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": paths}
        self.environment.pop("PYTHONPATH", None)

    def __call__(self, line: str) -> str:
        done = subprocess.run(line, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout


@contextmanager
def _shell_in(folder: Path) -> Iterator[Shell]:
    """A shell in a folder. What is made there is installed no more afterwards; `digits` is a folder with a picture."""
    (folder / "digits").mkdir()
    Image.linear_gradient("L").resize((28, 28)).save(folder / "digits" / "a.png")
    try:
        yield Shell(folder)
    finally:
        made = [folder.name for folder in folder.glob("omega-*")]  # and nothing that another process has made meanwhile
        subprocess.run([sys.executable, "-m", "pip", "uninstall", "-y", "-q", *made], capture_output=True, check=False)


@pytest.fixture(scope="session")
def shell_in() -> Any:
    """Makes a shell in a folder, for as long as a `with` statement lasts."""
    return _shell_in


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Any]:
    """A shell in a folder of the test's own."""
    with _shell_in(tmp_path) as shell:
        yield shell
