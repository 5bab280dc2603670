import io

import numpy as np
import pytest
import torch
from image_samples import GRAY_PROFILE, SRGB, TURNED
from PIL import ExifTags, Image

import omega_core.codec.model
import omega_core.plugins.registry
from omega_core.architectures.openimages import OpenImagesArchitecture
from omega_core.codec.loading import load_model
from omega_core.codec.model import TILE_SIZE
from omega_core.codec.model_file import Choice, Description, write_model
from omega_core.errors import OmegaWarning
from omega_core.format.file import OmegaFile
from omega_core.images.reading import read_picture
from omega_core.plugins.components import Component
from omega_core.plugins.registry import Plugin, Registered, Registry

SIZES = [(1, 1), (1, 2), (3, 5), (16, 16), (47, 31), (1, 256), (256, 1), (20, 5000), (1300, 40)]
PALETTE = np.random.default_rng(0).integers(0, 256, (40, 3), dtype=np.uint8)

pytestmark = pytest.mark.filterwarnings("ignore:.*its CMYK:omega_core.errors.OmegaWarning")


def of_1(noise):
    return Image.fromarray(noise[:, :, 0] > 127), "L", np.where(noise[:, :, :1] > 127, 255, 0), None


def of_gray(noise):
    return Image.fromarray(noise[:, :, 0]), "L", noise[:, :, :1], None


def of_gray_with_alpha(noise):
    return Image.fromarray(noise[:, :, :2]), "LA", noise[:, :, :1], noise[:, :, 1]


def of_deep_gray(noise):
    deep = noise[:, :, 0].astype(np.uint16) * 256 + noise[:, :, 1]
    return Image.fromarray(deep), "L", noise[:, :, :1], None


def of_colors(noise):
    return Image.fromarray(noise[:, :, :3]), "RGB", noise[:, :, :3], None


def of_colors_with_alpha(noise):
    return Image.fromarray(noise), "RGBA", noise[:, :, :3], noise[:, :, 3]


def of_a_palette(noise):
    indices = noise[:, :, 0] % 40
    image = Image.fromarray(indices)
    image.putpalette(PALETTE.tobytes())
    return image, "RGB", PALETTE[indices], None


def of_a_palette_with_alpha(noise):
    image, _, colors, _ = of_a_palette(noise)
    alphas = np.arange(0, 240, 6, dtype=np.uint8)
    image.info["transparency"] = alphas.tobytes()
    return image, "RGBA", colors, alphas[noise[:, :, 0] % 40]


def of_ink(noise):
    image = Image.frombytes("CMYK", (noise.shape[1], noise.shape[0]), noise.tobytes())
    white = 255 - noise.astype(float)
    return image, "RGB", white[:, :, :3] * white[:, :, 3:] / 255, None


KINDS = [
    of_1,
    of_gray,
    of_gray_with_alpha,
    of_deep_gray,
    of_colors,
    of_colors_with_alpha,
    of_a_palette,
    of_a_palette_with_alpha,
    of_ink,
]


@pytest.fixture
def stored(tmp_path, noise_picture):
    """Writes a picture of a kind, and returns its path and what it looks like: mode, pixels and alpha."""

    def write(kind, height, width, orientation=1, profile=b""):
        image, mode, pixels, alpha = kind(noise_picture(height, width, 4, seed=height + width))
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        path = tmp_path / ("picture.tif" if image.mode == "CMYK" else "picture.png")
        options = {"compression": "tiff_lzw"} if image.mode == "CMYK" else {}
        image.save(path, exif=exif, **options, **({"icc_profile": profile} if profile else {}))
        turn = TURNED[orientation]
        return path, mode, turn(pixels), None if alpha is None else turn(alpha)

    return write


