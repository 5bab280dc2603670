"""Pictures of a file that arrives in pieces: each symbol is decoded once, whatever the pieces are."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import omega_core
from omega_core import ProgressiveDecoder
from omega_core.codec.file_codec import SymbolDecoder
from omega_core.codec.loading import load_model
from omega_core.errors import DamagedFileError, FileFormatError, ImageError, WrongModelError
from omega_core.format.file import OmegaFile
from omega_core.format.header import Header
from omega_core.images.pictures import Picture


@pytest.fixture
def model(model_file):
    """64 channels; lossless with all of them."""
    return load_model(model_file(block=8))


@pytest.fixture
def picture(noise_picture):
    return noise_picture(16, 24)


@pytest.fixture
def decoded_symbols(monkeypatch):
    """How many symbols each call of a decoder returned."""
    seen, decode = [], SymbolDecoder.decode

    def watched(self, data, **how):
        before = self.count
        decode(self, data, **how)
        seen.append(self.count - before)

    monkeypatch.setattr(SymbolDecoder, "decode", watched)
    return seen


def fed(decoder, data, length):
    """The pictures that pieces of a length give."""
    found = (decoder.feed(data[start : start + length]) for start in range(0, len(data), length))
    return [picture for picture in found if picture is not None]


def test_a_file_that_arrives_has_each_symbol_decoded_once(model, picture, decoded_symbols):
    images = list(model.decompress_progressively(model.compress(picture)))
    assert len(decoded_symbols) == len(images) > 1
    assert sum(decoded_symbols) == picture.size


@pytest.mark.parametrize("length", [1, 7, 100])
@pytest.mark.parametrize("growth", [1, 1.25, 4])
def test_pieces_of_any_length_give_the_pictures_of_the_truncated_files(model, picture, length, growth, decoded_symbols):
    whole = OmegaFile.parse(model.compress(picture))
    decoder = ProgressiveDecoder(model, growth=growth)
    images = fed(decoder, whole.to_bytes(), length)
    assert sum(decoded_symbols) == picture.size
    sizes = [image.info["stream_bytes"] for image in images]
    assert sizes[-1] == decoder.stream_bytes == whole.header.length
    assert all(after >= growth * before for before, after in pairwise(sizes[:-1]))
    if growth == 1:
        assert len(images) >= whole.header.length // length
    for image, size in zip(images[::7], sizes[::7], strict=True):
        assert np.array_equal(image, model.decompress(whole.truncated(size).to_bytes()))


def test_the_last_byte_waits_for_the_checksum(model, picture):
    data = model.compress(picture)
    length = OmegaFile.parse(data).header.length
    decoder = ProgressiveDecoder(model)
    assert decoder.feed(data[:-1]).info["stream_bytes"] == length - 1
    assert not decoder.complete
    assert decoder.feed(b"") is None
    assert decoder.feed(data[-1:] + b"more").info["stream_bytes"] == length
    assert decoder.complete
    assert decoder.feed(b"and more") is None
    damaged = ProgressiveDecoder(model)
    damaged.feed(data[:-1])
    with pytest.raises(DamagedFileError):
        damaged.feed(bytes([data[-1] ^ 1]))


def test_nothing_is_shown_before_the_stream_begins(model, picture):
    data = model.compress(picture)
    start = len(data) - 4 - OmegaFile.parse(data).header.length
    decoder = ProgressiveDecoder(model)
    assert fed(decoder, data[:start], 1) == []
    assert decoder.stream_bytes == 0
    assert decoder.feed(data[start : start + 1]).info["stream_bytes"] == 1


def test_the_model_may_be_a_path_and_has_to_be_that_of_the_file(model, model_file, picture):
    data = model.compress(picture)
    path, other = model_file(block=8), model_file(block=8, channels_min=2, name="other")
    assert np.array_equal(ProgressiveDecoder(str(path)).feed(data), picture)
    for decoder, given in (ProgressiveDecoder(other), load_model(other).fingerprint), (ProgressiveDecoder(), None):
        with pytest.raises(WrongModelError) as caught:
            decoder.feed(data)
        assert (caught.value.made_with, caught.value.given) == (load_model(path).fingerprint[:8], given)
        with pytest.raises(WrongModelError):
            decoder.feed(b"more")


def test_what_is_no_file_of_one_picture_is_refused(model, noise_picture):
    with pytest.raises(FileFormatError, match=r"not an \.omega file"):
        ProgressiveDecoder(model).feed(b"hello")
    several = [Picture(noise_picture(1, 8, 8, seed=seed)) for seed in range(3)]
    with pytest.raises(ImageError, match="this file has 3 pictures, not one"):
        ProgressiveDecoder(model).feed(model.encode_together(several).to_bytes())


def test_alpha_and_profile_are_those_of_the_file(model, noise_picture):
    given = Picture(noise_picture(1, 8, 8), noise_picture(8, 8, seed=1))
    images = fed(ProgressiveDecoder(model), model.compress(given), 1)
    assert all((np.asarray(image)[:, :, 1] == given.alpha).all() for image in images)


def test_it_is_a_public_name():
    assert "ProgressiveDecoder" in dir(omega_core)


def test_a_long_header_is_parsed_once_for_each_field_and_not_for_each_piece(model, picture, monkeypatch):
    data = model.compress(picture)
    file = OmegaFile.parse(data)
    long = OmegaFile(replace(file.header, unknown={200: bytes(10_000), 201: bytes(10_000)}), file.stream).to_bytes()
    read, calls = Header.read, []
    monkeypatch.setattr(Header, "read", lambda reader: (calls.append(len(reader.source.getvalue())), read(reader))[1])
    *_, last = fed(ProgressiveDecoder(model), long, 16)
    assert len(calls) < 40
    assert (np.asarray(last) == np.asarray(omega_core.decompress(data, model))).all()


def test_bytes_after_the_end_take_no_memory(model, picture):
    decoder = ProgressiveDecoder(model)
    assert decoder.feed(model.compress(picture)) is not None
    tracemalloc.start()
    for _ in range(20):
        assert decoder.feed(bytes(1 << 20)) is None
    assert tracemalloc.get_traced_memory()[0] < 1 << 16
    tracemalloc.stop()
    assert decoder.complete


@pytest.mark.parametrize("growth", [0.9, 0, -1, float("nan")])
def test_a_growth_below_1_is_refused(model, growth):
    with pytest.raises(ValueError, match="growth has to be 1 or more"):
        ProgressiveDecoder(model, growth=growth)
