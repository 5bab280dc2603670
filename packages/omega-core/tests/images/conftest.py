"""Files of the tests of this folder, and the path to `image_samples`."""

import sys
from pathlib import Path

import pytest
from PIL import Image, ImageFile

import omega_core.images.reading

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def file_of(tmp_path):
    """Writes a file and returns its path."""

    def write(data, name="picture"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


@pytest.fixture
def failing_format(monkeypatch, file_of):
    """Adds a format to Pillow that fails when it is opened or loaded, and returns a file of it."""

    def add(when, error):
        class Failing(ImageFile.ImageFile):
            format = "FAILING"

            def _open(self):
                self._mode, self._size = "L", (4, 4)
                if when == "opened":
                    raise error

            def load(self):
                raise error

        Image.init()  # now, as what it adds to Image.ID below would be lost
        monkeypatch.setattr(omega_core.images.reading, "FORMATS", ("PNG", "FAILING"))
        monkeypatch.setitem(Image.OPEN, "FAILING", (Failing, lambda start: start.startswith(b"FAILING")))
        monkeypatch.setattr(Image, "ID", [*Image.ID, "FAILING"])
        return file_of(b"FAILING" + bytes(100), "a.failing")

    return add
