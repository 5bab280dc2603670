"""Pictures in tiles, and pictures that are too large to be transformed without tiles."""

import numpy as np
import pytest
from model_samples import arrays_of, forged

import omega_core
import omega_core.codec.model
import omega_core.plugins.registry
from omega_core.codec.loading import load_model
from omega_core.errors import (
    DamagedFileError,
    ImageError,
)
from omega_core.format.file import OmegaFile


@pytest.mark.parametrize(("colors", "shape"), [(1, (21, 500)), (3, (21, 500, 3)), (3, (500, 21)), (1, (16, 257, 2))])
def test_a_large_picture_is_encoded_in_tiles_if_the_architecture_can(local, noise_picture, colors, shape):
    model, picture = local(colors), noise_picture(*shape) | np.uint8(1)  # all pixels are visible
    model.tile_size = 256
    data = model.compress(picture)
    assert OmegaFile.parse(data).header.tile == 256
    assert (np.asarray(model.decompress(data)) == picture).all()
    model.tile_size = 500
    whole = model.compress(picture)
    assert OmegaFile.parse(whole).header.tile is None
    assert OmegaFile.parse(whole).stream == OmegaFile.parse(data).stream
    assert (np.asarray(model.decompress(whole)) == picture).all()


def test_tiles_are_taken_from_1025_pixels_a_side_on(local, model_file, noise_picture):
    model, other = local(), load_model(model_file())
    for shape, tile in (((2, 1024), None), ((2, 1026), 1024), ((1026, 2), 1024)):
        picture = noise_picture(*shape)
        assert OmegaFile.parse(model.compress(picture)).header.tile == tile
        assert (np.asarray(model.decompress(model.compress(picture))) == picture).all()
        assert OmegaFile.parse(other.compress(picture)).header.tile is None


def test_the_largest_of_several_pictures_decides_whether_there_are_tiles(local, noise_picture):
    model = local()
    model.tile_size = 256
    pictures = [model.read(noise_picture(*shape)) for shape in ((4, 4), (4, 258), (6, 2))]
    data = model.encode_together(pictures).to_bytes()
    assert OmegaFile.parse(data).header.tile == 256
    assert arrays_of(model.decompress_all(data)) == [picture.pixels[0].tolist() for picture in pictures]
    assert model.encode_together(pictures[::2]).header.tile is None


def test_tiles_and_pictures_without_tiles_are_refused_from_2049_pixels_a_side_on(local, noise_picture):
    model = local()
    picture = noise_picture(2, 2050)
    data = model.compress(picture)
    for tile in (256, 2048):
        assert (np.asarray(model.decompress(forged(data, tile=tile))) == picture).all()
    largest = forged(model.compress(picture[:, :2048]), tile=None)
    assert (np.asarray(model.decompress(largest)) == picture[:, :2048]).all()
    for tile in (2049, (1 << 28) - 1, 255, 1, None):
        with pytest.raises(DamagedFileError, match="256 to 2048"):
            model.decompress(forged(data, tile=tile))


def test_an_architecture_that_is_not_local_has_no_limit_and_no_tiles(model_file, noise_picture):
    model = load_model(model_file())
    picture = noise_picture(2, 2050)
    data = model.compress(picture)
    assert (np.asarray(model.decompress(data)) == picture).all()
    with pytest.raises(omega_core.OmegaError, match="cannot work in tiles"):
        model.decompress(forged(data, tile=16))


@pytest.mark.parametrize("tile_size", [0, 255, 2049])
def test_tiles_that_a_decoder_would_refuse_are_not_made(local, noise_picture, tile_size):
    model = local()
    model.tile_size = tile_size
    with pytest.raises(ImageError, match=f"256 to 2048 pixels a side, not {tile_size}"):
        model.compress(noise_picture(4, 4))
