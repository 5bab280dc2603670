import io
import os

import numpy as np
import pytest
import torch
from PIL import Image

import omega_core
import omega_core.codec.loading
from omega_core.codec import loading
from omega_core.codec.loading import load_model
from omega_core.errors import (
    CutOffError,
    FileFormatError,
    ImageError,
    ModelFileError,
    OmegaError,
    RateError,
    WrongModelError,
)
from omega_core.format.header import PACK_MAGIC
from omega_core.images.writing import png


@pytest.fixture
def path(model_file):
    """A model of 64 channels for gray pictures, lossless with all of them."""
    return model_file(block=8)


@pytest.fixture
def gray(noise_picture):
    return noise_picture(16, 24)


def test_a_picture_is_the_same_file_however_it_is_given(path, gray, tmp_path):
    image = Image.fromarray(gray)
    image.save(tmp_path / "a.png")
    data = png(image)
    tensor = torch.from_numpy(gray / 255)
    expected = load_model(path).compress(gray)
    with (tmp_path / "a.png").open("rb") as file:
        given = [
            gray,
            image,
            data,
            bytearray(data),
            memoryview(data),
            io.BytesIO(data),
            file,
            tmp_path / "a.png",
            tensor[None],
            tensor[None, None],
        ]
        for picture in [*given, omega_core.decompress_picture(expected, path)]:
            assert omega_core.compress(picture, path) == expected


def test_the_model_is_given_by_path_or_loaded(path, gray):
    model = load_model(path)
    assert omega_core.compress(gray, str(path)) == omega_core.compress(gray, model) == model.compress(gray)


def test_a_model_given_by_path_is_loaded_once_until_its_file_or_a_limit_changes(model_file, gray, monkeypatch):
    loaded = []
    monkeypatch.setattr(loading, "load_model", lambda path, **limits: loaded.append(path) or load_model(path, **limits))
    path = model_file(block=2)
    files = [omega_core.compress(gray, given) for given in (path, str(path), path)]
    assert omega_core.decompress(files[0], path).size == omega_core.decompress_picture(files[0], path).size[::-1]
    assert [each.size for each in omega_core.decode_progressively(files[0], path)][-1] == (gray.shape[1], gray.shape[0])
    assert len(loaded) == 1
    monkeypatch.setenv("OMEGA_MAX_MEMORY", "1000")
    assert omega_core.compress(gray, path) == files[0]
    assert len(loaded) == 2
    os.utime(model_file(block=4), ns=(1, 1))
    assert omega_core.compress(gray, path) != files[0]
    assert len(loaded) == 3


def test_options_of_compress_are_those_of_the_model(path, gray):
    model = load_model(path)
    for option in ({"channels": 4}, {"fraction": 0.5}, {"max_bytes": 400}, {"bpp": 9.0}, {"coder": "two-bytes"}):
        assert omega_core.compress(gray, model, **option) == model.compress(gray, **option)
    assert len(omega_core.compress(gray, model, channels=4)) < len(omega_core.compress(gray, model))
    with pytest.raises(RateError):
        omega_core.compress(gray, model, channels=4, bpp=1.0)


def test_a_batch_gives_a_file_for_each_of_its_pictures(path, noise_picture, tmp_path):
    arrays = [noise_picture(16, 24, seed=seed) for seed in range(3)]
    expected = [omega_core.compress(array, path) for array in arrays]
    tensors = torch.from_numpy(np.stack(arrays) / 255)[:, None]
    for batch in (arrays, tuple(arrays), [Image.fromarray(array) for array in arrays], tensors, list(tensors)):
        assert omega_core.compress(batch, path) == expected
    assert omega_core.compress(tensors[:1], path) == expected[0]
    assert omega_core.compress([tensors[0]], path) == expected[:1]
    assert omega_core.compress([], path) == []


def test_files_of_a_batch_may_have_any_size(path, noise_picture):
    images = [Image.fromarray(noise_picture(height, 24)) for height in (8, 16)]
    assert omega_core.compress(images, path) == [omega_core.compress(image, path) for image in images]


