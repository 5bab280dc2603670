import numpy as np
import pytest

import omega_core.codec.file_codec as file_codec_module
from omega_core.codec.file_codec import FileCodec, SymbolDecoder
from omega_core.codec.image_codec import ImageCodec
from omega_core.coding.tables import MISSING, FrozenTables, NoPrior
from omega_core.contracts.coder import check_symbols
from omega_core.errors import CoderError, ImageError, ModelFileError
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
    assert (symbols.shape, symbols.dtype) == ((4 * colors, 3, 4), np.int16)
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


def encoded(codec, symbols, coder, counts):
    """The stream of pictures, and the bytes of it that determine some numbers of channels."""
    coded = codec.coded(symbols)
    return coded.encode(coder, [coded.end_of(count) for count in counts])


def test_a_number_of_channels_ends_after_as_many_symbols_as_these_have(codec, noise_picture):
    coded = codec.coded([codec.symbols(noise_picture(1, 6, 8)), codec.symbols(noise_picture(1, 2, 4))])
    assert [coded.end_of(count) for count in (0, 1, 4)] == [0, 3 * 4 + 1 * 2, coded.tables.size]


def test_the_first_bytes_decode_to_the_first_channels(codec, coder, noise_picture):
    symbols = codec.symbols(noise_picture(1, 6, 8))
    stream, lengths = encoded(codec, [symbols], coder, [1, 3, 4])
    assert lengths == [24, 72, 96]
    for channels, size in zip([1, 3, 4], lengths, strict=True):
        [found] = codec.decode(stream[:size], coder, [(3, 4)], complete=False)
        assert (found[:channels] == symbols[:channels]).all()
        assert (found[channels:] == MISSING).all()


@pytest.mark.parametrize("channels", [1, 7, 16])
def test_a_prior_that_depends_on_channels_before_decodes_any_prefix(conditional, coder, noise_picture, channels):
    symbols = conditional.symbols(noise_picture(1, 8, 8))
    stream, [size, _] = encoded(conditional, [symbols], coder, [channels, 16])
    conditional.prior.asked.clear()
    [found] = conditional.decode(stream[:size], coder, [(2, 2)], complete=channels == 16)
    assert (found[:channels] == symbols[:channels]).all()
    assert conditional.prior.asked == list(range(min(16, channels + 1)))


def test_a_whole_stream_that_lacks_symbols_is_damaged(codec, coder, noise_picture):
    symbols = codec.symbols(noise_picture(1, 6, 8))
    stream, _ = encoded(codec, [symbols], coder, [4])
    with pytest.raises(CoderError):
        codec.decode(stream[:-1], coder, [(3, 4)], complete=True)


def test_the_first_symbols_of_a_coded_picture_are_those_that_a_decoder_has(conditional, coder, noise_picture):
    symbols = conditional.symbols(noise_picture(1, 8, 8))
    coded = conditional.coded([symbols])
    stream, lengths = coded.encode(coder, [5, 30, 64])
    for count, length in zip([5, 30, 64], lengths, strict=True):
        [found] = conditional.decode(stream[:length], coder, [(2, 2)], complete=False)
        assert (coded.first(count)[0] == found).all()


def test_symbols_of_a_stream_in_pieces_are_decoded_once(conditional, coder, several):
    symbols = several(conditional, [(8, 8), (4, 4)])
    coded = conditional.coded(symbols)
    stream, _ = coded.encode(coder, [coded.tables.size])
    decoder = SymbolDecoder(conditional, coder, latents(conditional, [(8, 8), (4, 4)]))
    conditional.prior.asked.clear()
    for start in range(0, len(stream), 7):
        decoder.decode(stream[start : start + 7])
        assert decoder.count == min(len(stream), start + 7) // 2
    assert all((a == b).all() for a, b in zip(decoder.pictures, symbols, strict=True))
    assert conditional.prior.asked == [channel for channel in range(16) for _ in symbols]


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
    """Whether the first channels of each picture are decoded, and no others."""
    return [
        (a[:channels] == b[:channels]).all() and (a[channels:] == MISSING).all()
        for a, b in zip(decoded, symbols, strict=True)
    ]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_of_several_sizes_share_a_stream(codec, coder, several, channels):
    symbols = several(codec)
    stream, ends = encoded(codec, symbols, coder, [1, 2, 3, 4])
    assert ends == [2 * n * (12 + 1 + 10 + 12) for n in [1, 2, 3, 4]]
    decoded = codec.decode(stream[: ends[channels - 1]], coder, latents(codec, SEVERAL), complete=False)
    assert all(same(decoded, symbols, channels))


