import math
import os
import threading
import tracemalloc
import zlib
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from torch import nn
from torch.nn import functional as F

import omega_core
import omega_core.codec.model
import omega_core.plugins.registry
from omega_core.codec.loading import decompress, load_model
from omega_core.codec.model_file import Choice, read_model, write_model
from omega_core.contracts import Architecture, LocalArchitecture
from omega_core.errors import (
    CoderError,
    ComponentError,
    CutOffError,
    DamagedFileError,
    FileFormatError,
    ImageError,
    ModelFileError,
    OmegaWarning,
    RateError,
    WrongModelError,
)
from omega_core.format.file import OmegaFile
from omega_core.format.rates import truncate
from omega_core.images.metrics import psnr
from omega_core.images.pictures import MAX_PIXELS, Picture
from omega_core.images.planes import compress_planes
from omega_core.images.reading import read_picture
from omega_core.plugins.components import Component
from omega_core.plugins.registry import Registered, Registry
from omega_core.testing.elsewhere import elsewhere


@pytest.fixture
def model(model_file):
    """64 channels in 32 groups of 2; lossless with all of them."""
    return load_model(model_file(block=8))


@pytest.fixture
def one_rate(model_file):
    return load_model(model_file(block=2, channels_min=4))


@pytest.fixture
def picture(noise_picture):
    return noise_picture(16, 24)


@pytest.fixture
def add_toy(toys, monkeypatch):
    """Registers one more component beside the toys, and returns its qualified name."""

    def add(kind, target):
        setattr(toys, target.__name__, target)
        name = target.__name__.lower()
        component = Component(name=name, target=f"omega_toys:{target.__name__}", summary="A toy.")
        [plugin] = omega_core.plugins.registry.registry().plugins
        more = replace(plugin, components=(*plugin.components, Registered(kind, component, "omega-toys")))
        for module in (omega_core.plugins.registry, omega_core.codec.model):
            monkeypatch.setattr(module, "registry", lambda: Registry([more]))
        return f"omega-toys/{name}"

    return add


class Local(LocalArchitecture):
    """As the toy blocks, but for pictures of any size, in tiles that need no neighbors."""

    analysis_halo = render_halo = 0

    def __init__(self, *, latent_channels, colors=1, block=2):
        super().__init__()
        self.latent_channels, self.colors, self.stride = latent_channels, colors, block
        self.peak = nn.Parameter(torch.tensor(1.0))

    def analysis(self, image):
        return F.pixel_unshuffle(self.pad(image, self.margins(*image.shape[2:])), self.stride) * self.peak

    def render(self, features):
        return F.pixel_shuffle(features, self.stride) / self.peak


@pytest.fixture
def local(model_file, add_toy):
    """Makes models of that architecture, which is lossless with all channels."""

    def make(colors=1, **changed):
        choice = Choice(name=add_toy("architecture", Local), options={"colors": colors})
        return load_model(model_file(colors=colors, architecture=choice, name=f"local{colors}"), **changed)

    return make


@pytest.fixture
def several(model, noise_picture):
    """Pictures of different sizes, as the model reads them."""
    return [model.read(noise_picture(*shape, seed=seed)) for seed, shape in enumerate([(16, 24), (8, 8), (24, 16)])]


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
    assert (parsed.channels, parsed.header.groups.channels_per_group, len(parsed.header.cuts)) == (64, 2, 32)


def test_cuts_are_where_the_coder_ends_its_groups(model, noise_picture):
    assert OmegaFile.parse(model.compress(noise_picture(8, 8))).header.cuts == {n: 2 * n for n in range(2, 65, 2)}


def test_compressing_twice_gives_the_same_file(model, picture):
    assert model.compress(picture) == model.compress(picture)


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
    with pytest.raises(RateError, match="no cut at 3 channels"):
        encoded.file(3)


def test_a_file_that_ends_between_cuts_can_be_shortened_at_those_before(model, picture):
    odd = OmegaFile.parse(model.compress(picture, channels=7))
    assert list(odd.header.cuts) == [2, 4, 6, 7]
    assert odd.truncated(4).to_bytes() == model.compress(picture, channels=4)


def test_a_model_of_one_rate_has_one_cut(one_rate, noise_picture):
    encoded = one_rate.encode(noise_picture(4, 4))
    assert encoded.cuts == [4]
    assert one_rate.compress(noise_picture(4, 4), channels=4) == encoded.file(4)
    with pytest.raises(RateError, match="one rate, 4 channels"):
        one_rate.compress(noise_picture(4, 4), channels=3)


