from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from omega_core.architectures.openimages import OpenImagesArchitecture
from omega_core.codec.file_codec import FileCodec
from omega_core.codec.image_codec import ImageCodec
from omega_core.codec.tiling import Grid, spans, tiles
from omega_core.errors import ModelFileError

LENGTHS, SIZES, HALOS = st.integers(1, 300), st.integers(1, 80), st.integers(0, 40)


@given(LENGTHS, SIZES, HALOS)
def test_spans_have_every_index_once_and_in_order(length, size, halo):
    assert [i for span in spans(length, size, halo) for i in range(length)[span.inner]] == list(range(length))


@given(LENGTHS, SIZES, HALOS)
def test_spans_are_as_few_as_can_be_and_nearly_equal(length, size, halo):
    own = [span.stop - span.start for span in spans(length, size, halo)]
    assert max(own) <= size
    assert max(own) - min(own) <= 1
    assert (len(own) - 1) * size < length


@given(LENGTHS, SIZES, HALOS)
def test_spans_overlap_by_the_halo_within_the_axis(length, size, halo):
    indices = list(range(length))
    for span in spans(length, size, halo):
        near = [i for i in indices if span.start - halo <= i < span.stop + halo]
        assert indices[span.outer] == near
        assert indices[span.outer][span.within] == indices[span.inner]


def test_spans_are_cut_by_hand():
    assert spans(10, 4, 2) == [(0, 0, 3, 5), (1, 3, 6, 8), (4, 6, 10, 10)]
    assert spans(4, 4, 2) == [(0, 0, 4, 4)]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 15), st.integers(0, 5))
def test_tiles_cover_an_area_once_and_row_by_row(height, width, size, halo):
    count = np.zeros((height, width), int)
    corners = []
    for down, across in tiles(height, width, size, halo):
        count[down.inner, across.inner] += 1
        corners.append((down.start, across.start))
    assert (count == 1).all()
    assert all(before < after for before, after in pairwise(corners))


def test_tiles_of_a_picture_are_cut_by_hand():
    """37×16 pixels in 10×4 blocks of 4 pixels, 1 row of pixels added above and 2 below."""
    grid = Grid(4, (37, 16), (10, 4), (1, 0))
    across, columns = (0, 0, 4, 4), slice(0, 16)
    assert list(grid.to_analyze(21, 2)) == [
        ((0, 0, 5, 7), across, slice(0, 27), columns, (1, 0, 0, 0)),
        ((3, 5, 10, 10), across, slice(11, 37), columns, (0, 2, 0, 0)),
    ]
    found = list(grid.to_render(21, 2))
    assert found == [
        ((0, 0, 5, 7), across, slice(0, 19), columns, (1, 8, 0, 0)),
        ((3, 5, 10, 10), across, slice(19, 37), columns, (8, 2, 0, 0)),
    ]
    assert [tile.within for tile in found] == [(slice(1, 20), columns), (slice(8, 26), columns)]
    [whole] = grid.to_analyze(None, 2)
    assert whole == ((0, 0, 10, 10), across, slice(0, 37), columns, (1, 2, 0, 0))


@pytest.fixture(scope="module")
def architecture():
    torch.manual_seed(3)
    architecture = OpenImagesArchitecture(latent_channels=8, width=4)
    last = architecture.encoder[-1]
    last.weight.data.fill_(2)
    last.bias.data.fill_(3.5)
    for block in architecture.body:
        block.convolutions[-1].weight.data.fill_(4)
    return architecture.double().eval()


@pytest.fixture
def codec(architecture, codec_parts, frozen_tables):
    """An untrained codec for photos whose symbols spread over the whole alphabet."""
    _, quantizer, _ = codec_parts()
    quantizer = type(quantizer)(latent_channels=8, channels=8, alphabet=8)
    return FileCodec(ImageCodec(architecture, quantizer), frozen_tables(8, 8))


SHAPES = pytest.mark.parametrize(
    ("height", "width", "tile"),
    [
        (500, 333, 64),
        (33, 700, 16),
        (700, 17, 48),
        (1, 300, 32),
        (300, 1, 16),
        (257, 255, 100),
        (70, 80, 7),
        (97, 113, 48),
        (64, 64, 64),
        (65, 64, 64),
        (33, 17, 16),
        (1, 1, 16),
        (40, 50, 4096),
    ],
)


@SHAPES
def test_symbols_are_the_same_with_and_without_tiles(codec, noise_picture, height, width, tile):
    pixels = noise_picture(3, height, width)
    whole = codec.symbols(pixels)
    assert len(np.unique(whole)) > 4
    assert (codec.symbols(pixels, tile=tile) == whole).all()


def test_symbols_of_gray_are_the_same_with_and_without_tiles(codec, noise_picture):
    pixels = noise_picture(1, 97, 113)
    assert (codec.symbols(pixels, tile=48) == codec.symbols(pixels)).all()


@SHAPES
def test_pixels_are_the_same_with_and_without_tiles(codec, height, width, tile):
    symbols = np.random.default_rng(height).integers(0, 8, (8, *codec.codec.architecture.latent_size(height, width)))
    whole = codec.pixels(symbols, height, width)
    assert whole.shape == (3, height, width)
    assert 0 < whole.mean() < 255
    assert (codec.pixels(symbols, height, width, tile=tile) == whole).all()


@pytest.mark.parametrize("channels", [1, 5, 8])
@pytest.mark.parametrize("colors", [1, 3])
def test_pixels_of_fewer_channels_or_colors_are_the_same_with_and_without_tiles(codec, channels, colors):
    symbols = np.random.default_rng(channels).integers(0, 8, (channels, 7, 8))
    whole = codec.pixels(symbols, 97, 113, colors=colors)
    assert whole.shape == (colors, 97, 113)
    assert (codec.pixels(symbols, 97, 113, tile=48, colors=colors) == whole).all()


@pytest.mark.parametrize("tile", [16, 50, 64, 100])
def test_no_transform_works_on_more_than_a_tile_and_its_halo(codec, noise_picture, monkeypatch, tile):
    architecture, largest = codec.codec.architecture, {}

    def watched(name):
        method = getattr(architecture, name)

        def call(tensor):
            largest[name] = max(largest.get(name, 0), *tensor.shape[2:])
            return method(tensor)

        return call

    for name in ("analysis", "refine", "render"):
        monkeypatch.setattr(architecture, name, watched(name))
    codec.pixels(codec.symbols(noise_picture(3, 700, 20), tile=tile), 700, 20, tile=tile)
    positions = tile // 16
    assert largest == {
        "analysis": 16 * (positions + 2 * architecture.analysis_halo),
        "refine": positions + 2 * architecture.refine_halo,
        "render": positions + 2 * architecture.render_halo,
    }


def test_an_architecture_that_needs_all_at_once_refuses_tiles(file_codec, noise_picture):
    codec = file_codec()
    pixels = noise_picture(1, 8, 8)
    with pytest.raises(ModelFileError, match="cannot work in tiles"):
        codec.symbols(pixels, tile=4)
    with pytest.raises(ModelFileError, match="cannot work in tiles"):
        codec.pixels(codec.symbols(pixels), 8, 8, tile=4)
