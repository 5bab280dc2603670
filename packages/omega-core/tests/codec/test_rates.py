"""Cuts, and the choice of a cut by channels, bytes or PSNR."""

import math

import numpy as np
import pytest

from omega_core.codec.loading import decompress, load_model
from omega_core.errors import (
    OmegaWarning,
    RateError,
)
from omega_core.format.file import OmegaFile
from omega_core.images.metrics import psnr
from omega_core.images.reading import read_picture


def test_cuts_are_where_the_coder_ends_its_groups(model, noise_picture):
    assert OmegaFile.parse(model.compress(noise_picture(8, 8))).header.cuts == {n: 2 * n for n in range(2, 65, 2)}


@pytest.mark.parametrize("channels", [1, 2, 3, 31, 32, 63, 64])
def test_any_number_of_channels_decodes_to_what_those_channels_make(model, picture, channels):
    data = model.compress(picture, channels=channels)
    symbols, parsed = model.decode(data)
    assert parsed.channels == channels
    assert (symbols == model.files.symbols(picture[None])[:channels]).all()
    expected = np.asarray(model.reconstruct(picture, channels=channels))
    assert (np.asarray(model.decompress(data)) == expected).all()


def test_a_file_shortened_at_a_cut_is_the_one_compressed_with_so_many_channels(model, picture):
    whole = OmegaFile.parse(model.compress(picture))
    assert list(whole.header.cuts) == list(range(2, 65, 2))
    for channels in whole.header.cuts:
        assert whole.truncated(channels).to_bytes() == model.compress(picture, channels=channels)


def test_one_encoding_has_the_files_of_all_cuts(model, picture):
    encoded = model.encode(picture)
    assert encoded.symbols.shape == (64, 2, 3)
    for channels in encoded.cuts:
        assert encoded.file(channels) == model.compress(picture, channels=channels)
    with pytest.raises(RateError) as caught:
        encoded.file(3)
    assert caught.value.channels == encoded.cuts


def test_a_file_that_ends_between_cuts_can_be_shortened_at_those_before(model, picture):
    odd = OmegaFile.parse(model.compress(picture, channels=7))
    assert list(odd.header.cuts) == [2, 4, 6, 7]
    assert odd.truncated(4).to_bytes() == model.compress(picture, channels=4)


def test_a_model_of_one_rate_has_one_cut(one_rate, noise_picture):
    encoded = one_rate.encode(noise_picture(4, 4))
    assert encoded.cuts == [4]
    assert one_rate.compress(noise_picture(4, 4), channels=4) == encoded.file(4)
    with pytest.raises(RateError) as caught:
        one_rate.compress(noise_picture(4, 4), channels=3)
    assert caught.value.channels == [4]


@pytest.mark.parametrize("channels", [-1, 0, 65])
def test_channels_that_the_model_does_not_have_are_refused(model, picture, channels):
    for ask in (model.compress, model.reconstruct):
        with pytest.raises(RateError) as caught:
            ask(picture, channels=channels)
        assert list(caught.value.channels) == list(range(1, 65))
        assert str(channels) in str(caught.value)


def test_encoding_more_channels_than_the_model_has_is_refused(model, one_rate, picture):
    for of, possible in (model, list(range(1, 65))), (one_rate, [4]):
        with pytest.raises(RateError) as caught:
            of.compress(picture, channels=of.channels + 5)
        assert list(caught.value.channels) == possible


def test_cuts_that_do_not_fit_a_byte_are_rounded_up_and_decode(model, noise_picture):
    picture = noise_picture(8, 8 * 17)
    whole = OmegaFile.parse(model.compress(picture))
    assert whole.header.cuts[2] == 72 > 2 * 2 * 17
    assert len(whole.stream) == 2 * 64 * 17
    for channels in whole.header.cuts:
        symbols, _ = model.decode(whole.truncated(channels).to_bytes())
        assert (symbols == model.files.symbols(picture[None])[:channels]).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 63, 64])