@pytest.mark.parametrize("channels", [-1, 0, 65])
def test_channels_that_the_model_does_not_have_are_refused(model, picture, channels):
    for ask in (model.compress, model.reconstruct):
        with pytest.raises(RateError, match=f"{channels} channels: this model codes with 1 to 64"):
            ask(picture, channels=channels)


def test_encoding_more_channels_than_the_model_has_is_refused(model, one_rate, picture):
    with pytest.raises(RateError, match="69 channels: this model codes with 1 to 64"):
        model.compress(picture, channels=model.channels + 5)
    with pytest.raises(RateError, match="one rate, 4 channels"):
        one_rate.compress(picture, channels=one_rate.channels + 5)


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


def test_estimated_bits_are_those_of_the_frozen_tables(model, picture):
    symbols = model.encode(picture).symbols
    counts = np.diff(model.files.prior.cumulative)
    rows = np.repeat(np.arange(64), 6)
    assert model.estimated_bits(symbols) == pytest.approx(-np.log2(counts[rows, symbols.reshape(-1)] / 2**16).sum())
    assert model.estimated_bits(symbols[:5]) < model.estimated_bits(symbols)


def test_what_is_intact_of_a_file_is_decoded_if_asked_for(model, picture):
    part = model.compress(picture)[:-100]
    with pytest.raises(CutOffError) as caught:
        model.decompress(part)
    intact = caught.value.intact
    assert 0 < intact < 64
    expected = model.decompress(model.compress(picture, channels=intact))
    assert (np.asarray(model.decompress(part, partial=True)) == np.asarray(expected)).all()


def test_a_file_of_another_model_is_refused_with_both_names(model, model_file, picture):
    other = load_model(model_file(block=8, channels_min=2, name="other"))
    with pytest.raises(WrongModelError, match=f"the model {other.fingerprint[:8]}, not {model.fingerprint[:8]}"):
        model.decompress(other.compress(picture))


def test_damaged_and_foreign_bytes_are_named_errors(model, picture):
    data = bytearray(model.compress(picture))
    data[-20] ^= 1
    with pytest.raises(DamagedFileError):
        model.decompress(bytes(data))
    with pytest.raises(FileFormatError):
        model.decompress(b"hello")


def forged(data, *, stream=None, channels=None, channels_per_group=None, **changed):
    """A file that says something else than the one it is made of, with the right checksum."""
    file = OmegaFile.parse(data)
    groups = file.header.groups
    stream = file.stream if stream is None else stream
    groups = replace(
        groups,
        channels=channels or groups.channels,
        channels_per_group=channels_per_group or groups.channels_per_group,
        length=len(stream),
    )
    return OmegaFile(replace(file.header, groups=groups, **changed), stream).to_bytes()


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"sizes": ((1 << 20, 1 << 20),)}, CoderError, "1048576×1048576 pixels, more than"),
        ({"sizes": ((9460, 9460),)}, CoderError, f"9460×9460 pixels, more than {MAX_PIXELS}"),
        ({"sizes": ((17, 24),)}, ImageError, "not 24×17"),
        ({"channels": 96, "channels_per_group": 3}, CoderError, "has 96 channels, its model only 64"),
        ({"coder": "omega-other/fast"}, ComponentError, "no coder 'omega-other/fast'"),
        ({"stream": b"\xff" * 900}, CoderError, "too large"),
    ],
)
def test_a_forged_file_is_a_named_error(model, picture, changed, error, message):
    data = forged(model.compress(picture), **changed)
    assert zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "little")
    with pytest.raises(error, match=message):
        model.decompress(data)


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


def test_a_loaded_model_is_for_use_alone(model, picture):
    modules = (model.codec.architecture, model.codec.quantizer)
    assert not any(module.training for module in modules)
    assert not any(weight.requires_grad for module in modules for weight in module.parameters())
    assert torch.is_grad_enabled()
    model.compress(picture)
    assert torch.is_grad_enabled()


def test_a_loaded_model_has_the_weights_of_its_file(model_file):
    path = model_file(block=2)
    peak, kept = load_model(path).codec.architecture.peak, load_file(path)["architecture.peak"]
    assert peak.item() == kept.item() == 255
    assert peak.shape == kept.shape == ()


