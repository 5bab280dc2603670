"""Codecs that are trained outside of `omega train`: saved as models, and models loaded as codecs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from omega_core import ImageCodec, load_codec, load_model, save_model
from omega_core.errors import ComponentError, DeviceError, ModelFileError, OutputError, TrainingError

Make = Callable[..., ImageCodec]


def made(prior: str = "static", quantizer: str = "omega", **options: Any) -> ImageCodec:
    """A codec with random weights that has seen some images."""
    torch.manual_seed(0)
    codec = ImageCodec.from_names(
        "mnist", quantizer, prior, latent_channels=8, channels=8, alphabet=16, prior_options=options
    )
    step(codec, torch.optim.Adam(codec.parameters(), lr=1e-3))
    return codec


def step(codec: ImageCodec, optimizer: torch.optim.Optimizer) -> None:
    output = codec(IMAGES)
    optimizer.zero_grad()
    loss = (output.reconstruction - IMAGES).square().mean() + 0.1 * output.bits.mean() / (28 * 28)
    torch.autograd.backward(loss)
    optimizer.step()
    if codec.prior is not None:
        assert output.symbols is not None
        codec.prior.observe(output.symbols, torch.full((len(IMAGES),), codec.channels))


IMAGES = torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.safetensors"


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("prior", ["static", "factorized", "regression", "context"])
def test_a_saved_codec_is_a_model_with_its_symbols_and_its_pixels(prior: str, half: bool, path: Path) -> None:
    codec = made(prior)
    before = {name: tensor.clone() for name, tensor in codec.state_dict().items()}
    fingerprint = save_model(codec, path, IMAGES, half_precision=half, text="mine")
    assert codec.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in codec.state_dict().items())
    model = load_model(path)
    assert (model.fingerprint, model.description.text) == (fingerprint, "mine")
    pixels = (IMAGES[0] * 255).byte()
    decoded = model.decompress(model.compress(pixels.movedim(0, -1).numpy())).tobytes()
    if half:  # its weights are those of the file
        codec = load_codec(path)
    assert decoded == codec.decode_pixels(codec.encode_symbols(pixels[None]), 28, 28).numpy().tobytes()


def test_a_prior_counts_the_symbols_of_all_batches(path: Path) -> None:
    codec = made()
    whole = save_model(codec, path, IMAGES)
    assert save_model(codec, path, [IMAGES[:5], IMAGES[5:]]) == whole
    assert save_model(codec, path, (IMAGES * 255).round().byte()) != whole
    assert save_model(codec, path, IMAGES[:5]) != whole
    assert save_model(codec, path, iter([IMAGES])) == whole
    step(codec, torch.optim.Adam(codec.parameters(), lr=1e-2))  # training goes on
    assert save_model(codec, path, IMAGES) != whole


def test_bits_of_files_are_those_that_the_prior_has_counted(path: Path) -> None:
    codec = made()
    likely, other = torch.zeros(64, 1, 28, 28), IMAGES
    save_model(codec, path, likely)
    model = load_model(path)
    short, long = (len(model.compress(images[0])) for images in (likely, other))
    assert short < long / 2


def test_a_model_is_a_codec_that_trains_further(path: Path) -> None:
    first = save_model(made(), path, IMAGES, channels_min=2)
    codec = load_codec(path)
    assert codec.training
    assert all(parameter.requires_grad for parameter in codec.parameters())
    assert save_model(codec, path, IMAGES, channels_min=2) == first
    step(codec, torch.optim.Adam(codec.parameters(), lr=1e-2))
    assert save_model(codec, path, IMAGES, channels_min=2) != first
    assert load_model(path).description.channels_min == 2


def test_a_model_without_a_prior_needs_no_images(path: Path) -> None:
    codec = made(quantizer="identity")
    save_model(codec, path)
    assert load_model(path).description.coder.endswith("/raw")
    assert load_codec(path).prior is None


def test_the_bundled_model_trains_further_with_its_prior_and_its_density() -> None:
    codec, model = load_codec("compact"), load_model("compact")
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    symbols = codec.encode_symbols(image)
    assert torch.equal(symbols, model.codec.encode_symbols(image))
    bits = float(codec.channel_bits(symbols).sum().detach())
    assert bits == pytest.approx(model.files.coded([symbols[0].numpy()]).bits, rel=0.01)
    relaxed = codec.relaxed(image, torch.tensor([codec.channels]), torch.tensor([0.5]))
    assert 0.3 < float(relaxed.bits.detach()) / bits < 3
    restored = codec.with_frozen_symbols(image).reconstruction.detach()
    wanted = model.codec.decode_symbols(symbols, 64, 64)
    assert float((restored - wanted).abs().max()) < 0.05  # as files are decoded, but in float32


def test_images_are_needed_where_the_prior_counts(path: Path) -> None:
    for nothing in ((), [], [IMAGES[:0]]):
        with pytest.raises(TrainingError):
            save_model(made(), path, nothing)
    assert not path.exists()


def test_what_is_no_codec_of_components_by_name_is_refused(path: Path) -> None:
    codec = made()
    with pytest.raises(ComponentError):
        save_model(ImageCodec(codec.architecture, codec.quantizer, codec.prior), path, IMAGES)
    with pytest.raises(ComponentError):
        save_model(codec, path, IMAGES, coder="nowhere")
    assert codec.components is not None
    codec.components.prior.options["decay"] = torch.ones(1)  # type: ignore[union-attr]
    with pytest.raises(ComponentError):
        save_model(codec, path, IMAGES)
    assert not path.exists()


def test_weights_that_16_bits_do_not_hold_are_refused_and_stay(path: Path) -> None:
    codec = made()
    weight = next(codec.architecture.parameters())
    with torch.no_grad():
        weight.flatten()[0] = 1e6
    before = weight.clone()
    with pytest.raises(TrainingError):
        save_model(codec, path, IMAGES, half_precision=True)
    assert torch.equal(weight, before)
    save_model(codec, path, IMAGES)


@pytest.mark.parametrize("images", [torch.zeros(4, 3, 28, 28), torch.zeros(1, 28, 28), [torch.zeros(1, 28, 28)]])
def test_images_of_another_shape_are_refused(images: Tensor, path: Path) -> None:
    codec = made()
    with pytest.raises(ValueError, match="this codec takes"):
        save_model(codec, path, images)
    assert codec.training


def test_a_folder_is_no_model_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        save_model(made(), tmp_path, IMAGES)


def test_a_codec_of_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        load_codec(tmp_path / "nowhere.safetensors")
    (tmp_path / "coding.bin").touch()
    with pytest.raises(ModelFileError, match="onnxruntime"):
        load_codec(tmp_path)
    with pytest.raises(DeviceError):
        load_codec("mnist-omega-16", device="nowhere")
