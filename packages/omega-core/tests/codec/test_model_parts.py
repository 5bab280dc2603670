"""The components and weights that a model is loaded with, and their precision."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from omega_core.codec.loading import load_model
from omega_core.codec.model_file import Choice, read_model, write_model
from omega_core.contracts import Architecture
from omega_core.errors import (
    ComponentError,
    ModelFileError,
    OmegaError,
)


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
    assert model.file_codec.coded([model.file_codec.symbols(noise_picture(1, 4, 4))]).bits_until()[-1] == 32 * 16


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


@pytest.mark.parametrize(
    "change", [lambda array: array.astype(np.int32), lambda array: np.full_like(array, np.nan)], ids=["integers", "nan"]
)
def test_weights_that_are_no_real_numbers_are_a_named_error(model_file, change):
    path = model_file()
    file = read_model(path)
    name = next(name for name, array in file.arrays.items() if array.dtype.kind == "f")
    write_model(path, file.description, {**file.arrays, name: change(file.arrays[name])})
    with pytest.raises(ModelFileError, match="does not fit its components"):
        load_model(path)


@pytest.mark.parametrize("name", ["n" * 300, "a\0b"])
def test_what_cannot_be_a_path_is_no_model(name):
    with pytest.raises(ModelFileError, match="no model"):
        load_model(name)


def test_a_model_that_is_not_there_is_a_named_error(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelFileError):
            load_model(path)


def test_a_model_shows_what_it_is_made_of(model, one_rate):
    assert repr(model) == (
        f"<Model {model.fingerprint[:8]}: omega-toys/blocks, omega-toys/rounding, omega-toys/table;"
        " 1 to 64 channels; gray>"
    )
    assert repr(one_rate).endswith("; 4 channels; gray>")


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


@pytest.mark.parametrize("precision", ["bf16", "int8", "nn", "half"])
def test_a_precision_that_there_is_not_is_refused(weighted, precision):
    with pytest.raises(OmegaError, match=f"no precision '{precision}'; use one of float64, float32"):
        load_model(weighted, precision=precision)


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
            assert (other.decode(data)[0] == one.file_codec.symbols(picture[None])).all()


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