def test_a_model_without_a_prior_has_no_tables(model_file, noise_picture):
    model = load_model(model_file(prior=None))
    assert model.estimated_bits(model.files.symbols(noise_picture(1, 4, 4))) == 32 * 16


@pytest.mark.parametrize("kind", ["architecture", "quantizer", "prior"])
def test_a_component_that_is_not_installed_is_named(model_file, kind):
    with pytest.raises(ComponentError, match=f"there is no {kind} 'omega-fancy/new'"):
        load_model(model_file(**{kind: Choice(name="omega-fancy/new")}))


def test_an_option_that_a_component_no_longer_has_is_named(model_file):
    with pytest.raises(ComponentError, match="no option 'steps'"):
        load_model(model_file(quantizer=Choice(name="omega-toys/rounding", options={"steps": 2})))


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.pop("architecture.peak"),
        lambda arrays: arrays.pop("prior.cumulative"),
        lambda arrays: arrays.update({"architecture.extra": np.zeros(2, np.float32)}),
        lambda arrays: arrays.update({"architecture.peak": np.zeros((2, 2), np.float32)}),
        lambda arrays: arrays.update({"prior.rows": arrays["prior.rows"] + 1}),
        lambda arrays: arrays.update({"prior.cumulative": arrays["prior.cumulative"] // 2}),
    ],
)
def test_numbers_that_do_not_fit_the_components_are_a_named_error(model_file, change):
    path = model_file()
    file = read_model(path)
    arrays = dict(file.arrays)
    change(arrays)
    write_model(path, file.description, arrays)
    with pytest.raises(ModelFileError, match=r"does not fit its components.*(peak|extra|cumulative|rows)"):
        load_model(path)


def test_a_model_that_is_not_there_is_a_named_error(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelFileError):
            load_model(path)


def test_a_model_shows_what_it_is_made_of(model, one_rate):
    assert repr(model) == (
        f"<Model {model.fingerprint[:8]}: omega-toys/blocks, omega-toys/rounding, omega-toys/table;"
        " 0 to 64 channels; gray>"
    )
    assert repr(one_rate).endswith("; 4 channels; gray>")


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
    with pytest.raises(RateError, match="10 bytes are not enough"):
        model.compress(picture, max_bytes=10)
    with pytest.raises(RateError, match="one rate, 4 channels"):
        one_rate.compress(noise_picture(4, 4), max_bytes=1000)


def test_fewer_channels_than_were_trained_for_warn(model_file, noise_picture):
    model = load_model(model_file(block=4, channels_min=8))
    with pytest.warns(OmegaWarning, match="8 channels: this model was trained for 9 and more"):
        model.compress(noise_picture(4, 4), channels=8)
    model.compress(noise_picture(4, 4), channels=10)


def arrays_of(images):
    return [np.asarray(image).tolist() for image in images]


def test_pictures_in_one_file_come_back(model, several):
    data = model.encode_together(several).to_bytes()
    images = model.decompress_all(data)
    assert [image.mode for image in images] == ["L"] * 3
    assert arrays_of(images) == [picture.pixels[0].tolist() for picture in several]
    parsed = OmegaFile.parse(data)
    assert parsed.header.sizes == ((16, 24), (8, 8), (24, 16))
    assert (parsed.channels, len(parsed.header.cuts)) == (64, 32)


@pytest.mark.parametrize("channels", [1, 2, 7, 63, 64])
def test_each_of_several_pictures_is_what_it_would_be_alone(model, several, channels):
    data = model.encode_together(several, channels=channels).to_bytes()
    assert OmegaFile.parse(data).channels == channels
    alone = [model.decompress(model.compress(each.to_pillow(), channels=channels)) for each in several]
    assert arrays_of(model.decompress_all(data)) == arrays_of(alone)
    symbols, _ = model.decode(data)
    assert (symbols == model.files.symbols(several[0].pixels)[:channels]).all()


def test_a_file_of_several_pictures_is_shortened_as_it_would_have_been_made(model, several):
    data = model.encode_together(several).to_bytes()
    for channels in OmegaFile.parse(data).header.cuts:
        assert truncate(data, channels=channels) == model.encode_together(several, channels=channels).to_bytes()


def test_what_is_intact_of_a_file_of_several_pictures_is_decoded_if_asked_for(model, several):
    part = model.encode_together(several).to_bytes()[:-500]
    with pytest.raises(CutOffError) as caught:
        model.decompress_all(part)
    intact = caught.value.intact
    assert 0 < intact < 64
    expected = model.decompress_all(model.encode_together(several, channels=intact).to_bytes())
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