def test_a_stream_has_channel_after_channel_and_in_each_picture_after_picture(codec, several):
    symbols = several(codec)
    expected = [value for channel in range(4) for each in symbols for value in each[channel].reshape(-1)]
    assert codec.coded(symbols).symbols.tolist() == expected


@pytest.mark.parametrize("channels", [1, 2, 7, 16])
@pytest.mark.parametrize("shapes", [[(8, 8), (4, 4)], [(4, 4)] * 3, [(4, 12), (16, 4), (8, 8), (4, 8)]])
def test_a_prior_that_depends_on_channels_before_knows_those_of_each_picture(
    conditional, coder, several, shapes, channels
):
    symbols = several(conditional, shapes)
    stream, [size] = encoded(conditional, symbols, coder, [channels])
    decoded = conditional.decode(stream[:size], coder, latents(conditional, shapes), complete=False)
    assert all(same(decoded, symbols, channels))


def test_a_prior_that_depends_on_channels_before_gives_each_picture_its_own_tables(conditional, several):
    symbols = several(conditional, [(8, 8), (4, 4)])
    coded = conditional.coded(symbols)
    start = 0
    for n in range(16):
        rows = [int(each[:n].sum()) % 16 for each in symbols for _ in range(each[0].size)]
        assert coded.tables.rows[start : start + len(rows)].tolist() == sorted(rows)
        start += len(rows)


@pytest.mark.parametrize("pictures", [1, 3])
def test_tables_for_each_position_are_those_of_every_picture(codec_parts, coder, several, pictures):
    architecture, quantizer, _ = codec_parts()
    probabilities = np.random.default_rng(5).dirichlet(np.full(256, 5.0), (4, 12))
    codec = FileCodec(ImageCodec(architecture, quantizer), FrozenTables.from_probabilities(probabilities))
    shapes = [(6, 8)] * pictures
    symbols = several(codec, shapes)
    stream, ends = encoded(codec, symbols, coder, [1, 3, 4])
    decoded = codec.decode(stream[: ends[1]], coder, latents(codec, shapes), complete=False)
    assert all(same(decoded, symbols, 3))
    rows = codec.coded(symbols).tables.rows.tolist()
    assert rows == [12 * n + i for n in range(4) for i in range(12) for _ in range(pictures)]


def test_pictures_without_probabilities_share_a_stream(codec, several):
    class AsTheyAre:
        def encode(self, symbols, tables, ends):
            assert tables.cumulative is None
            return symbols.astype("<i8").tobytes(), [8 * end for end in ends]

        def decoder(self, data, *, complete=False):
            self.rest = data
            return self

        def decode(self, tables):
            taken, self.rest = self.rest[: 8 * tables.size], self.rest[8 * tables.size :]
            return np.frombuffer(taken, "<i8").astype(np.int64)

    without = FileCodec(codec.codec, NoPrior())
    symbols = several(without)
    stream, _ = encoded(without, symbols, AsTheyAre(), [4])
    assert all(same(without.decode(stream, AsTheyAre(), latents(without, SEVERAL), complete=True), symbols, 4))


def test_a_coder_that_cannot_do_without_probabilities_says_so(codec, coder, noise_picture):
    without = FileCodec(codec.codec, NoPrior())
    with pytest.raises(CoderError, match="needs probabilities"):
        encoded(without, [without.symbols(noise_picture(1, 4, 4))], coder, [4])


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ([0] * 15, "15 symbols were given with tables for 16"),
        ([0] * 15 + [256], "symbols from 0 to 256 do not fit an alphabet of 256"),
        ([-1] + [5] * 15, "symbols from -1 to 5 do not fit"),
    ],
)
def test_symbols_that_do_not_fit_their_tables_are_refused(codec, symbols, message):
    tables = codec.coded([np.zeros((4, 2, 2), np.int64)]).tables
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
    coded = codec.coded([symbols])
    prefixes = [coded.first(count)[0] for count in (30, 12, 48, 17)]
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


def test_a_prior_of_other_symbols_than_those_of_the_quantizer_is_refused(codec, coder):
    others = FrozenTables.from_probabilities(np.full((4, 1, codec.codec.alphabet - 1), 1.0))
    symbols, wrong = np.zeros((4, 2, 3), np.int16), FileCodec(codec.codec, others)
    for use in (lambda: wrong.coded([symbols]), lambda: wrong.decode(bytes(9), coder, [(2, 3)], complete=True)):
        with pytest.raises(ModelFileError, match="prior and quantizer do not fit each other"):
            use()
