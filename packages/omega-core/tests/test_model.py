import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import omega_core
import omega_core.model
from omega_core.container import pack, shorten, unpack
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
from omega_core.images import MAX_PIXELS, psnr, read_picture
from omega_core.model import decompress, load_model
from omega_core.modelfile import Choice, read_model, write_model


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


def test_a_picture_comes_back_from_its_file(model, picture):
    image = model.decompress(model.compress(picture))
    assert image.mode == "L"
    assert (np.asarray(image) == picture).all()


@pytest.mark.parametrize(("shape", "mode"), [((6, 8), "L"), ((6, 8, 3), "RGB")])
def test_a_picture_comes_back_from_image_path_and_array(model_file, noise_picture, tmp_path, shape, mode):
    model, picture = load_model(model_file(colours=len(mode))), noise_picture(*shape)
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
    container = unpack(model.compress(picture))
    assert container.fingerprint == bytes.fromhex(model.fingerprint)[:4]
    assert container.coder == "omega-toys/two-bytes"
    assert (container.mode, container.height, container.width) == ("L", 16, 24)
    assert (container.channels, container.group, container.groups) == (64, 2, 32)


def test_cuts_are_where_the_coder_ends_its_groups(model, noise_picture):
    assert unpack(model.compress(noise_picture(8, 8))).cuts == {n: 2 * n for n in range(2, 65, 2)}


def test_compressing_twice_gives_the_same_file(model, picture):
    assert model.compress(picture) == model.compress(picture)


@pytest.mark.parametrize("channels", [1, 2, 3, 31, 32, 63, 64])
def test_any_number_of_channels_decodes_to_what_those_channels_make(model, picture, channels):
    data = model.compress(picture, channels=channels)
    symbols, container = model.decode(data)
    assert container.channels == channels
    assert (symbols == model.codec.symbols(picture[None])[:channels]).all()
    expected = np.asarray(model.reconstruct(picture, channels=channels))
    assert (np.asarray(model.decompress(data)) == expected).all()


def test_a_file_shortened_at_a_cut_is_the_one_compressed_with_so_many_channels(model, picture):
    whole = unpack(model.compress(picture))
    assert list(whole.cuts) == list(range(2, 65, 2))
    for channels in whole.cuts:
        assert pack(shorten(whole, channels)) == model.compress(picture, channels=channels)


def test_one_encoding_has_the_files_of_all_cuts(model, picture):
    encoded = model.encode(picture)
    assert encoded.symbols.shape == (64, 2, 3)
    for channels in encoded.cuts:
        assert encoded.file(channels) == model.compress(picture, channels=channels)
    with pytest.raises(RateError, match="no cut at 3 channels"):
        encoded.file(3)


def test_a_file_that_ends_between_cuts_can_be_shortened_at_those_before(model, picture):
    odd = unpack(model.compress(picture, channels=7))
    assert list(odd.cuts) == [2, 4, 6, 7]
    assert pack(shorten(odd, 4)) == model.compress(picture, channels=4)


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
    whole = unpack(model.compress(picture))
    assert whole.cuts[2] == 72 > 2 * 2 * 17
    assert len(whole.stream) == 2 * 64 * 17
    for channels in whole.cuts:
        symbols, _ = model.decode(pack(shorten(whole, channels)))
        assert (symbols == model.codec.symbols(picture[None])[:channels]).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 63, 64])
def test_a_stream_that_rounding_reaches_beyond_decodes(model, toys, monkeypatch, noise_picture, channels):
    class Late(toys.TwoBytes):
        """Needs the whole stream for any of its symbols."""

        def encode(self, symbols, tables, ends):
            data, cuts = super().encode(symbols, tables, ends)
            return data, [len(data)] * len(cuts)

    monkeypatch.setattr(toys, "TwoBytes", Late)
    picture = noise_picture(8, 8 * 17)
    symbols, container = model.decode(model.compress(picture, channels=channels))
    assert (symbols == model.codec.symbols(picture[None])[:channels]).all()
    length = 2 * 64 * 17
    assert set(container.cuts.values()) == {len(container.stream)} == {length if channels == 1 else 9 << 8}
    assert not any(container.stream[length:])


def test_estimated_bits_are_those_of_the_frozen_tables(model, picture):
    symbols = model.encode(picture).symbols
    counts = np.diff(model.codec.prior.cumulative)
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


def forged(data, **changed):
    return pack(replace(unpack(data), **changed))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"height": 1 << 20, "width": 1 << 20}, CoderError, "1048576×1048576 pixels, more than"),
        ({"height": 9460, "width": 9460}, CoderError, f"9460×9460 pixels, more than {MAX_PIXELS}"),
        ({"height": 17}, ImageError, "not 24×17"),
        ({"channels": 96, "group": 3}, CoderError, "has 96 channels, its model only 64"),
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
    assert omega_core.model._coder.cache_info().misses == 1
    model.check_coder(None)
    for ask in (lambda: model.check_coder("fast"), lambda: model.compress(picture, coder="fast")):
        with pytest.raises(ComponentError, match="no coder 'fast'"):
            ask()


def test_pictures_that_the_model_does_not_take_are_refused(model, noise_picture):
    with pytest.raises(ImageError, match="is RGB, the model is for grey"):
        model.compress(noise_picture(16, 16, 3))
    with pytest.raises(ImageError, match="not 9×8"):
        model.compress(noise_picture(8, 9))
    with pytest.raises(ImageError, match="no picture"):
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
    assert model.estimated_bits(model.codec.symbols(noise_picture(1, 4, 4))) == 32 * 16


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
    with pytest.raises(ModelFileError, match="does not fit its components"):
        load_model(path)


def test_a_model_that_is_not_there_is_a_named_error(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelFileError):
            load_model(path)


def test_a_budget_a_quality_and_a_fraction_choose_the_cut(model, picture):
    encoded = model.encode(picture)
    sizes = {channels: len(encoded.file(channels)) for channels in encoded.cuts}
    pixels = read_picture(picture)
    quality = {n: psnr(pixels, read_picture(decompress(encoded.file(n), model))) for n in encoded.cuts}
    for n in (2, 20, 64):
        assert model.compress(picture, max_bytes=sizes[n]) == encoded.file(n)
        assert model.compress(picture, bpp=8 * sizes[n] / pixels[0].size) == encoded.file(n)
        assert model.compress(picture, fraction=n / 64) == encoded.file(n)
        wanted = min(quality[n], 200.0)
        smallest = min(cut for cut in encoded.cuts if quality[cut] >= wanted)
        assert model.compress(picture, psnr=wanted) == encoded.file(smallest)


def test_a_quality_that_is_not_reached_warns_and_keeps_all_channels(model, picture, monkeypatch):
    monkeypatch.setattr("omega_core.model.psnr", lambda *_: 31.5)
    with pytest.warns(OmegaWarning, match=r"99.0 dB are not reached, all 64 channels give 31.50 dB"):
        data = model.compress(picture, psnr=99.0)
    assert unpack(data).channels == 64


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