def test_a_model_makes_no_file_that_it_would_not_read(model_file, noise_picture, monkeypatch):
    model = load_model(model_file(), max_pixels=99)
    small, large = Picture(noise_picture(1, 8, 12)), Picture(noise_picture(1, 10, 10))
    model.decompress(model.compress(small))
    for picture in (large, large.to_pillow()):
        with pytest.raises(ImageError, match="10×10 pixels are more than 99"):
            model.compress(picture)
    monkeypatch.setattr("omega_core.codec.model.MAX_SHARED_PIXELS", 200)
    model.decompress_all(model.encode_together([small, small]).to_bytes())
    with pytest.raises(ImageError, match="one file has at most 200 pixels, not 288"):
        model.encode_together([small] * 3)


def gray_profile(mark=b""):
    """Bytes that say that they are an ICC profile for gray."""
    return bytes(16) + b"GRAY" + mark


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


def test_pictures_of_one_file_have_an_alpha_channel_each(model, noise_picture):
    pictures = [model.read(noise_picture(*size, 2, seed=i)) for i, size in enumerate([(8, 16), (16, 8), (8, 8)])]
    images = model.decompress_all(model.encode_together(pictures).to_bytes())
    assert arrays_of(images) == arrays_of(picture.to_pillow() for picture in pictures)


def test_pictures_are_fitted_together_at_what_the_model_does(model, one_rate, several, model_file, noise_picture):
    with pytest.raises(RateError, match="65 channels: this model codes with 1 to 64"):
        model.encode_together(several, channels=65)
    with pytest.raises(RateError, match="one rate, 4 channels"):
        one_rate.encode_together(several, channels=3)
    assert one_rate.encode_together(several).channels == 4
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


class Watched(BytesIO):
    """A stream that gives a few bytes at a time, and counts those that it gave."""

    def __init__(self, data, most=1 << 20):
        super().__init__(data)
        self.most = most

    def read(self, count):
        return super().read(min(count, self.most))


STREAMS = pytest.mark.parametrize(
    "stream",
    [bytes, BytesIO, lambda data: Watched(data, 1), lambda data: Watched(data, 100)],
    ids=["bytes", "file", "byte by byte", "in pieces"],
)


@STREAMS
def test_pictures_of_a_file_that_arrives_are_those_of_the_file_truncated_at_each_cut(model, picture, stream):
    data = model.compress(picture)
    cuts = list(OmegaFile.parse(data).header.cuts)
    images = list(model.decompress_progressively(stream(data)))
    assert [image.info["channels"] for image in images] == cuts
    assert arrays_of(images) == arrays_of(model.decompress(truncate(data, channels=n)) for n in cuts)
    assert arrays_of(images[-1:]) == [picture.tolist()]


def test_each_picture_is_there_as_soon_as_its_bytes_are(model, picture):
    data = model.compress(picture, channels=9)
    cuts, stream = OmegaFile.parse(data).header.cuts, Watched(data + b"more")
    start = len(data) - 4 - len(OmegaFile.parse(data).stream)
    seen = []
    for image in model.decompress_progressively(stream):
        seen.append(image.info["channels"])
        assert stream.tell() == (start + cuts[seen[-1]] if seen[-1] < 9 else len(data))
    assert seen == list(cuts) == [2, 4, 6, 8, 9]


@pytest.mark.parametrize("buffering", [0, -1])
def test_a_file_may_arrive_through_a_pipe(model, picture, buffering):
    data = model.compress(picture)
    incoming, outgoing = os.pipe()

    def send():
        with os.fdopen(outgoing, "wb", buffering=0) as pipe:
            for start in range(0, len(data), 97):
                pipe.write(data[start : start + 97])

    sender = threading.Thread(target=send)
    sender.start()
    with os.fdopen(incoming, "rb", buffering=buffering) as pipe:
        images = list(model.decompress_progressively(pipe))
    sender.join()
    assert arrays_of(images) == arrays_of(model.decompress_progressively(data))


def arriving(model, data):
    """The channels of the pictures that a file gives as it arrives, and the error that ends them."""
    seen, images = [], model.decompress_progressively(BytesIO(data))
    while True:
        try:
            seen.append(next(images).info["channels"])
        except StopIteration:
            return seen, None
        except omega_core.OmegaError as problem:
            return seen, problem


