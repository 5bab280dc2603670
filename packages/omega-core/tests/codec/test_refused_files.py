"""Damaged, forged and foreign files."""

import zlib

import numpy as np
import pytest
from model_samples import forged

from omega_core.codec.loading import load_model
from omega_core.errors import (
    CoderError,
    ComponentError,
    DamagedFileError,
    FileFormatError,
    ImageError,
    WrongModelError,
)
from omega_core.images.pictures import MAX_PIXELS


def test_a_file_of_another_model_is_refused_with_both_names(model, model_file, picture):
    other = load_model(model_file(block=8, channels_min=2, name="other"))
    with pytest.raises(WrongModelError) as caught:
        model.decompress(other.compress(picture))
    assert (caught.value.made_with, caught.value.given) == (other.fingerprint[:8], model.fingerprint)
    assert all(name in str(caught.value) for name in (other.fingerprint[:8], model.fingerprint[:8]))


def test_damaged_and_foreign_bytes_are_named_errors(model, picture):
    data = bytearray(model.compress(picture))
    data[-20] ^= 1
    with pytest.raises(DamagedFileError):
        model.decompress(bytes(data))
    with pytest.raises(FileFormatError):
        model.decompress(b"hello")


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"sizes": ((1 << 20, 1 << 20),)}, CoderError, "1048576×1048576 pixels, more than"),
        ({"sizes": ((9460, 9460),)}, CoderError, f"9460×9460 pixels, more than {MAX_PIXELS}"),
        ({"sizes": ((17, 24),)}, ImageError, "not 24×17"),
        ({"sizes": ((32, 24),)}, CoderError, "symbols"),
        ({"coder": "omega-other/fast"}, ComponentError, "no coder 'omega-other/fast'"),
        ({"stream": b"\xff" * 900}, CoderError, "too large"),
    ],
)
def test_a_forged_file_is_a_named_error(model, picture, changed, error, message):
    data = forged(model.compress(picture), **changed)
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
    with pytest.raises(error, match=message):
        model.decompress(data)


def test_a_file_that_is_said_to_be_rgb_is_refused_by_a_model_for_gray(model, picture):
    data = model.compress(picture)
    for changed in ({"mode": "RGB"}, {"mode": "RGBA", "alpha": b""}):
        with pytest.raises(DamagedFileError, match="its mode is RGB, its model is for gray"):
            model.decompress(forged(data, **changed))


def test_fields_that_are_not_known_are_ignored(model, noise_picture):
    picture = noise_picture(8, 8)
    data = forged(model.compress(picture), unknown={200: b"of a later Omega"})
    assert (np.asarray(model.decompress(data)) == picture).all()