@pytest.fixture
def photo_model(tmp_path, toys, frozen_tables, monkeypatch):
    """An untrained model for photos of any size."""
    target = "omega_core.architectures.openimages:OpenImagesArchitecture"
    photos = Registered("architecture", Component(name="openimages", target=target, summary="Photos."), "omega-core")
    both = Registry([*omega_core.plugins.registry.registry().plugins, Plugin("omega-core", "1.0", "", (photos,))])
    for module in (omega_core.plugins.registry, omega_core.codec.model):
        monkeypatch.setattr(module, "registry", lambda: both)
    torch.manual_seed(1)
    architecture = OpenImagesArchitecture(latent_channels=8, width=4)
    architecture.encoder[-1].weight.data.fill_(2)
    architecture.encoder[-1].bias.data.fill_(3.5)
    arrays = {f"architecture.{name}": tensor.numpy() for name, tensor in architecture.state_dict().items()}
    arrays |= {f"prior.{name}": array for name, array in frozen_tables(8, 8).arrays().items()}
    description = Description(
        architecture=Choice(name="omega-core/openimages", options={"width": 4}),
        quantizer=Choice(name="omega-toys/rounding"),
        prior=Choice(name="omega-toys/table"),
        coder="omega-toys/two-bytes",
        latent_channels=8,
        channels=8,
        alphabet=8,
        channels_min=0,
    )
    write_model(tmp_path / "photos.safetensors", description, arrays)
    return load_model(tmp_path / "photos.safetensors")


@pytest.fixture
def lossless_model(model_file):
    """A model that loses nothing, of pictures of any size."""
    return load_model(model_file(colors=3, block=1, name="lossless"))


@pytest.fixture
def compressed():
    """Compresses a picture with a model; of 16 bits there is a warning, and of nothing else."""

    def compress(model, path, **options):
        with Image.open(path) as image:
            deep = image.mode == "I;16"
        if not deep:
            return model.compress(path, **options)
        with pytest.warns(OmegaWarning, match="16 bits"):
            return model.compress(path, **options)

    return compress


def alpha_of(image):
    return np.asarray(image)[:, :, -1] if image.mode in ("LA", "RGBA") else None


def same_alpha(image, alpha):
    found = alpha_of(image)
    return found is None if alpha is None else found is not None and np.array_equal(found, alpha)


def colors(image):
    bands = np.asarray(image).reshape(image.height, image.width, -1)
    return bands if image.mode in ("L", "RGB") else bands[:, :, :-1]


def farthest(image, pixels, alpha):
    """The largest difference of a color of a visible pixel, in levels."""
    difference = np.abs(colors(image) - pixels.astype(float))
    return (difference if alpha is None else difference[alpha > 0]).max(initial=0)


EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
EVERY_SIZE = pytest.mark.parametrize(("height", "width"), SIZES)


@EVERY_SIZE
@EVERY_KIND
def test_a_picture_comes_back_from_a_model_that_loses_nothing(stored, lossless_model, compressed, kind, height, width):
    path, mode, pixels, alpha = stored(kind, height, width)
    image = lossless_model.decompress(compressed(lossless_model, path))
    assert (image.mode, image.size) == (mode, (width, height))
    assert colors(image).shape == pixels.shape
    assert farthest(image, pixels, alpha) <= (1 if kind is of_ink else 0)
    assert same_alpha(image, alpha)
    assert "icc_profile" not in image.info


@EVERY_SIZE
@EVERY_KIND
def test_a_picture_comes_back_in_its_size_and_mode_from_a_model_for_photos(
    stored, photo_model, compressed, kind, height, width
):
    path, mode, _, alpha = stored(kind, height, width)
    data = compressed(photo_model, path)
    image = photo_model.decompress(data)
    assert (image.mode, image.size) == (mode, (width, height))
    assert same_alpha(image, alpha)
    parsed = OmegaFile.parse(data)
    assert (parsed.header.mode, parsed.header.sizes) == (mode, ((height, width),))
    assert parsed.header.tile == (TILE_SIZE if max(height, width) > TILE_SIZE else None)