def test_a_file_that_breaks_off_while_it_arrives_gives_what_is_intact_and_then_an_error(model, noise_picture):
    data = model.compress(noise_picture(8, 8), channels=7)
    cuts = OmegaFile.parse(data).header.cuts
    start = len(data) - 4 - len(OmegaFile.parse(data).stream)
    for length in range(2, len(data)):
        seen, problem = arriving(model, data[:length])
        intact = [n for n, size in cuts.items() if length >= start + size]
        assert seen == [n for n in intact if n < 7]
        assert type(problem) is CutOffError
        assert problem.intact == max(intact, default=0)
    assert arriving(model, data) == ([2, 4, 6, 7], None)


@pytest.mark.parametrize("place", [-1, -4, -5, -6])
def test_a_file_that_is_damaged_at_its_end_gives_earlier_pictures_and_then_an_error(model, picture, place):
    data = bytearray(model.compress(picture))
    data[place] ^= 1
    seen, problem = arriving(model, bytes(data))
    assert seen == list(range(2, 63, 2))
    assert type(problem) is DamagedFileError


def test_what_arrives_and_is_no_file_of_the_model_is_refused_as_elsewhere(model, model_file, noise_picture):
    other = load_model(model_file(block=8, channels_min=2, name="other"))
    assert type(arriving(model, b"hello")[1]) is FileFormatError
    assert type(arriving(model, other.compress(noise_picture(8, 8)))[1]) is WrongModelError
    assert (
        type(arriving(model, forged(model.compress(noise_picture(8, 8)), sizes=((1 << 20, 1 << 20),)))[1]) is CoderError
    )


def test_alpha_and_profile_are_there_from_the_first_picture_that_arrives(model, noise_picture):
    picture = Picture(noise_picture(1, 8, 8), noise_picture(8, 8, seed=1), gray_profile())
    images = list(model.decompress_progressively(model.compress(picture)))
    assert len(images) == 32
    assert all((np.asarray(image)[:, :, 1] == picture.alpha).all() for image in images)
    assert {image.info["icc_profile"] for image in images} == {gray_profile()}


def test_the_function_of_the_package_takes_a_model_or_its_path(model_file, picture):
    path = model_file(block=8)
    model = load_model(path)
    data = model.compress(picture)
    expected = arrays_of(model.decompress_progressively(data))
    for given in (path, str(path), model):
        images = omega_core.decode_progressively(BytesIO(data), given)
        assert arrays_of(images) == expected


@pytest.fixture
def idle(monkeypatch):
    """Makes a model whose transforms and coder must not be asked."""

    def make(model):
        def fail(*_, **__):
            pytest.fail("too many pixels were worked on")

        for name in ("analysis", "synthesis", "latent_size"):
            monkeypatch.setattr(type(model.codec.architecture), name, fail)
        for name in ("symbols", "latent"):
            monkeypatch.setattr(type(model.codec.quantizer), name, fail)
        monkeypatch.setattr(omega_core.codec.model, "_coder", fail)
        return model

    return make


def test_too_many_pixels_are_refused_before_anything_is_made_of_them(model_file, noise_picture, tmp_path, idle):
    path = model_file(block=8)
    picture = noise_picture(16, 24)
    Image.fromarray(picture).save(tmp_path / "a.png")
    fits = load_model(path, max_pixels=16 * 24)
    data = fits.compress(tmp_path / "a.png")
    assert (np.asarray(fits.decompress(data)) == picture).all()
    model = idle(load_model(path, max_pixels=16 * 24 - 1))
    for given in (picture, Image.fromarray(picture), tmp_path / "a.png", str(tmp_path / "a.png")):
        for ask in (model.compress, model.encode, model.reconstruct, model.read):
            with pytest.raises(ImageError, match="24×16 pixels are more than 383"):
                ask(given)
    for ask in (
        model.decompress,
        model.decompress_all,
        model.decode,
        lambda it: next(model.decompress_progressively(it)),
    ):
        with pytest.raises(CoderError, match="the file says 24×16 pixels, more than 383"):
            ask(data)


def test_pixels_of_several_pictures_count_each_and_all(model_file, several, idle):
    path = model_file(block=8)
    parsed = load_model(path).encode_together(several)
    data = parsed.to_bytes()
    assert len(load_model(path, max_pixels=16 * 24).decompress_all(data)) == 3
    with pytest.raises(CoderError, match="the file says 24×16 pixels, more than 383"):
        idle(load_model(path, max_pixels=16 * 24 - 1)).decompress_all(data)
    many = forged(data, sizes=((256, 256),) * 17)  # 17 pictures of 2¹⁶ pixels
    with pytest.raises(CoderError, match=f"the file says {17 << 16} pixels in all, more than {1 << 20}"):
        idle(load_model(path, max_pixels=1 << 16)).decompress_all(many)


