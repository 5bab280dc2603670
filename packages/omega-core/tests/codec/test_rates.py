"""The choice of a rate by channels, bytes or PSNR."""

import numpy as np
import pytest

from omega_core.codec.loading import load_model
from omega_core.coding.tables import MISSING
from omega_core.errors import (
    OmegaWarning,
    RateError,
)
from omega_core.format.file import OmegaFile
from omega_core.format.rate_control import truncate
from omega_core.images.metrics import psnr
from omega_core.images.reading import read_picture


def prefix(symbols, count):
    """Symbols (C, h, w) of which only those of the first channels are known."""
    known = symbols.copy()
    known[count:] = MISSING
    return known


@pytest.mark.parametrize("channels", [1, 2, 3, 31, 32, 63, 64])
def test_any_number_of_channels_decodes_to_what_those_channels_make(model, picture, channels):
    data = model.compress(picture, channels=channels)
    symbols, parsed = model.decode(data)
    assert parsed.header.length == 2 * channels * 2 * 3
    assert parsed.header.complete == (channels == 64)
    assert (symbols == prefix(model.file_codec.symbols(picture[None]), channels)).all()
    expected = np.asarray(model.reconstruct(picture, channels=channels))
    assert (np.asarray(model.decompress(data)) == expected).all()


def test_one_encoding_has_the_files_of_many_channel_counts(model, picture):
    encoded = model.encode(picture)
    assert encoded.symbols.shape == (64, 2, 3)
    assert (
        list(encoded.lengths)
        == model.channel_counts
        == [2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 18, 21, 24, 29, 34, 40, 46, 55, 64]
    )
    for channels, length in encoded.lengths.items():
        assert encoded.file(channels) == model.compress(picture, channels=channels)
        assert encoded.file(channels) == encoded.whole.truncated(length).to_bytes()
    with pytest.raises(RateError) as caught:
        encoded.file(63)
    assert list(caught.value.channels) == list(encoded.lengths)
    assert list(model.encode(picture, counts=[3, 64]).lengths) == [3, 64]


def test_a_file_truncated_to_any_number_of_bytes_has_the_symbols_that_they_determine(model, picture):
    whole = OmegaFile.parse(model.compress(picture))
    symbols = model.file_codec.symbols(picture[None])
    for length in range(len(whole.stream) + 1):
        found, parsed = model.decode(whole.truncated(length).to_bytes())
        known = symbols.reshape(-1).copy()
        known[length // 2 :] = MISSING
        assert (found.reshape(-1) == known).all()
        assert (parsed.header.length, parsed.header.complete) == (length, length == len(whole.stream))
    for length in (1, 101, len(whole.stream) - 1):
        pixels = model.decompress_picture(whole.truncated(length).to_bytes()).pixels
        assert pixels.shape == (1, *picture.shape)


def test_a_model_of_one_rate_has_one_number_of_channels(one_rate, noise_picture):
    encoded = one_rate.encode(noise_picture(4, 4))
    assert list(encoded.lengths) == one_rate.channel_counts == [4]
    assert one_rate.compress(noise_picture(4, 4), channels=4) == encoded.file(4)
    with pytest.raises(RateError) as caught:
        one_rate.compress(noise_picture(4, 4), channels=3)
    assert caught.value.channels == [4]


@pytest.mark.parametrize("channels", [-1, 0, 65])
def test_channels_that_the_model_does_not_have_are_refused(model, picture, channels):
    def encode(picture, channels):
        return model.encode(picture, counts=[channels])

    for ask in (model.compress, model.reconstruct, encode):
        with pytest.raises(RateError) as caught:
            ask(picture, channels=channels)
        assert list(caught.value.channels) == list(range(1, 65))
        assert str(channels) in str(caught.value)


def test_encoding_more_channels_than_the_model_has_is_refused(model, one_rate, picture):
    for of, possible in (model, list(range(1, 65))), (one_rate, [4]):
        with pytest.raises(RateError) as caught:
            of.compress(picture, channels=of.channels + 5)
        assert list(caught.value.channels) == possible


@pytest.mark.parametrize("budget", [40, 100, 101, 500, 700])
def test_a_budget_is_met_to_the_byte(model, picture, budget):
    whole = model.compress(picture)
    data = model.compress(picture, max_bytes=budget)
    assert len(data) == budget < len(whole)
    assert data == truncate(whole, max_bytes=budget)
    assert model.compress(picture, bpp=8 * budget / picture.size) == data
    assert model.compress(picture, max_bytes=len(whole)) == model.compress(picture, max_bytes=1 << 40) == whole


def test_a_fraction_is_of_the_channels(model, picture):
    for channels in (2, 20, 64):
        assert model.compress(picture, fraction=channels / 64) == model.compress(picture, channels=channels)


@pytest.mark.parametrize("wanted", [6.0, 8.0, 12.0])
def test_a_quality_is_reached_by_decoding_few_pictures(model, picture, monkeypatch, wanted):
    decoded = []

    def quality(*pictures):
        decoded.append(psnr(*pictures))
        return decoded[-1]

    monkeypatch.setattr("omega_core.codec.encoding.psnr", quality)
    data = model.compress(picture, psnr=wanted)
    assert len(decoded) <= 12
    pixels = read_picture(picture).pixels
    reached = psnr(pixels, model.decompress_picture(data).pixels)
    assert reached >= wanted
    shorter = truncate(data, max_bytes=int(len(data) * 0.985))
    assert psnr(pixels, model.decompress_picture(shorter).pixels) < wanted


def test_a_quality_is_that_of_visible_pixels(model):
    noise = np.random.default_rng(3).integers(0, 256, (32, 48), np.uint8)
    alpha = np.zeros_like(noise)
    alpha[8:24, 8:40] = 255
    visible = alpha > 0
    data = model.compress(np.stack([np.where(visible, noise, 9), alpha], axis=2), psnr=12.0)
    assert data == model.compress(np.stack([noise, alpha], axis=2), psnr=12.0), "invisible colors take no bits"
    found = model.decompress_picture(data).pixels
    assert 12.0 <= psnr(noise[None], found, visible) < 13.0
    shorter = model.decompress_picture(truncate(data, max_bytes=int(len(data) * 0.98))).pixels
    assert psnr(noise[None], shorter, visible) < 12.0


def test_a_quality_that_is_not_reached_warns_and_keeps_the_whole_file(model, picture, monkeypatch):
    monkeypatch.setattr("omega_core.codec.encoding.psnr", lambda *_: 31.5)
    with pytest.warns(OmegaWarning, match=r"cannot reach 99 dB; the best this model can do is 31.50 dB"):
        data = model.compress(picture, psnr=99.0)
    assert OmegaFile.parse(data).header.complete


def test_a_budget_that_cannot_be_met_is_an_error(model, picture):
    with pytest.raises(RateError) as caught:
        model.compress(picture, max_bytes=10)
    assert caught.value.least_bytes == len(model.compress(picture, max_bytes=caught.value.least_bytes))


def test_fewer_channels_than_were_trained_for_warn(model_file, noise_picture):
    model = load_model(model_file(block=4, channels_min=8))
    with pytest.warns(OmegaWarning, match="8 channels: this model was trained for 9 and more"):
        model.compress(noise_picture(4, 4), channels=8)
    model.compress(noise_picture(4, 4), channels=10)
