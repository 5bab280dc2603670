"""A shell as an author of plugins has it."""

import os
import subprocess
import sys
from collections.abc import Iterator
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


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Any]:
    """What it made is installed no more afterwards. `digits` is a folder with pictures."""
    (tmp_path / "digits").mkdir()
    Image.linear_gradient("L").resize((28, 28)).save(tmp_path / "digits" / "a.png")
    yield Shell(tmp_path)
    made = [folder.name for folder in tmp_path.glob("omega-*")]  # and nothing that another process has made meanwhile
    subprocess.run([sys.executable, "-m", "pip", "uninstall", "-y", "-q", *made], capture_output=True, check=False)