def test_a_file_that_claims_more_pixels_than_are_taken_takes_no_memory_for_them(model, picture, idle):
    data = model.compress(picture)
    claims = [
        forged(data, sizes=((1 << 27, 1 << 27),)),
        forged(data, sizes=((9460, 9460),)),
        forged(data, sizes=((9400, 1000),) * 64),
    ]
    idle(model)
    tracemalloc.start()
    try:
        for claim in claims:
            with pytest.raises(CoderError, match=rf"pixels(?: in all)?, more than {MAX_PIXELS}"):
                model.decompress_all(claim)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("colors", "shape"), [(1, (21, 500)), (3, (21, 500, 3)), (3, (500, 21)), (1, (16, 257, 2))])
def test_a_large_picture_is_encoded_in_tiles_if_the_architecture_can(local, noise_picture, colors, shape):
    model, picture = local(colors), noise_picture(*shape)
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


def test_a_file_that_is_said_to_be_rgb_is_refused_by_a_model_for_gray(model, picture):
    data = model.compress(picture)
    for changed in ({"mode": "RGB"}, {"mode": "RGBA", "alpha": b""}):
        with pytest.raises(DamagedFileError, match="its mode is RGB, its model is for gray"):
            model.decompress(forged(data, **changed))


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 2)])
def test_a_model_for_rgb_takes_gray_and_gives_gray_back(model_file, noise_picture, shape):
    model, picture = load_model(model_file(colors=3)), noise_picture(*shape)
    data = model.compress(picture)
    image = model.decompress(data)
    assert OmegaFile.parse(data).header.mode == image.mode == ("L" if len(shape) == 2 else "LA")
    assert (np.asarray(image) == picture).all()
    assert (np.asarray(model.reconstruct(picture)) == picture).all()
    rgb = model.decompress(forged(data, mode="RGB" if len(shape) == 2 else "RGBA"))
    assert (np.asarray(rgb)[:, :, :3] == picture.reshape(6, 8, -1)[:, :, :1]).all()


@pytest.mark.parametrize(("colors", "mode"), [(1, "LA"), (3, "RGBA")])
def test_alpha_comes_back_whatever_the_rate(model_file, noise_picture, tmp_path, colors, mode):
    model = load_model(model_file(colors=colors, block=4))
    picture = noise_picture(8, 12, colors + 1)
    Image.fromarray(picture).save(tmp_path / "a.png")
    files = [model.compress(given) for given in (picture, Image.fromarray(picture), tmp_path / "a.png")]
    assert files[0] == files[1] == files[2]
    image = model.decompress(files[0])
    assert image.mode == OmegaFile.parse(files[0]).header.mode == mode
    assert (np.asarray(image) == picture).all()
    worst = model.decompress(model.compress(picture, channels=1))
    assert (np.asarray(worst)[:, :, -1] == picture[:, :, -1]).all()
    assert (np.asarray(worst) != picture).any()
    assert (np.asarray(model.reconstruct(picture, channels=1)) == np.asarray(worst)).all()


def test_alpha_where_all_is_opaque_takes_three_bytes(model, noise_picture):
    gray = noise_picture(8, 8)
    opaque = np.stack([gray, np.full_like(gray, 255)], axis=2)
    data = model.compress(opaque)
    assert len(data) == len(model.compress(gray)) + 3
    image = model.decompress(data)
    assert image.mode == "LA"
    assert (np.asarray(image) == opaque).all()


@pytest.mark.parametrize(
    "alpha",
    [
        b"\0",
        b"nothing",
        compress_planes([np.zeros((8, 7), np.uint8)]),
        compress_planes([np.zeros((8, 9), np.uint8)]),
        compress_planes([np.zeros((8, 8), np.uint8)])[:-1],
        compress_planes([np.zeros((8, 8), np.uint8)]) + b"\0",
        zlib.compress(bytes(1 << 24), 9),
    ],
)
def test_alpha_that_is_not_as_it_has_to_be_is_damage(model, noise_picture, alpha):
    data = model.compress(noise_picture(8, 8, 2))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFileError, match="its alpha"):
            model.decompress(forged(data, alpha=alpha))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_profile_comes_back(model, noise_picture):
    picture = Image.fromarray(noise_picture(8, 8))
    plain = model.compress(picture)
    picture.info["icc_profile"] = gray_profile(b"and more")
    data = model.compress(picture)
    assert OmegaFile.parse(data).stream == OmegaFile.parse(plain).stream
    assert model.decompress(data).info["icc_profile"] == gray_profile(b"and more")
    assert "icc_profile" not in model.decompress(plain).info


