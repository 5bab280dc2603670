"""Files that arrive in pieces or are incomplete."""

import os
import threading
from io import BytesIO

import numpy as np
import pytest
from model_samples import arrays_of, forged, gray_profile

import omega_core
import omega_core.codec.model
import omega_core.plugins.registry
from omega_core.codec.loading import load_model
from omega_core.errors import (
    CoderError,
    CutOffError,
    DamagedFileError,
    FileFormatError,
    WrongModelError,
)
from omega_core.format.file import OmegaFile
from omega_core.format.rate_control import truncate
from omega_core.images.pictures import Picture


def test_what_is_intact_of_a_file_is_decoded_if_asked_for(model, picture):
    part = model.compress(picture)[:-100]
    with pytest.raises(CutOffError) as caught:
        model.decompress(part)
    intact = caught.value.intact
    assert 0 < intact < 64
    expected = model.decompress(model.compress(picture, channels=intact))
    assert (np.asarray(model.decompress(part, partial=True)) == np.asarray(expected)).all()


class Watched(BytesIO):
    """A stream that gives a few bytes at a time, and counts those that it gave."""

    def __init__(self, data, most=1 << 20):
        super().__init__(data)
        self.most = most

    def read(self, count):
        return super().read(min(count, self.most))


STREAMS = pytest.mark.parametrize(
    "stream",
    [bytes, BytesIO, lambda data: Watched(data, 1), lambda data: Watched(data, 100)],
    ids=["bytes", "file", "byte by byte", "in pieces"],
)


@STREAMS
def test_pictures_of_a_file_that_arrives_are_those_of_the_file_truncated_at_each_cut(model, picture, stream):
    data = model.compress(picture)
    cuts = list(OmegaFile.parse(data).header.cuts)
    images = list(model.decompress_progressively(stream(data)))
    assert [image.info["channels"] for image in images] == cuts
    assert arrays_of(images) == arrays_of(model.decompress(truncate(data, channels=n)) for n in cuts)
    assert arrays_of(images[-1:]) == [picture.tolist()]


def test_each_picture_is_there_as_soon_as_its_bytes_are(model, picture):
    data = model.compress(picture, channels=9)
    cuts, stream = OmegaFile.parse(data).header.cuts, Watched(data + b"more")
    start = len(data) - 4 - len(OmegaFile.parse(data).stream)
    seen = []
    for image in model.decompress_progressively(stream):
        seen.append(image.info["channels"])
        assert stream.tell() == (start + cuts[seen[-1]] if seen[-1] < 9 else len(data))
    assert seen == list(cuts) == [2, 4, 6, 8, 9]


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_file_may_arrive_through_a_pipe(model, picture, buffering):
    data = model.compress(picture)
    incoming, outgoing = os.pipe()

    def send():
        with os.fdopen(outgoing, "wb", buffering=0) as pipe:
            for start in range(0, len(data), 97):
                pipe.write(data[start : start + 97])

    sender = threading.Thread(target=send)
    sender.start()
    with os.fdopen(incoming, "rb", buffering=buffering) as pipe:
        images = list(model.decompress_progressively(pipe))
    sender.join()
    assert arrays_of(images) == arrays_of(model.decompress_progressively(data))


def arriving(model, data):
    """The channels of the pictures that a file gives as it arrives, and the error that ends them."""
    seen, images = [], model.decompress_progressively(BytesIO(data))
    while True:
        try:
            seen.append(next(images).info["channels"])
        except StopIteration:
            return seen, None
        except omega_core.OmegaError as problem:
            return seen, problem


def test_a_file_that_breaks_off_while_it_arrives_gives_what_is_intact_and_then_an_error(model, noise_picture):
    data = model.compress(noise_picture(8, 8), channels=7)
    cuts = OmegaFile.parse(data).header.cuts
    start = len(data) - 4 - len(OmegaFile.parse(data).stream)
    for length in range(2, len(data)):
        seen, problem = arriving(model, data[:length])
        intact = [n for n, size in cuts.items() if length >= start + size]
        assert seen == [n for n in intact if n < 7]
        assert type(problem) is CutOffError
        assert problem.intact == max(intact, default=0)
    assert arriving(model, data) == ([2, 4, 6, 7], None)


@pytest.mark.parametrize("place", [-1, -4, -5, -6])
def test_a_file_that_is_damaged_at_its_end_gives_earlier_pictures_and_then_an_error(model, picture, place):
    data = bytearray(model.compress(picture))
    data[place] ^= 1
    seen, problem = arriving(model, bytes(data))
    assert seen == list(range(2, 63, 2))
    assert type(problem) is DamagedFileError


def test_what_arrives_and_is_no_file_of_the_model_is_refused_as_elsewhere(model, model_file, noise_picture):
    other = load_model(model_file(block=8, channels_min=2, name="other"))
    assert type(arriving(model, b"hello")[1]) is FileFormatError
    assert type(arriving(model, other.compress(noise_picture(8, 8)))[1]) is WrongModelError
    assert (
        type(arriving(model, forged(model.compress(noise_picture(8, 8)), sizes=((1 << 20, 1 << 20),)))[1]) is CoderError
    )


def test_alpha_and_profile_are_there_from_the_first_picture_that_arrives(model, noise_picture):
    picture = Picture(noise_picture(1, 8, 8), noise_picture(8, 8, seed=1), gray_profile())
    images = list(model.decompress_progressively(model.compress(picture)))
    assert len(images) == 32
    assert all((np.asarray(image)[:, :, 1] == picture.alpha).all() for image in images)
    assert {image.info["icc_profile"] for image in images} == {gray_profile()}


def test_the_function_of_the_package_takes_a_model_or_its_path(model_file, picture):
    path = model_file(block=8)
    model = load_model(path)
    data = model.compress(picture)
    expected = arrays_of(model.decompress_progressively(data))
    for given in (path, str(path), model):
        images = omega_core.decode_progressively(BytesIO(data), given)
        assert arrays_of(images) == expected
