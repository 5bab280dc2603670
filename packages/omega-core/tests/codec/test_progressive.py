"""Pictures of a file that arrives in pieces: each channel is decoded once, whatever the pieces are."""

import numpy as np
import pytest

import omega_core
from omega_core import ProgressiveDecoder, truncate
from omega_core.codec.file_codec import FileCodec
from omega_core.codec.loading import load_model
from omega_core.errors import DamagedFileError, FileFormatError, ImageError, WrongModelError
from omega_core.format.file import OmegaFile
from omega_core.images.pictures import Picture


@pytest.fixture
def model(model_file):
    """64 channels in 32 groups of 2; lossless with all of them."""
    return load_model(model_file(block=8))


@pytest.fixture
def picture(noise_picture):
    return noise_picture(16, 24)


@pytest.fixture
def decoded_channels(monkeypatch):
    """The channels that are decoded, in the order in which that happens."""
    seen, decode = [], FileCodec.decode_channels

    def watched(self, decoder, pictures, channels):
        seen.extend(channels)
        decode(self, decoder, pictures, channels)

    monkeypatch.setattr(FileCodec, "decode_channels", watched)
    return seen


@pytest.fixture
def made_pictures(monkeypatch):
    """The channels of each picture that is synthesized."""
    seen, pixels = [], FileCodec.pixels_of_all

    def watched(self, pictures, *given, **options):
        seen.extend(map(len, pictures))
        return pixels(self, pictures, *given, **options)

    monkeypatch.setattr(FileCodec, "pixels_of_all", watched)
    return seen


def fed(decoder, data, length):
    """The pictures that pieces of a length give."""
    found = (decoder.feed(data[start : start + length]) for start in range(0, len(data), length))
    return [picture for picture in found if picture is not None]


def test_a_file_that_arrives_gives_each_cut_and_decodes_each_channel_once(
    model, picture, decoded_channels, made_pictures
):
    data = model.compress(picture)
    cuts = list(OmegaFile.parse(data).header.cuts)
    images = list(model.decompress_progressively(data))
    assert decoded_channels == list(range(64))
    assert made_pictures == [image.info["channels"] for image in images] == cuts


@pytest.mark.parametrize("length", [1, 7, 100])
def test_pieces_of_any_length_give_the_pictures_of_the_truncated_files(model, picture, length, decoded_channels):
    data = model.compress(picture)
    decoder = ProgressiveDecoder(model)
    images = fed(decoder, data, length)
    assert decoded_channels == list(range(64))
    channels = [image.info["channels"] for image in images]
    assert channels == sorted({*channels})
    assert channels[-1] == decoder.channels == 64
    if length == 1:
        assert channels == list(OmegaFile.parse(data).header.cuts)
    for image, n in zip(images, channels, strict=True):
        assert np.array_equal(image, model.decompress(truncate(data, channels=n)))


def test_of_cuts_that_arrive_together_only_the_last_is_made(model, picture, made_pictures):
    data = model.compress(picture)
    parts = OmegaFile.parse(data)
    start = len(data) - 4 - len(parts.stream)
    decoder = ProgressiveDecoder(model)
    assert decoder.feed(data[: start + parts.header.cuts[40]]).info["channels"] == 40
    assert (decoder.channels, decoder.complete) == (40, False)
    assert decoder.feed(b"") is None
    assert np.array_equal(decoder.feed(data[start + parts.header.cuts[40] :] + b"more"), picture)
    assert (decoder.channels, decoder.complete) == (64, True)
    assert decoder.feed(b"and more") is None
    assert made_pictures == [40, 64]


def test_all_channels_wait_for_the_checksum(model, picture):
    data = model.compress(picture)
    decoder = ProgressiveDecoder(model)
    assert decoder.feed(data[:-1]).info["channels"] == 62
    assert not decoder.complete
    assert decoder.feed(data[-1:]).info["channels"] == 64
    damaged = ProgressiveDecoder(model)
    damaged.feed(data[:-1])
    with pytest.raises(DamagedFileError):
        damaged.feed(bytes([data[-1] ^ 1]))


def test_nothing_is_shown_before_the_first_cut(model, picture):
    data = model.compress(picture)
    parts = OmegaFile.parse(data)
    first = len(data) - 4 - len(parts.stream) + parts.header.cuts[2]
    decoder = ProgressiveDecoder(model)
    assert fed(decoder, data[: first - 1], 1) == []
    assert decoder.channels == 0
    assert decoder.feed(data[first - 1 : first]).info["channels"] == 2


def test_the_model_may_be_a_path_and_has_to_be_that_of_the_file(model, model_file, picture):
    data = model.compress(picture)
    path, other = model_file(block=8), model_file(block=8, channels_min=2, name="other")
    assert np.array_equal(ProgressiveDecoder(str(path)).feed(data), picture)
    for decoder, given in (ProgressiveDecoder(other), load_model(other).fingerprint), (ProgressiveDecoder(), None):
        with pytest.raises(WrongModelError) as caught:
            decoder.feed(data)
        assert (caught.value.made_with, caught.value.given) == (load_model(path).fingerprint[:8], given)


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
