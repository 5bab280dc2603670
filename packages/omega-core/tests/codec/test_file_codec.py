import numpy as np
import pytest

import omega_core.codec.file_codec as file_codec_module
from omega_core.codec.file_codec import FileCodec
from omega_core.codec.image_codec import ImageCodec
from omega_core.coding.tables import FrozenTables, NoPrior
from omega_core.contracts.coder import check_symbols
from omega_core.errors import CoderError, ImageError
from omega_core.images.reading import read_picture


@pytest.fixture
def codec(file_codec):
    return file_codec()


@pytest.fixture
def conditional(codec_parts, one_at_a_time):
    """A codec whose prior knows the tables of a channel only when all before it are decoded."""
    architecture, quantizer, tables = codec_parts(block=4)
    return FileCodec(ImageCodec(architecture, quantizer), one_at_a_time(tables))


@pytest.fixture
def coder(toys):
    return toys.TwoBytes()


@pytest.mark.parametrize("colors", [1, 3])
def test_pixels_of_a_lossless_transform_come_back(file_codec, noise_picture, colors):
    codec = file_codec(colors)
    pixels = read_picture(noise_picture(6, 8, 3) if colors == 3 else noise_picture(6, 8)).pixels
    symbols = codec.symbols(pixels)
    assert (symbols.shape, symbols.dtype) == ((4 * colors, 3, 4), np.int64)
    assert (codec.pixels(symbols, 6, 8) == pixels).all()


def test_an_architecture_without_weights_codes_as_well(codec, noise_picture):
    del codec.codec.architecture.peak
    codec.codec.architecture.peak = 255.0
    assert not list(codec.codec.architecture.parameters())
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
    codec.codec.architecture.peak.data.fill_(200.0)
    assert codec.pixels(symbols, 2, 2).reshape(-1).tolist() == [0, round(100 * 255 / 200), 255, 255]


def test_rgb_is_refused_by_a_model_for_gray(codec):
    with pytest.raises(ImageError, match="is RGB, the model is for gray"):
        codec.symbols(np.zeros((3, 4, 4), np.uint8))


def test_gray_is_to_a_model_for_rgb_what_three_equal_colors_are(file_codec, noise_picture):
    codec, gray = file_codec(3), noise_picture(1, 6, 8)
    symbols = codec.symbols(gray)
    assert symbols.shape == (12, 3, 4)
    assert (symbols == codec.symbols(gray.repeat(3, axis=0))).all()
    assert (codec.pixels(symbols, 6, 8, colors=1) == gray).all()
    assert (codec.pixels(symbols, 6, 8) == gray).all()


def test_gray_is_the_mean_of_colors_that_are_within_8_bits(file_codec):
    codec = file_codec(3, block=1)
    symbols = np.array([[[10, 0, 255, 300]], [[20, 0, 255, 300]], [[36, 2, 253, 0]]])
    assert codec.pixels(symbols, 1, 4, colors=1).tolist() == [[[22, 1, 254, 170]]]


@pytest.mark.parametrize("colors", [1, 3])
def test_pixels_have_the_colors_of_the_architecture_where_none_are_asked_for(file_codec, colors):
    codec = file_codec(colors)
    assert codec.codec.colors == colors
    assert codec.pixels(np.zeros((4 * colors, 1, 1), np.int64), 2, 2).shape == (colors, 2, 2)


def test_a_size_that_the_architecture_does_not_take_is_refused(codec):
    with pytest.raises(ImageError, match="not 5×4"):
        codec.symbols(np.zeros((1, 4, 5), np.uint8))


def test_every_cut_decodes_its_channels(codec, coder, noise_picture):
    symbols = codec.symbols(noise_picture(1, 6, 8))
    stream, cuts = codec.encode([symbols], coder, [1, 3, 4])
    assert cuts == [24, 72, 96]
    for channels, size in zip([1, 3, 4], cuts, strict=True):
        assert (codec.decode(stream[:size], coder, channels, [(3, 4)])[0] == symbols[:channels]).all()


@pytest.mark.parametrize("channels", [1, 7, 16])
def test_a_prior_that_depends_on_channels_before_decodes_any_prefix(conditional, coder, noise_picture, channels):
    symbols = conditional.symbols(noise_picture(1, 8, 8))
    stream, [*_, size] = conditional.encode([symbols[:channels]], coder, [channels])
    conditional.prior.asked.clear()
    assert (conditional.decode(stream[:size], coder, channels, [(2, 2)])[0] == symbols[:channels]).all()
    assert conditional.prior.asked == list(range(channels))