@pytest.mark.parametrize("profile", [b"nothing", zlib.compress(b"a")[:-1], zlib.compress(bytes((1 << 22) + 1))])
def test_a_profile_that_is_not_as_it_has_to_be_is_damage(model, noise_picture, profile):
    with pytest.raises(DamagedFileError, match="its ICC profile"):
        model.decompress(forged(model.compress(noise_picture(8, 8)), profile=profile))


def test_fields_that_are_not_known_are_ignored(model, noise_picture):
    picture = noise_picture(8, 8)
    data = forged(model.compress(picture), unknown={200: b"of a later Omega"})
    assert (np.asarray(model.decompress(data)) == picture).all()


PRECISIONS = ("float64", "float32", "bfloat16")


@pytest.fixture
def weighted(toys, add_toy, model_file):
    """A model file whose quantizer has a number too."""

    class Weighted(toys.Rounding):
        def __init__(self, *, latent_channels, channels, alphabet):
            super().__init__(latent_channels=latent_channels, channels=channels, alphabet=alphabet)
            self.weight = nn.Parameter(torch.ones(()))

        def latent(self, symbols):
            return super().latent(symbols) * self.weight

    path = model_file(block=8, quantizer=Choice(name=add_toy("quantizer", Weighted)))
    file = read_model(path)
    write_model(path, file.description, {**file.arrays, "quantizer.weight": np.ones((), np.float32)})
    return path


def test_a_file_has_the_same_symbols_in_any_precision_and_pixels_that_differ_by_one_at_the_most(weighted, picture):
    models = {precision: load_model(weighted, precision=precision) for precision in PRECISIONS}
    default = load_model(weighted)
    for channels in (3, 64):
        data = default.compress(picture, channels=channels)
        symbols, _ = default.decode(data)
        pixels = {}
        for precision, model in models.items():
            dtypes = {
                weight.dtype
                for part in (model.codec.architecture, model.codec.quantizer)
                for weight in part.parameters()
            }
            assert dtypes == {getattr(torch, precision)}
            assert (model.decode(data)[0] == symbols).all()
            pixels[precision] = np.asarray(model.decompress(data)).astype(int)
        assert abs(pixels["float64"] - pixels["float32"]).max() <= 1
        assert abs(pixels["float64"] - pixels["bfloat16"]).max() <= 3
        assert (pixels["float32"] == np.asarray(default.decompress(data))).all()


def test_transforms_compute_in_the_precision_that_the_architecture_says(weighted, toys, monkeypatch):
    monkeypatch.setattr(toys.Blocks, "precision", torch.float64)
    model = load_model(weighted)
    assert (model.codec.architecture.peak.dtype, model.codec.quantizer.weight.dtype) == (torch.float64, torch.float32)
    model = load_model(weighted, precision="float32")
    assert (model.codec.architecture.peak.dtype, model.codec.quantizer.weight.dtype) == (torch.float32, torch.float32)


def test_a_picture_may_be_encoded_in_any_precision_and_decoded_in_another(weighted, picture):
    models = [load_model(weighted, precision=precision) for precision in PRECISIONS]
    for one in models:
        data = one.compress(picture)
        for other in models:
            assert (other.decode(data)[0] == one.files.symbols(picture[None])).all()


@pytest.fixture
def greedy(add_toy):
    """An architecture and a quantizer that take memory as they are told to, and remember on what device."""
    made = []

    class Wide(Architecture):
        colors = 1

        def __init__(self, *, latent_channels, colors=1, block=2):
            super().__init__()
            self.latent_channels, self.block = latent_channels, block
            self.peak = nn.Parameter(torch.zeros(()))
            self.weight = nn.Parameter(torch.zeros(latent_channels, latent_channels))
            made.append(self.weight.device.type)

        def latent_size(self, height, width):
            raise NotImplementedError

        analysis = synthesis = latent_size

    class Bins(nn.Module):
        def __init__(self, *, latent_channels, channels, alphabet):
            super().__init__()
            self.channels, self.alphabet = channels, alphabet
            self.weight = nn.Parameter(torch.zeros(channels, alphabet))
            made.append(self.weight.device.type)

    return add_toy("architecture", Wide), add_toy("quantizer", Bins), made


