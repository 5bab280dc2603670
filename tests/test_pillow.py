"""Pillow with the models that come with the command."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import omega_core
import omega_core.pillow  # registers the format

BUNDLED = Path(__file__).parent / "golden" / "bundled"
NAMES = ("compact", "compact-screen", "compact-small", "mnist-omega-16", "mnist-integer-16")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_a_bundled_model_is_opened_by_the_model_that_it_names(name: str) -> None:
    with Image.open(BUNDLED / f"{name}.omega") as image, Image.open(BUNDLED / f"{name}.png") as expected:
        assert image.info["model_name"] == name
        assert (image.mode, image.size) == (expected.mode, expected.size)
        difference = np.asarray(image).astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1


def test_opening_and_verifying_imports_neither_torch_nor_numpy() -> None:
    program = f"""
import json, sys
import omega_core.pillow
from PIL import Image

found = []
for name in {NAMES!r}:
    with Image.open({str(BUNDLED)!r} + f"/{{name}}.omega") as image:
        found.append([image.info["model_name"], image.format, *image.size])
        image.verify()
print(json.dumps([found, sorted({{"torch", "numpy"}} & set(sys.modules))]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found, heavy = json.loads(done.stdout)
    assert [each[:2] for each in found] == [[name, "OMEGA"] for name in NAMES]
    assert heavy == []


def test_the_default_model_saves_and_makes_thumbnails() -> None:
    photo, file = Image.radial_gradient("L").resize((600, 400)).convert("RGB"), io.BytesIO()
    photo.save(file, "OMEGA", bpp=0.5)
    assert file.getvalue() == omega_core.compress(photo, bpp=0.5)
    whole, thumbnail = Image.open(file), Image.open(file)
    whole.load()
    for image in (whole, thumbnail):
        image.thumbnail((64, 64))
    assert thumbnail.size == whole.size == (64, 43)
    difference = np.asarray(thumbnail).astype(float) - np.asarray(whole)
    assert np.square(difference).mean() < 255**2 / 1000  # 30 dB