SEVERAL = [(6, 8), (2, 2), (4, 10), (6, 8)]


def latents(codec, shapes):
    return [codec.codec.architecture.latent_size(*shape) for shape in shapes]


@pytest.fixture
def several(noise_picture):
    """Symbols of pictures of several sizes."""

    def make(codec, shapes=SEVERAL):
        return [codec.symbols(noise_picture(1, *shape, seed=i)) for i, shape in enumerate(shapes)]

    return make


def same(decoded, symbols, channels):
    return [(a == b[:channels]).all() and a.shape == b[:channels].shape for a, b in zip(decoded, symbols, strict=True)]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_of_several_sizes_share_a_stream(codec, coder, several, channels):
    symbols = several(codec)
    stream, ends = codec.encode(symbols, coder, [1, 2, 3, 4])
    assert ends == [2 * n * (12 + 1 + 10 + 12) for n in [1, 2, 3, 4]]
    decoded = codec.decode(stream[: ends[channels - 1]], coder, channels, latents(codec, SEVERAL))
    assert all(same(decoded, symbols, channels))


def test_a_stream_has_channel_after_channel_and_in_each_picture_after_picture(codec, several):
    class Noting:
        def encode(self, symbols, tables, ends):
            self.symbols = symbols
            return b"", ends

    coder, symbols = Noting(), several(codec)
    codec.encode(symbols, coder, [4])
    expected = [value for channel in range(4) for each in symbols for value in each[channel].reshape(-1)]
    assert coder.symbols.tolist() == expected


def test_one_picture_is_coded_alike_alone_and_as_one_of_several(codec, coder, several):
    first, second, *_ = several(codec)
    alone, _ = codec.encode([first], coder, [4])
    together, _ = codec.encode([first, second], coder, [4])
    channels = [alone[24 * n : 24 * (n + 1)] for n in range(4)]
    assert [together[26 * n : 26 * n + 24] for n in range(4)] == channels


@pytest.mark.parametrize("channels", [1, 2, 7, 16])
@pytest.mark.parametrize("shapes", [[(8, 8), (4, 4)], [(4, 4)] * 3, [(4, 12), (16, 4), (8, 8), (4, 8)]])
def test_a_prior_that_depends_on_channels_before_knows_those_of_each_picture(
    conditional, coder, several, shapes, channels
):
    symbols = several(conditional, shapes)
    stream, [size] = conditional.encode([each[:channels] for each in symbols], coder, [channels])
    conditional.prior.asked.clear()
    decoded = conditional.decode(stream[:size], coder, channels, latents(conditional, shapes))
    assert all(same(decoded, symbols, channels))
    assert conditional.prior.asked == [channel for channel in range(channels) for _ in shapes]


def test_a_prior_that_depends_on_channels_before_gives_each_picture_its_own_tables(conditional, several):
    symbols = several(conditional, [(8, 8), (4, 4)])
    tables = conditional.in_order(symbols)[1]
    rows = [int(each[:n].sum()) % 16 for n in range(16) for each in symbols for _ in range(each[0].size)]
    used = [row for row, many in tables.runs() for _ in range(many)]
    assert (tables.cumulative[used] == conditional.prior.frozen.cumulative[rows]).all()


@pytest.mark.parametrize("pictures", [1, 3])
def test_tables_for_each_position_are_those_of_every_picture(codec_parts, coder, several, pictures):
    architecture, quantizer, _ = codec_parts()
    probabilities = np.random.default_rng(5).dirichlet(np.full(256, 5.0), (4, 12))
    codec = FileCodec(ImageCodec(architecture, quantizer), FrozenTables.from_probabilities(probabilities))
    shapes = [(6, 8)] * pictures
    symbols = several(codec, shapes)
    stream, ends = codec.encode(symbols, coder, [1, 3, 4])
    decoded = codec.decode(stream[: ends[1]], coder, 3, latents(codec, shapes))
    assert all(same(decoded, symbols, 3))
    rows = [row for row, many in codec.in_order(symbols)[1].runs() for _ in range(many)]
    assert rows == [12 * n + i for n in range(4) for _ in range(pictures) for i in range(12)]