def test_a_stream_that_rounding_reaches_beyond_decodes(model, toys, monkeypatch, noise_picture, channels):
    class Late(toys.TwoBytes):
        """Needs the whole stream for any of its symbols."""

        def encode(self, symbols, tables, ends):
            data, cuts = super().encode(symbols, tables, ends)
            return data, [len(data)] * len(cuts)

    monkeypatch.setattr(toys, "TwoBytes", Late)
    picture = noise_picture(8, 8 * 17)
    symbols, parsed = model.decode(model.compress(picture, channels=channels))
    assert (symbols == model.files.symbols(picture[None])[:channels]).all()
    length = 2 * 64 * 17
    assert set(parsed.header.cuts.values()) == {len(parsed.stream)} == {length if channels == 1 else 9 << 8}
    assert not any(parsed.stream[length:])


def test_a_budget_a_quality_and_a_fraction_choose_the_cut(model, picture):
    encoded = model.encode(picture)
    sizes = {channels: len(encoded.file(channels)) for channels in encoded.cuts}
    pixels = read_picture(picture).pixels
    quality = {n: psnr(pixels, read_picture(decompress(encoded.file(n), model)).pixels) for n in encoded.cuts}
    for n in (2, 20, 64):
        assert model.compress(picture, max_bytes=sizes[n]) == encoded.file(n)
        assert model.compress(picture, bpp=8 * sizes[n] / pixels[0].size) == encoded.file(n)
        assert model.compress(picture, fraction=n / 64) == encoded.file(n)
        wanted = min(quality[n], 200.0)
        smallest = min(cut for cut in encoded.cuts if quality[cut] >= wanted)
        assert model.compress(picture, psnr=wanted) == encoded.file(smallest)


@pytest.mark.parametrize("wanted", [0.5, 4.0, 17.0, 31.5, 32.0])
def test_a_quality_is_found_by_decoding_few_cuts(model, picture, monkeypatch, wanted):
    decoded = []

    def quality(original, pixels):
        """As many dB as the picture is the nth cut."""
        decoded.append(next(n for n, each in enumerate(cuts, 1) if (each == pixels).all()))
        return float(decoded[-1])

    encoded = model.encode(picture)
    cuts = [model.decompress_picture(encoded.file(n)).pixels for n in encoded.cuts]
    monkeypatch.setattr("omega_core.codec.model.psnr", quality)
    assert model.compress(picture, psnr=wanted) == encoded.file(2 * math.ceil(wanted))
    assert len(decoded) == len({*decoded}) <= 6


@pytest.mark.parametrize("seed", range(20))
def test_where_quality_falls_in_between_the_cut_that_is_taken_reaches_it_and_the_one_before_does_not(
    model, picture, monkeypatch, seed
):
    chance = np.random.default_rng(seed)
    quality = np.arange(1.0, 33) + chance.uniform(0, 6, 32)
    quality[-1] = 60
    encoded = model.encode(picture)
    cuts = [model.decompress_picture(encoded.file(n)).pixels for n in encoded.cuts]
    monkeypatch.setattr(
        "omega_core.codec.model.psnr",
        lambda _, pixels: quality[next(n for n, each in enumerate(cuts) if (each == pixels).all())],
    )
    wanted = chance.uniform(8, 40)
    taken = encoded.cuts.index(OmegaFile.parse(model.compress(picture, psnr=wanted)).header.channels)
    assert quality[taken] >= wanted
    assert taken == 0 or quality[taken - 1] < wanted


def test_a_quality_that_is_not_reached_warns_and_keeps_all_channels(model, picture, monkeypatch):
    monkeypatch.setattr("omega_core.codec.model.psnr", lambda *_: 31.5)
    with pytest.warns(OmegaWarning, match=r"99.0 dB are not reached, all 64 channels give 31.50 dB"):
        data = model.compress(picture, psnr=99.0)
    assert OmegaFile.parse(data).channels == 64


def test_a_budget_that_cannot_be_met_is_an_error(model, one_rate, picture, noise_picture):
    with pytest.raises(RateError) as caught:
        model.compress(picture, max_bytes=10)
    assert caught.value.least_bytes == len(model.compress(picture, channels=2))
    with pytest.raises(RateError) as caught:
        one_rate.compress(noise_picture(4, 4), max_bytes=1000)
    assert caught.value.channels == [4]


def test_fewer_channels_than_were_trained_for_warn(model_file, noise_picture):
    model = load_model(model_file(block=4, channels_min=8))
    with pytest.warns(OmegaWarning, match="8 channels: this model was trained for 9 and more"):
        model.compress(noise_picture(4, 4), channels=8)
    model.compress(noise_picture(4, 4), channels=10)
