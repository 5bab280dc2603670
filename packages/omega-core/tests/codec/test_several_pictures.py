"""Several pictures in one file, and several files at once."""

import pytest
from model_samples import arrays_of, gray_profile

from omega_core.codec.loading import load_model
from omega_core.coding.tables import MISSING
from omega_core.errors import (
    ComponentError,
    CutOffError,
    ImageError,
    OmegaWarning,
    RateError,
    WrongModelError,
)
from omega_core.format.file import OmegaFile
from omega_core.format.rate_control import truncate
from omega_core.images.pictures import Picture


def test_pictures_in_one_file_come_back(model, several):
    data = model.encode_together(several).to_bytes()
    images = model.decompress_all(data)
    assert [image.mode for image in images] == ["L"] * 3
    assert arrays_of(images) == [picture.pixels[0].tolist() for picture in several]
    parsed = OmegaFile.parse(data)
    assert parsed.header.sizes == ((16, 24), (8, 8), (24, 16))
    assert parsed.header.complete


@pytest.mark.parametrize("channels", [1, 2, 7, 63, 64])
def test_each_of_several_pictures_is_what_it_would_be_alone(model, several, channels):
    data = model.encode_together(several, channels=channels).to_bytes()
    alone = [model.decompress(model.compress(each.to_pillow(), channels=channels)) for each in several]
    assert arrays_of(model.decompress_all(data)) == arrays_of(alone)
    symbols, _ = model.decode(data)
    assert (symbols[:channels] == model.file_codec.symbols(several[0].pixels)[:channels]).all()
    assert (symbols[channels:] == MISSING).all()


def test_a_file_of_several_pictures_is_truncated_to_any_number_of_bytes(model, several):
    data = model.encode_together(several).to_bytes()
    for size in range(len(data) - 200, len(data), 37):
        short = truncate(data, max_bytes=size)
        assert len(short) == size
        assert [picture.size for picture in model.decompress_all(short)] == [(24, 16), (8, 8), (16, 24)]


def test_what_is_there_of_a_file_of_several_pictures_is_decoded_if_asked_for(model, several):
    data = model.encode_together(several).to_bytes()
    part = data[:-500]
    with pytest.raises(CutOffError) as caught:
        model.decompress_all(part)
    assert 0 < caught.value.intact < len(OmegaFile.parse(data).stream)
    expected = model.decompress_all(OmegaFile.parse(data).truncated(caught.value.intact).to_bytes())
    assert arrays_of(model.decompress_all(part, partial=True)) == arrays_of(expected)


def test_one_picture_alone_is_fitted_as_it_is_compressed(model, several, picture):
    assert model.encode_together(several[:1]).to_bytes() == model.compress(picture)
    assert arrays_of(model.decompress_all(model.compress(picture))) == [picture.tolist()]


def test_one_file_has_1_to_64_pictures(model, several):
    many = [several[1]] * 64
    images = model.decompress_all(model.encode_together(many, channels=2).to_bytes())
    assert arrays_of(images) == arrays_of([model.reconstruct(several[1], channels=2)] * 64)
    for pictures in ([], [*many, several[1]]):
        with pytest.raises(ImageError, match="one file has 1 to 64 pictures"):
            model.encode_together(pictures)


def test_pictures_of_one_file_have_one_mode_and_one_profile(model_file, noise_picture):
    model = load_model(model_file(colors=3))
    gray, rgb = Picture(noise_picture(1, 4, 4)), Picture(noise_picture(3, 4, 4))
    clear = Picture(gray.pixels, alpha=noise_picture(4, 4))
    profiled, other = (Picture(gray.pixels, profile=gray_profile(mark)) for mark in (b"a", b"b"))
    for pictures in ([gray, rgb], [rgb, gray], [gray, clear], [clear, gray], [gray, profiled], [other, profiled]):
        with pytest.raises(ImageError, match="all of one mode and color profile"):
            model.encode_together(pictures)
    for pictures, mode in (([gray] * 2, "L"), ([rgb] * 2, "RGB"), ([clear] * 2, "LA"), ([profiled] * 2, "L")):
        images = model.decompress_all(model.encode_together(pictures).to_bytes())
        assert arrays_of(images) == arrays_of(picture.to_pillow() for picture in pictures)
        assert [image.mode for image in images] == [mode] * 2
        assert [image.info.get("icc_profile", b"") for image in images] == [pictures[0].profile] * 2