def test_pictures_without_probabilities_share_a_stream(codec, several):
    class AsTheyAre:
        def encode(self, symbols, tables, ends):
            assert tables.cumulative is None
            return symbols.astype("<i8").tobytes(), [8 * end for end in ends]

        def decoder(self, data):
            self.rest = data
            return self

        def decode(self, tables):
            taken, self.rest = self.rest[: 8 * tables.size], self.rest[8 * tables.size :]
            return np.frombuffer(taken, "<i8").astype(np.int64)

    without = FileCodec(codec.codec, NoPrior())
    symbols = several(without)
    stream, ends = without.encode(symbols, AsTheyAre(), [2, 4])
    assert all(same(without.decode(stream[: ends[0]], AsTheyAre(), 2, latents(without, SEVERAL)), symbols, 2))


def test_such_a_prior_gives_an_encoder_the_tables_of_a_decoder(conditional, noise_picture):
    symbols = conditional.symbols(noise_picture(1, 8, 8))
    rows = [int(symbols[:channel].sum()) % 16 for channel in range(16)]
    assert list(conditional.in_order([symbols])[1].runs()) == [(row, 4) for row in rows]


def test_a_file_of_more_channels_than_the_model_has_is_refused(codec, coder):
    with pytest.raises(CoderError, match="has 5 channels, its model only 4"):
        codec.decode(bytes(100), coder, 5, [(3, 4)])


def test_a_coder_that_cannot_do_without_probabilities_says_so(codec, coder, noise_picture):
    without = FileCodec(codec.codec, NoPrior())
    with pytest.raises(CoderError, match="needs probabilities"):
        without.encode([without.symbols(noise_picture(1, 4, 4))], coder, [4])


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ([0] * 15, "15 symbols were given with tables for 16"),
        ([0] * 15 + [256], "symbols from 0 to 256 do not fit an alphabet of 256"),
        ([-1] + [5] * 15, "symbols from -1 to 5 do not fit"),
    ],
)
def test_symbols_that_do_not_fit_their_tables_are_refused(codec, symbols, message):
    tables = codec.in_order([np.zeros((4, 2, 2), np.int64)])[1]
    check_symbols(np.full(16, 255), tables)
    with pytest.raises(CoderError, match=message):
        check_symbols(np.array(symbols), tables)


def test_pictures_of_one_size_go_through_the_transforms_together(file_codec, noise_picture, monkeypatch):
    codec, sizes = file_codec(), [(6, 8), (2, 2), (6, 8), (6, 8), (2, 2)]
    pictures = [noise_picture(1, *size, seed=seed) for seed, size in enumerate(sizes)]
    analysis, synthesis, batches = type(codec.codec.architecture).analysis, type(codec.codec.architecture).synthesis, []

    def watched(transform):
        def call(architecture, tensor, *others):
            batches.append(len(tensor))
            return transform(architecture, tensor, *others)

        return call

    monkeypatch.setattr(type(codec.codec.architecture), "analysis", watched(analysis))
    monkeypatch.setattr(type(codec.codec.architecture), "synthesis", watched(synthesis))
    symbols = codec.symbols_of_all(pictures)
    assert batches == [3, 2]
    decoded = codec.pixels_of_all(symbols, sizes)
    assert batches == [3, 2, 3, 2]
    for pixels, own, again in zip(pictures, symbols, decoded, strict=True):
        assert (codec.symbols(pixels) == own).all()
        assert (pixels == again).all()


def test_prefixes_of_one_picture_are_decoded_together_as_each_alone(codec, noise_picture):
    symbols = codec.symbols(noise_picture(1, 6, 8))
    prefixes = [symbols[:n] for n in (3, 1, 4, 2)]
    together = codec.pixels_of_all(prefixes, [(6, 8)] * 4)
    for each, pixels in zip(prefixes, together, strict=True):
        assert (codec.pixels(each, 6, 8) == pixels).all()


def test_no_more_pixels_go_together_than_allowed(codec, noise_picture, monkeypatch):
    monkeypatch.setattr(file_codec_module, "BATCH_PIXELS", 2 * 48 + 1)
    encode, batches = codec.codec.encode_symbols, []
    monkeypatch.setattr(
        codec.codec, "encode_symbols", lambda image, **how: (batches.append(len(image)), encode(image, **how))[1]
    )
    codec.symbols_of_all([noise_picture(1, 6, 8, seed=seed) for seed in range(5)])
    assert batches == [2, 2, 1]
