"""A model that Pillow uses, lossless with all channels, and files of it."""

import io

import pytest
from PIL import Image

import omega_core.pillow
import omega_core.pillow.models


@pytest.fixture
def model(local, monkeypatch):
    """For RGB pictures of any size, with 12 channels."""
    monkeypatch.setattr(omega_core.pillow.models, "_added", {})
    made = local(3)
    omega_core.pillow.add_model(made)
    return made


@pytest.fixture
def photo(noise_picture):
    """Noise of 30×20 pixels."""
    return Image.fromarray(noise_picture(20, 30, 3))


@pytest.fixture
def data(model, photo):
    """The bytes of its file."""
    return model.compress(photo)


@pytest.fixture
def path(data, tmp_path):
    """The path of its file."""
    (tmp_path / "a.omega").write_bytes(data)
    return tmp_path / "a.omega"


@pytest.fixture
def through(model):
    """Saves an image with options, and opens the file."""

    def save_and_open(image, **options):
        file = io.BytesIO()
        image.save(file, "OMEGA", **{"model": model, **options})
        return Image.open(file)

    return save_and_open
