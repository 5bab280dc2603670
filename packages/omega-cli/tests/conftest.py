import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

NOBODY = 65534


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A folder in which permissions hold: this process is not root while a test uses it."""
    with TemporaryDirectory() as folder:
        if os.name == "nt":
            pytest.skip("needs the permissions of POSIX")
        root = os.geteuid() == 0
        if root:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)