def test_pictures_of_one_file_have_an_alpha_each(model, noise_picture):
    pictures = [model.read(noise_picture(*size, 2, seed=i)) for i, size in enumerate([(8, 16), (16, 8), (8, 8)])]
    images = model.decompress_all(model.encode_together(pictures).to_bytes())
    assert arrays_of(images) == arrays_of(picture.to_pillow() for picture in pictures)


def test_pictures_are_fitted_together_at_what_the_model_does(model, one_rate, several, model_file, noise_picture):
    for of, channels, possible in (model, 65, list(range(1, 65))), (one_rate, 3, [4]):
        with pytest.raises(RateError) as caught:
            of.encode_together(several, channels=channels)
        assert list(caught.value.channels) == possible
    assert one_rate.encode_together(several).header.complete
    with pytest.raises(ComponentError, match="no coder 'fast'"):
        model.encode_together(several, coder="fast")
    with pytest.raises(ImageError, match="is RGB, the model is for gray"):
        model.encode_together([Picture(noise_picture(3, 8, 8))] * 2)
    with pytest.raises(ImageError, match="not 9×8"):
        model.encode_together([several[1], Picture(noise_picture(1, 8, 9))])
    fewest = load_model(model_file(block=4, channels_min=8, name="fewest"))
    with pytest.warns(OmegaWarning, match="8 channels: this model was trained for 9 and more"):
        fewest.encode_together(several, channels=8)


def test_a_file_of_several_pictures_is_not_one_picture(model, several):
    data = model.encode_together(several).to_bytes()
    for ask in (model.decompress, lambda given: next(model.decompress_progressively(given))):
        with pytest.raises(ImageError, match="this file has 3 pictures, not one"):
            ask(data)


def test_a_file_of_several_pictures_is_refused_before_it_is_decoded(model, model_file, several, monkeypatch):
    data = model.encode_together(several).to_bytes()
    other = load_model(model_file(block=8, channels_min=2, name="other"))
    monkeypatch.setattr(type(model.file_codec), "decode", lambda *_, **__: pytest.fail("it was decoded"))
    with pytest.raises(ImageError, match="this file has 3 pictures, not one"):
        model.decompress(data)
    with pytest.raises(WrongModelError):
        other.decompress(data)


def test_files_of_several_modes_and_cuts_are_decompressed_together(model_file, noise_picture):
    model = load_model(model_file(colors=3, channels_min=0))
    gray, color, larger = noise_picture(4, 6), noise_picture(4, 6, 3), noise_picture(8, 6, 3)
    files = [
        model.compress(picture, channels=channels)
        for picture, channels in ((color, 12), (gray, 12), (larger, 3), (color, 5), (gray, 1))
    ]
    for data, picture in zip(files, model.decompress_each(files), strict=True):
        alone, together = model.decompress(data), picture.to_pillow()
        assert (together.mode, together.size, together.tobytes()) == (alone.mode, alone.size, alone.tobytes())
    assert model.decompress_each([]) == []


def test_a_file_of_several_pictures_is_not_one_of_several_files(model_file, noise_picture):
    model = load_model(model_file())
    pictures = [Picture(noise_picture(1, 4, 4, seed=seed)) for seed in range(2)]
    together = model.encode_together(pictures)
    with pytest.raises(ImageError):
        model.decompress_each([together.to_bytes()])
