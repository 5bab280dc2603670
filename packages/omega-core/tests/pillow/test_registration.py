"""The format among those that Pillow knows."""

import subprocess
import sys

import pytest
from PIL import Image

import omega_core.pillow


def test_importing_the_package_registers_the_format():
    assert Image.registered_extensions()[".omega"] == "OMEGA"
    assert Image.MIME["OMEGA"] == "image/x-omega"
    assert {"OMEGA"} <= {*Image.OPEN} & {*Image.SAVE} & {*Image.ID}


def test_registering_it_again_changes_nothing():
    before = [*Image.ID], {**Image.EXTENSION}
    omega_core.pillow.register()
    assert before == (Image.ID, Image.EXTENSION)


@pytest.mark.parametrize("first", ["", "Image.preinit()", "Image.init()"])
def test_it_is_found_beside_the_formats_of_pillow_whichever_come_first(path, first):
    program = f"""
import sys
from PIL import Image
{first}
import omega_core.pillow
with Image.open({str(path)!r}) as image:
    assert (image.format, image.size, image.mode) == ("OMEGA", (30, 20), "RGB")
    assert image.get_format_mimetype() == "image/x-omega"
Image.new("L", (9, 9)).save({str(path.with_suffix(".png"))!r})
with Image.open({str(path.with_suffix(".png"))!r}) as image:
    assert image.format == "PNG"
assert Image.registered_extensions()[".omega"] == "OMEGA" and ".webp" in Image.registered_extensions()
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