@EVERY_SIZE
@pytest.mark.parametrize("kind", [of_gray, of_colors])
def test_a_model_for_photos_gives_what_its_transform_makes_of_the_symbols(stored, photo_model, kind, height, width):
    path, mode, pixels, _ = stored(kind, height, width)
    architecture = photo_model.codec.architecture
    given = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].float() / 255
    with torch.inference_mode():
        symbols = architecture.analysis(given.expand(1, 3, height, width)).round().clamp(0, 7)
        made = architecture.synthesis(symbols, height, width)[0].clamp(0, 1)
    expected = (made.mean(dim=0, keepdim=True) if mode == "L" else made).numpy().transpose(1, 2, 0) * 255
    image = photo_model.decompress(photo_model.compress(path))
    close = np.abs(colors(image) - expected) <= 1
    assert close.all() if max(height, width) <= TILE_SIZE else close.mean() > 0.99


@pytest.mark.parametrize("orientation", TURNED)
@EVERY_KIND
def test_a_turned_picture_comes_back_upright(stored, lossless_model, compressed, kind, orientation):
    path, mode, pixels, alpha = stored(kind, 5, 3, orientation)
    image = lossless_model.decompress(compressed(lossless_model, path))
    assert (image.mode, image.size) == (mode, (3, 5) if orientation < 5 else (5, 3))
    assert farthest(image, pixels, alpha) <= (1 if kind is of_ink else 0)
    assert same_alpha(image, alpha)
    assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1


@pytest.mark.parametrize("orientation", TURNED)
def test_a_turned_photo_comes_back_upright(stored, photo_model, orientation):
    path, _, _, alpha = stored(of_colors_with_alpha, 47, 31, orientation)
    image = photo_model.decompress(photo_model.compress(path))
    assert image.size == ((31, 47) if orientation < 5 else (47, 31))
    assert same_alpha(image, alpha)


