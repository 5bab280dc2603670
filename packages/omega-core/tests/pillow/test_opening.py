"""Opening of `.omega` files in Pillow, which reads their headers."""

import io
import os
from dataclasses import replace

import pytest
from PIL import Image, UnidentifiedImageError

from omega_core.format.file import OmegaFile
from omega_core.format.packs import Pack
from omega_core.pillow.image_file import OmegaImageFile


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    count = 0

    def read(self, size=-1):
        found = super().read(size)
        self.count += len(found)
        return found


def header_of(data):
    return OmegaFile.parse(data).header


def test_only_the_header_is_read(data):
    file = Counting(data)
    with Image.open(file) as image:
        assert (image.format, image.mode, image.size) == ("OMEGA", "RGB", (30, 20))
        assert image.format_description == "Omega, a learned image codec"
        assert image.get_format_mimetype() == "image/x-omega"
    assert file.count == 16 + len(header_of(data).to_bytes())  # Pillow itself looks at the first 16 bytes


def test_the_header_is_told(data, model):
    shorter = OmegaFile.parse(data).truncated(100).to_bytes()
    for each, complete in ((data, True), (shorter, False)):
        with Image.open(io.BytesIO(each)) as image:
            assert image.info == {
                "model": model.fingerprint[:8],
                "coder": "omega-toys/two-bytes",
                "complete": complete,
                "stream_bytes": header_of(each).length,
            }


def test_a_path_a_file_and_anything_that_reads_is_opened(path, data):
    class Reading:
        def __init__(self):
            self.read = io.BytesIO(data).read

    with path.open("rb") as file:
        for source in (str(path), path, os.fsencode(path), file, io.BytesIO(data), Reading()):
            with Image.open(source) as image:
                assert image.tobytes() == Image.open(path).tobytes()


@pytest.mark.parametrize("keep", range(14))
def test_what_breaks_off_in_its_header_is_not_identified(data, keep):
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data[:keep]))


def test_a_damaged_header_is_not_identified_and_the_class_says_why(data):
    damaged = bytearray(data)
    damaged[3] ^= 0b100  # varints where the size has a byte a side
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(damaged))
    with pytest.raises(SyntaxError, match="the file is damaged"):
        OmegaImageFile(io.BytesIO(damaged))


def test_a_damaged_profile_is_not_identified(data):
    file = OmegaFile.parse(data)
    damaged = OmegaFile(replace(file.header, profile=b"nothing"), file.stream).to_bytes()
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(damaged))


def test_another_format_is_none_of_ours(tmp_path):
    Image.new("L", (9, 9)).save(tmp_path / "a.omega", "PNG")
    with Image.open(tmp_path / "a.omega") as image:
        assert image.format == "PNG"
    with pytest.raises(SyntaxError, match=r"this is not an \.omega file"):
        OmegaImageFile(tmp_path / "a.omega")


def test_a_file_of_a_later_version_says_so(data):
    later = data[:2] + bytes([data[2] + 16]) + data[3:]
    with pytest.warns(UserWarning, match="has version 3; this Omega reads 2"), pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(later))


def test_a_pack_says_what_unpacks_it(data):
    pack = Pack(((OmegaFile.parse(data), ("a",)),)).to_bytes()
    with pytest.warns(UserWarning, match="`omega decompress` unpacks it"), pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(pack))


def test_a_file_of_several_pictures_is_refused(model, noise_picture):
    several = model.encode_together([model.read(noise_picture(8, 8, 3))] * 3).to_bytes()
    with pytest.raises(OSError, match="has 3 pictures, not one"):
        Image.open(io.BytesIO(several))


def test_the_limit_of_pillow_holds_before_anything_is_decoded(data, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 599)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(io.BytesIO(data)).load()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 299)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))


def test_there_is_one_frame(path):
    with Image.open(path) as image:
        image.seek(0)
        assert image.tell() == 0
        with pytest.raises(EOFError):
            image.seek(1)