@pytest.mark.parametrize(
    "forged_sizes",
    [
        {"latent_channels": 100_000},
        {"latent_channels": 1 << 32},
        {"channels": 100_000_000},
        {"channels": 1 << 32},
        {"alphabet": 1 << 32},
        {"channels": 1 << 32, "alphabet": 1 << 32},
        {"channels": 1 << 16, "alphabet": 1 << 32},
    ],
)
def test_a_description_that_claims_what_the_file_does_not_have_takes_no_memory_for_it(model_file, greedy, forged_sizes):
    architecture, quantizer, made = greedy
    path = model_file(architecture=Choice(name=architecture), quantizer=Choice(name=quantizer))
    file = read_model(path)
    arrays = file.arrays | {
        "architecture.weight": np.zeros((4, 4), np.float32),
        "quantizer.weight": np.zeros((4, 256), np.float32),
    }
    write_model(path, file.description, arrays)
    load_model(path)
    assert made == ["meta", "meta"]
    made.clear()
    write_model(path, replace(file.description, **forged_sizes), arrays)
    with pytest.raises(
        (ModelFileError, ComponentError), match=r"does not fit its components|cannot be made|at most 65536"
    ):
        load_model(path)
    assert "cpu" not in made


def asking_a_number():
    return float(torch.linspace(0, 1, 3)[-1])


def asking_an_array():
    return float(torch.ones(2).numpy().sum()) / 2


def asking_a_list():
    return torch.ones(2).tolist()[0]


def asking_which():
    return len(torch.eye(2).nonzero()) / 2


def choosing():
    return 1.0 if torch.ones(2).sum() > 1 else 0.0


@pytest.mark.parametrize("compute", [asking_a_number, asking_an_array, asking_a_list, asking_which, choosing])
def test_an_architecture_that_computes_with_numbers_while_it_is_made_is_loaded(
    toys, add_toy, model_file, picture, compute
):
    class Computing(toys.Blocks):
        def __init__(self, *, latent_channels, colors=1, block=2):
            super().__init__(latent_channels=latent_channels, colors=colors, block=block)
            self.one = compute()

        def analysis(self, image):
            return super().analysis(image) * self.one

    path = model_file(block=8, architecture=Choice(name=add_toy("architecture", Computing), options={"block": 8}))
    model = load_model(path)
    assert model.codec.architecture.one == 1
    assert (np.asarray(model.decompress(model.compress(picture))) == picture).all()


def test_numbers_of_a_component_that_are_in_no_file_are_made(toys, add_toy, model_file, picture):
    class Ramped(toys.Blocks):
        def __init__(self, *, latent_channels, colors=1, block=2):
            super().__init__(latent_channels=latent_channels, colors=colors, block=block)
            self.register_buffer("ramp", torch.arange(1, latent_channels + 1).float()[:, None, None], persistent=False)

        def analysis(self, image):
            return super().analysis(image) * self.ramp / self.ramp

    path = model_file(block=8, architecture=Choice(name=add_toy("architecture", Ramped), options={"block": 8}))
    model = load_model(path)
    assert model.codec.architecture.ramp.flatten().tolist() == list(range(1, 65))
    assert model.codec.architecture.peak.item() == 255
    assert (np.asarray(model.decompress(model.compress(picture))) == picture).all()


def test_a_component_that_cannot_be_made_at_all_is_named(toys, add_toy, model_file):
    class Broken(toys.Blocks):
        def __init__(self, *, latent_channels, colors=1, block=2):
            raise ValueError("there is a screw missing")

    with pytest.raises(ComponentError, match=r"cannot be made with .*: there is a screw missing"):
        load_model(model_file(architecture=Choice(name=add_toy("architecture", Broken))))


@pytest.mark.parametrize("tile_size", [0, 255, 2049])
def test_tiles_that_a_decoder_would_refuse_are_not_made(local, noise_picture, tile_size):
    model = local()
    model.tile_size = tile_size
    with pytest.raises(ImageError, match=f"256 to 2048 pixels a side, not {tile_size}"):
        model.compress(noise_picture(4, 4))


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