@pytest.mark.parametrize(
    ("kind", "profile"),
    [
        (of_gray, GRAY_PROFILE),
        (of_gray_with_alpha, GRAY_PROFILE),
        (of_deep_gray, GRAY_PROFILE),
        (of_colors, SRGB),
        (of_colors_with_alpha, SRGB),
        (of_a_palette, SRGB),
        (of_a_palette_with_alpha, SRGB),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("model", ["lossless_model", "photo_model"])
def test_a_profile_comes_back_and_is_saved(stored, compressed, request, model, kind, profile):
    path, _, _, alpha = stored(kind, 5, 3, profile=profile)
    model = request.getfixturevalue(model)
    data = compressed(model, path)
    image = model.decompress(data)
    assert image.info["icc_profile"] == profile
    arriving = [each.info["icc_profile"] for each in model.decompress_progressively(io.BytesIO(data))]
    assert arriving
    assert {*arriving} == {profile}
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    with Image.open(buffer) as again:
        assert again.info["icc_profile"] == profile
        assert (again.mode, again.size) == (image.mode, image.size)
        assert same_alpha(again, alpha)


@pytest.mark.parametrize(
    ("kind", "profile"),
    [(of_gray, SRGB), (of_deep_gray, SRGB), (of_colors, GRAY_PROFILE), (of_ink, GRAY_PROFILE)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_profile_that_does_not_fit_costs_nothing(stored, photo_model, compressed, kind, profile):
    with_it, _, _, _ = stored(kind, 5, 3, profile=profile)
    data = compressed(photo_model, with_it)
    without, _, _, _ = stored(kind, 5, 3)
    assert data == compressed(photo_model, without)


@pytest.mark.parametrize("kind", [of_gray_with_alpha, of_colors_with_alpha])
def test_alpha_is_exact_in_any_number_of_channels(stored, photo_model, kind):
    path, mode, _, alpha = stored(kind, 47, 31)
    encoded = photo_model.encode(path)
    assert len(encoded.lengths) > 1
    for channels in encoded.lengths:
        image = photo_model.decompress(encoded.file(channels))
        assert (image.mode, image.size) == (mode, (31, 47))
        assert same_alpha(image, alpha)
    arriving = list(photo_model.decompress_progressively(encoded.whole.to_bytes()))
    assert arriving[-1].info["stream_bytes"] == encoded.whole.header.length
    assert all(same_alpha(image, alpha) for image in arriving)


@pytest.mark.parametrize("colors_of", [np.s_[:, :, :1], np.s_[:, :, :3]])
def test_alpha_above_0_does_not_touch_the_colors(photo_model, noise_picture, colors_of):
    plain = noise_picture(33, 18, 4)[colors_of]
    alpha = np.maximum(noise_picture(33, 18, 1, seed=1), 1)
    with_alpha = photo_model.decompress(photo_model.compress(np.concatenate([plain, alpha], axis=2)))
    without = photo_model.decompress(photo_model.compress(plain))
    assert (colors(with_alpha) == colors(without)).all()


def test_a_picture_that_could_have_alpha_but_has_none_keeps_its_mode_for_few_bytes(photo_model, noise_picture):
    opaque = noise_picture(40, 40, 4)
    opaque[:, :, 3] = 255
    data = photo_model.compress(opaque)
    image = photo_model.decompress(data)
    assert image.mode == "RGBA"
    assert (alpha_of(image) == 255).all()
    assert len(data) <= len(photo_model.compress(opaque[:, :, :3])) + 3


def test_gray_and_three_equal_colors_are_coded_alike(photo_model, noise_picture):
    gray = noise_picture(33, 47)
    as_gray = OmegaFile.parse(photo_model.compress(gray))
    as_colors = OmegaFile.parse(photo_model.compress(np.stack([gray] * 3, axis=2)))
    assert (as_gray.header.mode, as_colors.header.mode) == ("L", "RGB")
    assert as_gray.stream == as_colors.stream


@pytest.mark.parametrize("kind", [of_gray, of_colors_with_alpha])
@pytest.mark.parametrize("tile", [256, 300, 512])
def test_a_picture_looks_the_same_in_tiles_of_any_size(stored, photo_model, kind, tile):
    path, mode, _, alpha = stored(kind, 90, 600)
    at_once = photo_model.decompress(photo_model.compress(path))
    photo_model.tile_size = tile
    data = photo_model.compress(path)
    assert OmegaFile.parse(data).header.tile == tile
    photo_model.tile_size = TILE_SIZE
    image = photo_model.decompress(data)
    assert (image.mode, image.size) == (mode, (600, 90))
    assert same_alpha(image, alpha)
    assert (np.abs(colors(image).astype(int) - colors(at_once)) <= 1).mean() > 0.99


@pytest.mark.parametrize(
    "kind", [of_gray, of_gray_with_alpha, of_colors, of_colors_with_alpha, of_a_palette_with_alpha]
)
@pytest.mark.parametrize("sizes", [SIZES[:4], [(16, 16)] * 5, [(20, 1100), (1, 1)]])
def test_pictures_of_several_sizes_come_back_from_one_file(stored, photo_model, lossless_model, kind, sizes):
    wanted = [stored(kind, *size) for size in sizes]
    for model in (photo_model, lossless_model):
        pictures = []
        for size in sizes:
            path, _, _, _ = stored(kind, *size)
            pictures.append(read_picture(path))
        images = model.decompress_all(model.encode_together(pictures).to_bytes())
        assert [(image.mode, image.size) for image in images] == [(wanted[0][1], (w, h)) for h, w in sizes]
        assert all(same_alpha(image, alpha) for image, (_, _, _, alpha) in zip(images, wanted, strict=True))
        if model is lossless_model:
            assert not any(farthest(image, *each[2:]) for image, each in zip(images, wanted, strict=True))
