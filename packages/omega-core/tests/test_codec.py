import numpy as np
import pytest

from omega_core.codec import Codec
from omega_core.contracts.coder import check_symbols
from omega_core.errors import CoderError, ImageError
from omega_core.images import read_picture
from omega_core.tables import NoPrior


@pytest.fixture
def codec(codec_parts):
    return Codec(*codec_parts())


@pytest.fixture
def conditional(codec_parts, one_at_a_time):
    """A codec whose prior knows the tables of a channel only when all before it are decoded."""
    architecture, quantizer, tables = codec_parts(block=4)
    return Codec(architecture, quantizer, one_at_a_time(tables))


@pytest.fixture
def coder(toys):
    return toys.TwoBytes()


@pytest.mark.parametrize("colours", [1, 3])
def test_pixels_of_a_lossless_transform_come_back(codec_parts, noise_picture, colours):
    codec = Codec(*codec_parts(colours))
    pixels = read_picture(noise_picture(6, 8, 3) if colours == 3 else noise_picture(6, 8))
    symbols = codec.symbols(pixels)
    assert (symbols.shape, symbols.dtype) == ((4 * colours, 3, 4), np.int64)
    assert (codec.pixels(symbols, 6, 8) == pixels).all()


def test_an_architecture_without_weights_codes_as_well(codec, noise_picture):
    del codec.architecture.peak
    codec.architecture.peak = 255.0
    assert not list(codec.architecture.parameters())
    pixels = noise_picture(1, 4, 6)
    assert (codec.pixels(codec.symbols(pixels), 4, 6) == pixels).all()


def test_pixels_may_be_read_only_or_seen_in_another_order(codec, noise_picture):
    pixels = noise_picture(1, 4, 6)
    pixels.flags.writeable = False
    for seen in (pixels, pixels[:, ::-1], pixels[:, :, ::-1], pixels.transpose(0, 2, 1)):
        assert (codec.pixels(codec.symbols(seen), *seen.shape[1:]) == seen).all()


def test_symbols_are_those_of_the_transform(codec, noise_picture):
    picture = noise_picture(4, 6)
    assert (codec.symbols(picture[None])[0] == picture[::2, ::2]).all()
    assert (codec.symbols(picture[None])[3] == picture[1::2, 1::2]).all()


def test_a_prefix_of_channels_makes_a_picture(codec, noise_picture):
    picture = noise_picture(4, 6)
    decoded = codec.pixels(codec.symbols(picture[None])[:1], 4, 6)
    assert (decoded[0, ::2, ::2] == picture[::2, ::2]).all()
    assert not decoded[0, 1::2].any()


def test_pixels_are_rounded_and_kept_within_8_bits(codec):
    symbols = np.array([0, 100, 255, 400]).reshape(4, 1, 1)
    codec.architecture.peak.data.fill_(200.0)
    assert codec.pixels(symbols, 2, 2).reshape(-1).tolist() == [0, round(100 * 255 / 200), 255, 255]


@pytest.mark.parametrize(
    ("colours", "message"), [(1, "is RGB, the model is for grey"), (3, "is grey, the model is for RGB")]
)
def test_a_picture_of_other_colours_is_refused(codec_parts, colours, message):
    codec = Codec(*codec_parts(colours))
    with pytest.raises(ImageError, match=message):
        codec.symbols(np.zeros((4 - colours, 4, 4), np.uint8))


def test_a_size_that_the_architecture_does_not_take_is_refused(codec):
    with pytest.raises(ImageError, match="not 5×4"):
        codec.symbols(np.zeros((1, 4, 5), np.uint8))


def test_every_cut_decodes_its_channels(codec, coder, noise_picture):
    symbols = codec.symbols(noise_picture(1, 6, 8))
    stream, cuts = codec.encode(symbols, coder, [1, 3, 4])
    assert cuts == [24, 72, 96]
    for channels, size in zip([1, 3, 4], cuts, strict=True):
        assert (codec.decode(stream[:size], coder, channels, (3, 4)) == symbols[:channels]).all()


@pytest.mark.parametrize("channels", [1, 7, 16])
def test_a_prior_that_depends_on_channels_before_decodes_any_prefix(conditional, coder, noise_picture, channels):
    symbols = conditional.symbols(noise_picture(1, 8, 8))
    stream, [*_, size] = conditional.encode(symbols[:channels], coder, [channels])
    conditional.prior.asked.clear()
    assert (conditional.decode(stream[:size], coder, channels, (2, 2)) == symbols[:channels]).all()
    assert conditional.prior.asked == list(range(channels))


def test_such_a_prior_gives_an_encoder_the_tables_of_a_decoder(conditional, noise_picture):
    symbols = conditional.symbols(noise_picture(1, 8, 8))
    rows = [int(symbols[:channel].sum()) % 16 for channel in range(16)]
    assert list(conditional.tables(symbols).runs()) == [(row, 4) for row in rows]


def test_a_file_of_more_channels_than_the_model_has_is_refused(codec, coder):
    with pytest.raises(CoderError, match="has 5 channels, its model only 4"):
        codec.decode(bytes(100), coder, 5, (3, 4))


def test_a_coder_that_cannot_do_without_probabilities_says_so(codec, coder, noise_picture):
    without = Codec(codec.architecture, codec.quantizer, NoPrior())
    with pytest.raises(CoderError, match="needs probabilities"):
        without.encode(without.symbols(noise_picture(1, 4, 4)), coder, [4])


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ([0] * 15, "15 symbols were given with tables for 16"),
        ([0] * 15 + [256], "symbols from 0 to 256 do not fit an alphabet of 256"),
        ([-1] + [5] * 15, "symbols from -1 to 5 do not fit"),
    ],
)
def test_symbols_that_do_not_fit_their_tables_are_refused(codec, symbols, message):
    tables = codec.tables(np.zeros((4, 2, 2), np.int64))
    check_symbols(np.full(16, 255), tables)
    with pytest.raises(CoderError, match=message):
        check_symbols(np.array(symbols), tables)
