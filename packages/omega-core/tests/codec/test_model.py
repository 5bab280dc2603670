"""Compressing and decompressing with a model."""

import numpy as np
import pytest
from PIL import Image

import omega_core
import omega_core.codec.model
import omega_core.plugins.registry
from omega_core.codec.loading import load_model
from omega_core.errors import (
    ComponentError,
    ImageError,
    RateError,
)
from omega_core.format.file import OmegaFile
from omega_core.testing.simulated_device import elsewhere


def test_a_picture_comes_back_from_its_file(model, picture):
    image = model.decompress(model.compress(picture))
    assert image.mode == "L"
    assert (np.asarray(image) == picture).all()


@pytest.mark.parametrize(("shape", "mode"), [((6, 8), "L"), ((6, 8, 3), "RGB")])
def test_a_picture_comes_back_from_image_path_and_array(model_file, noise_picture, tmp_path, shape, mode):
    model, picture = load_model(model_file(colors=len(mode))), noise_picture(*shape)
    Image.fromarray(picture).save(tmp_path / "a.png")
    files = [model.compress(given) for given in (Image.fromarray(picture), tmp_path / "a.png", picture)]
    assert files[0] == files[1] == files[2]
    image = model.decompress(files[0])
    assert image.mode == mode
    assert (np.asarray(image) == picture).all()


def test_the_functions_of_the_package_are_those_of_the_module(model_file, picture):
    path = model_file(block=8)
    data = omega_core.load_model(path).compress(picture)
    for model in (path, str(path), omega_core.load_model(path)):
        assert (np.asarray(omega_core.decompress(data, model)) == picture).all()


def test_a_file_says_what_made_it(model, picture):
    parsed = OmegaFile.parse(model.compress(picture))
    assert parsed.header.fingerprint == bytes.fromhex(model.fingerprint)[:4]
    assert parsed.header.coder == "omega-toys/two-bytes"
    assert (parsed.header.mode, *parsed.header.sizes[0]) == ("L", 16, 24)
    assert (parsed.header.length, parsed.header.complete) == (2 * 64 * 2 * 3, True)


def test_compressing_twice_gives_the_same_file(model, picture):
    assert model.compress(picture) == model.compress(picture)


def test_bits_of_symbols_are_those_of_the_frozen_tables(model, picture):
    coded = model.encode(picture).coded
    counts = np.diff(model.file_codec.prior.cumulative)
    rows = np.repeat(np.arange(64), 6)
    assert coded.bits_until()[-1] == pytest.approx(-np.log2(counts[rows, coded.symbols] / 2**16).sum())


def test_counts_are_rising_numbers_that_the_model_has(model, one_rate, picture):
    for each, counts in (
        (model, [2, 1]),
        (model, [1, 1]),
        (model, [1.5]),
        (model, [0]),
        (model, [65]),
        (one_rate, [2]),
    ):
        with pytest.raises(RateError, match="rising numbers of channels"):
            each.encode(picture, counts=counts)
    assert list(one_rate.encode(picture).lengths) == [4]


def test_lengths_of_prefixes_rise(model, picture):
    with pytest.raises(ValueError, match="numbers of bytes have to rise"):
        next(model.decompress_prefixes(model.compress(picture), [30, 20]))


def test_prefixes_of_a_file_are_decompressed_as_each_truncated_file(model, picture):
    encoded = model.encode(picture)
    lengths = [1, 50, 51, 400, encoded.whole.header.length]
    found = list(model.decompress_prefixes(encoded.whole.to_bytes(), lengths))
    for length, each in zip(lengths, found, strict=True):
        alone = model.decompress_picture(encoded.whole.truncated(length).to_bytes())
        assert (each.pixels == alone.pixels).all()


def test_a_coder_is_made_once_and_chosen_by_bare_or_qualified_name(model, picture):
    own = model.compress(picture)
    assert model.compress(picture, coder="two-bytes") == model.compress(picture, coder="omega-toys/two-bytes") == own
    assert omega_core.codec.model._coder.cache_info().misses == 1
    model.check_coder(None)
    for ask in (lambda: model.check_coder("fast"), lambda: model.compress(picture, coder="fast")):
        with pytest.raises(ComponentError, match="no coder 'fast'"):
            ask()


def test_pictures_that_the_model_does_not_take_are_refused(model, noise_picture):
    with pytest.raises(ImageError, match="is RGB, the model is for gray"):
        model.compress(noise_picture(16, 16, 3))
    with pytest.raises(ImageError, match="not 9×8"):
        model.compress(noise_picture(8, 9))
    with pytest.raises(ImageError, match="not a picture"):
        model.compress(np.zeros((8, 8)))


@pytest.mark.parametrize("shape", [(6, 8, 3), (2, 600, 3)])
def test_a_model_on_another_device_reads_and_writes_the_same_files(local, noise_picture, shape):
    """Symbols are coded by the CPU, whatever the transforms run on; at once and in tiles."""
    model, picture = local(colors=3), noise_picture(*shape)
    model.tile_size = 256
    data = model.compress(picture)
    assert (OmegaFile.parse(data).header.tile is None) == (max(shape) < 256)
    decoded = model.decompress(data)
    with elsewhere() as device:
        model.codec.to(device)
        assert model.codec.device == device
        assert model.compress(picture) == data
        assert model.decompress(data).tobytes() == decoded.tobytes()
