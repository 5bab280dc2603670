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
from omega_core.images.pictures import Picture


def test_what_is_there_of_a_file_is_decoded_if_asked_for(model, picture):
    data = model.compress(picture)
    part = data[:-100]
    with pytest.raises(CutOffError) as caught:
        model.decompress(part)
    assert caught.value.intact == OmegaFile.parse(data).header.length + 4 - 100
    expected = model.decompress(OmegaFile.parse(data).truncated(caught.value.intact).to_bytes())
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


def arrived(images):
    """The bytes of the stream in each picture."""
    return [image.info["stream_bytes"] for image in images]


@STREAMS
def test_pictures_of_a_file_that_arrives_are_those_of_the_truncated_file(model, picture, stream):
    data = model.compress(picture)
    whole = OmegaFile.parse(data)
    images = list(model.decompress_progressively(stream(data)))
    lengths = arrived(images)
    assert lengths == sorted({*lengths})
    assert len(lengths) > 5
    assert lengths[-1] == whole.header.length
    assert arrays_of(images) == arrays_of(model.decompress(whole.truncated(n).to_bytes()) for n in lengths)
    assert arrays_of(images[-1:]) == [picture.tolist()]
    assert len(list(model.decompress_progressively(stream(data), growth=3))) < len(lengths)


def test_a_picture_comes_once_however_little_the_stream_grows(model, picture):
    images = model.decompress_progressively(model.compress(picture, max_bytes=80), growth=1.001)
    lengths = [image.info["stream_bytes"] for image in images]
    assert lengths == sorted({*lengths})


def test_each_picture_is_there_as_soon_as_its_bytes_are(model, picture):
    data = model.compress(picture)
    length, stream = OmegaFile.parse(data).header.length, Watched(data + b"more")
    start = len(data) - 4 - length
    for image in model.decompress_progressively(stream):
        there = image.info["stream_bytes"]
        assert stream.tell() == (start + there if there < length else len(data))


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
    """The bytes of the pictures that a file gives as it arrives, and the error that ends them."""
    seen, images = [], model.decompress_progressively(BytesIO(data))
    while True:
        try:
            seen.append(next(images).info["stream_bytes"])
        except StopIteration:
            return seen, None
        except omega_core.OmegaError as problem:
            return seen, problem


def test_a_file_that_breaks_off_while_it_arrives_gives_what_is_there_and_then_an_error(model, picture):
    data = model.compress(picture)
    whole = arrived(model.decompress_progressively(data))
    start = len(data) - 4 - whole[-1]
    for length in range(2, len(data), 13):
        seen, problem = arriving(model, data[:length])
        assert seen == [n for n in whole[:-1] if n <= length - start]
        assert type(problem) is CutOffError
        assert problem.intact == min(max(0, length - start), whole[-1])
    assert arriving(model, data) == (whole, None)


@pytest.mark.parametrize("place", [-1, -4, -5, -6])
def test_a_file_that_is_damaged_at_its_end_gives_earlier_pictures_and_then_an_error(model, picture, place):
    data = bytearray(model.compress(picture))
    whole = arrived(model.decompress_progressively(bytes(data)))
    data[place] ^= 1
    seen, problem = arriving(model, bytes(data))
    assert seen == whole[:-1]
    assert type(problem) is DamagedFileError


def test_what_arrives_and_is_no_file_of_the_model_is_refused_as_elsewhere(model, model_file, noise_picture):
    other = load_model(model_file(block=8, channels_min=2, name="other"))
    assert type(arriving(model, b"hello")[1]) is FileFormatError
    assert type(arriving(model, other.compress(noise_picture(8, 8)))[1]) is WrongModelError
    assert (
        type(arriving(model, forged(model.compress(noise_picture(8, 8)), sizes=((1 << 20, 1 << 20),)))[1]) is CoderError
    )


def test_alpha_and_profile_are_there_from_the_first_picture_that_arrives(model, noise_picture):
    picture = Picture(noise_picture(1, 16, 24), noise_picture(16, 24, seed=1), gray_profile())
    images = list(model.decompress_progressively(model.compress(picture)))
    assert len(images) > 1
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
    fewer = arrays_of(omega_core.decode_progressively(data, model, growth=1e9))
    assert len(fewer) < len(expected)
    assert fewer[-1] == expected[-1]