def test_a_batch_that_cannot_be_compressed_is_named(path, gray):
    with pytest.raises(ImageError, match=r"one shape, not \[\(1, 8, 8\), \(1, 8, 16\)\]"):
        omega_core.compress([torch.zeros(1, 8, 8), torch.zeros(1, 8, 16)], path)
    with pytest.raises(ImageError, match=r"picture 1 of the batch: .* first bytes are b'nothing'"):
        omega_core.compress([gray, b"nothing"], path)


def test_a_picture_that_cannot_be_read_is_named(path, gray, tmp_path):
    missing = tmp_path / "missing.png"
    for compress in (lambda picture: omega_core.compress(picture, path), load_model(path).encode):
        for picture in (missing, str(missing)):
            with pytest.raises(ImageError) as raised:
                compress(picture)
            assert str(raised.value) == f"{missing}: the picture cannot be read: No such file or directory."
    with pytest.raises(ImageError, match=r"^picture 1 of the batch: .*missing\.png: the picture cannot be read"):
        omega_core.compress([gray, missing], path)


def test_a_file_is_decoded_from_bytes_a_path_and_an_open_file(path, gray, tmp_path):
    data = omega_core.compress(gray, path)
    (tmp_path / "a.omega").write_bytes(data)
    model = load_model(path)
    with (tmp_path / "a.omega").open("rb") as file:
        others = file, io.BytesIO(data), bytearray(data), memoryview(data)
        for source in (data, tmp_path / "a.omega", str(tmp_path / "a.omega"), *others):
            assert (np.asarray(omega_core.decompress(source, model)) == gray).all()
    for source in (tmp_path / "a.omega", bytearray(data)):
        assert (model.decode(source)[0] == model.decode(data)[0]).all()
    assert [np.asarray(each).tolist() for each in model.decompress_all(tmp_path / "a.omega")] == [gray.tolist()]


def test_what_is_there_of_a_file_that_breaks_off_is_decoded_if_asked_for(path, gray):
    data = omega_core.compress(gray, path)
    with pytest.raises(CutOffError):
        omega_core.decompress(data[:-40], path)
    expected = load_model(path).decompress(data[:-40], partial=True)
    assert np.asarray(omega_core.decompress(data[:-40], path, partial=True)).tolist() == np.asarray(expected).tolist()


def test_a_pack_says_what_it_is(path):
    model, pack = load_model(path), PACK_MAGIC + b"\1 and so on"
    decoders = [
        omega_core.decompress,
        model.decompress,
        model.decode,
        model.decompress_each,
        omega_core.ProgressiveDecoder().feed,
    ]
    for decode in decoders:
        with pytest.raises(FileFormatError, match=r"a pack of \.omega files: `omega decompress` unpacks it"):
            decode([pack] if decode == model.decompress_each else pack)


def test_a_file_is_decoded_to_an_image_an_array_and_a_tensor(path, gray):
    model = load_model(path)
    data = omega_core.compress(gray, path)
    for picture in (omega_core.decompress_picture(data, path), model.decompress_picture(data)):
        assert (picture.to_array() == gray).all()
        assert torch.equal(picture.to_tensor(), torch.from_numpy(gray[None]).float() / 255)
        assert (np.asarray(picture.to_pillow()) == gray).all()


def test_a_source_that_is_no_file_is_named(path, tmp_path):
    with (tmp_path / "a").open("wb") as closed:
        pass
    for source in (closed, io.StringIO("text"), 3, tmp_path / "missing", b"nothing", b""):
        with pytest.raises(OmegaError):
            omega_core.decompress(source, path)


def test_without_a_model_the_default_one_compresses(monkeypatch, path, gray):
    monkeypatch.setattr(omega_core.codec.loading, "default_model", lambda: path)
    assert omega_core.compress(gray) == omega_core.compress(gray, path)


def test_without_a_model_and_without_the_default_one_it_is_said_what_to_name(toys, monkeypatch, gray):
    monkeypatch.setattr(omega_core.codec.loading, "registry", omega_core.plugins.registry.registry)
    with pytest.raises(ModelFileError, match=r"default model compact is not installed.*the \.safetensors file"):
        omega_core.compress(gray)


def test_a_file_of_another_model_is_refused(path, model_file, gray):
    other = model_file(block=8, channels_min=2, name="other")
    with pytest.raises(WrongModelError):
        omega_core.decompress_picture(omega_core.compress(gray, path), other)
