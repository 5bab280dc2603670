"""Codecs that are trained outside of `omega train`: saved as models, and models loaded as codecs."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from omega_core import ImageCodec, load_codec, load_model, save_model
from omega_core.errors import (
    ComponentError,
    DeviceError,
    ImageError,
    ModelFileError,
    OmegaError,
    OutputError,
    TrainingError,
)


def made(prior: str = "static", quantizer: str = "omega", channels: int = 8) -> ImageCodec:
    """A codec that was trained for a step."""
    torch.manual_seed(0)
    codec = ImageCodec.from_names("mnist", quantizer, prior, latent_channels=8, channels=channels, alphabet=16)
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


def test_batches_of_a_loader_may_have_labels(path: Path) -> None:
    labeled = torch.utils.data.TensorDataset(IMAGES, torch.arange(len(IMAGES)))
    batches = torch.utils.data.DataLoader(labeled, batch_size=5)
    assert save_model(made(), path, batches) == save_model(made(), path, IMAGES)


def test_16_bits_do_not_hold_the_counts_of_a_prior(path: Path) -> None:
    several = [IMAGES] * 200
    sizes = []
    for codec in (made(), made().half(), made().bfloat16()):
        save_model(codec, path, [batch.to(codec.architecture.decoder[0].weight) for batch in several])
        sizes.append(len(load_model(path).compress((IMAGES[0] * 255).byte().movedim(0, -1).numpy())))
    assert max(sizes) <= 1.1 * min(sizes)


def test_a_codec_that_is_saved_stays_as_it_is(path: Path) -> None:
    codec = made()
    codec.architecture.eval()
    modes = [module.training for module in codec.modules()]
    output = codec(IMAGES)
    save_model(codec, path, IMAGES, half_precision=True)
    assert [module.training for module in codec.modules()] == modes
    torch.autograd.backward(output.bits.mean() + output.reconstruction.mean())  # its tensors were not changed


def test_bits_of_files_are_those_that_the_prior_has_counted(path: Path) -> None:
    codec = made()
    likely, other = torch.zeros(64, 1, 28, 28), IMAGES
    save_model(codec, path, likely)
    model = load_model(path)
    short, long = (len(model.compress(images[0])) for images in (likely, other))
    assert short < long / 2


def test_a_model_is_a_codec_that_trains_further(path: Path) -> None:
    first = save_model(made(), path, IMAGES, channels_min=2, coder="fixed", text="mine")
    with torch.inference_mode():
        codec = load_codec(path)
    assert codec.training
    assert all(parameter.requires_grad for parameter in codec.parameters())
    assert save_model(codec, path, IMAGES) == first
    step(codec, torch.optim.Adam(codec.parameters(), lr=1e-2))
    assert save_model(codec, path, IMAGES) != first
    found = load_model(path).description
    assert (found.channels_min, found.coder, found.text) == (2, "omega-entropy/fixed", "mine")


def test_numbers_of_numpy_are_numbers(path: Path) -> None:
    codec = ImageCodec.from_names(
        "mnist",
        "integer",
        "factorized",
        latent_channels=np.int64(8),  # type: ignore[arg-type]
        channels=np.int64(8),  # type: ignore[arg-type]
        alphabet=np.int64(16),  # type: ignore[arg-type]
    )
    save_model(codec, path, IMAGES)
    assert load_model(path).channels == 8


def test_a_prior_follows_the_quantizer_that_is_loaded() -> None:
    for name in ("compact", "compact-screen", "compact-small"):
        codec, model = load_codec(name), load_model(name)
        refinement = codec.quantizer.refinement()
        net: Any = codec.prior.net  # type: ignore[union-attr]
        prior: Any = model.file_codec.prior
        assert net.sizes.tolist() == pytest.approx(refinement.sizes)
        assert net.parents.tolist() == prior.net.parents.tolist()


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
    assert bits == pytest.approx(model.file_codec.coded([symbols[0].numpy()]).bits_until()[-1], rel=0.03)
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
    assert codec.made_of is not None
    codec.made_of.prior.options["decay"] = torch.ones(1)  # type: ignore[union-attr]
    with pytest.raises(ComponentError):
        save_model(codec, path, IMAGES)
    for wrapped in (torch.nn.Sequential(codec), None):
        with pytest.raises(TypeError, match="not an ImageCodec"):
            save_model(wrapped, path, IMAGES)  # type: ignore[arg-type]
    assert not path.exists()


def without_prior(codec: ImageCodec) -> None:
    codec.prior = None


def with_another_quantizer(codec: ImageCodec) -> None:
    codec.quantizer = made(channels=4).quantizer


def with_a_layer_more(codec: ImageCodec) -> None:
    codec.architecture.more = torch.nn.Linear(2, 2)  # type: ignore[assignment]


def compiled(codec: ImageCodec) -> None:
    codec.architecture = torch.compile(codec.architecture)  # type: ignore[assignment]


def diverged(codec: ImageCodec) -> None:
    with torch.no_grad():
        next(codec.architecture.parameters()).flatten()[0] = torch.nan


@pytest.mark.parametrize("change", [without_prior, with_another_quantizer, with_a_layer_more, compiled, diverged])
def test_no_file_is_written_that_could_not_be_loaded(change: Callable[[ImageCodec], None], path: Path) -> None:
    codec = made()
    save_model(codec, path, IMAGES)
    before = path.read_bytes()
    change(codec)
    with pytest.raises((ComponentError, TrainingError)):
        save_model(codec, path, IMAGES)
    assert path.read_bytes() == before


@pytest.mark.parametrize("options", [{"channels_min": -1}, {"channels_min": 0.5}, {"text": 3}])
def test_a_description_that_is_none_is_refused(options: dict[str, Any], path: Path) -> None:
    with pytest.raises(ComponentError):
        save_model(made(), path, IMAGES, **options)
    assert not path.exists()


def test_modules_beside_the_three_parts_are_not_in_the_file(path: Path) -> None:
    codec = made()
    codec.critic = torch.nn.Linear(2, 2)
    save_model(codec, path, IMAGES)
    assert load_model(path).codec.channels == codec.channels


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


@pytest.mark.parametrize(
    "images",
    [
        torch.zeros(4, 3, 28, 28),
        torch.zeros(1, 28, 28),
        [torch.zeros(1, 28, 28)],
        torch.zeros(4, 1, 32, 32),
        255 * IMAGES,
        torch.full_like(IMAGES, torch.nan),
        np.zeros((4, 1, 28, 28)),
        ["photos"],
        [{"image": IMAGES}],
    ],
)
def test_images_of_another_kind_are_refused(images: Any, path: Path) -> None:
    with pytest.raises((ValueError, TypeError, ImageError)):
        save_model(made(), path, images)
    assert not path.exists()


def test_a_folder_is_no_model_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        save_model(made(), tmp_path, IMAGES)


def test_a_url_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OmegaError, match="URL"):
        save_model(made(), "s3://bucket/mine.safetensors", IMAGES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda codec: pickle.loads(pickle.dumps(codec))])
def test_a_copy_of_a_compiled_codec_computes_with_its_own_weights(copied: Callable[[ImageCodec], ImageCodec]) -> None:
    codec = made()
    codec._compiled = {"analysis": codec.architecture.analysis}  # as `compile_parts` does, without compiling
    other = copied(codec)
    with torch.no_grad():
        for parameter in other.architecture.parameters():
            parameter.zero_()
    assert float(other.analyze(IMAGES).detach().abs().max()) == 0
    assert float(codec.analyze(IMAGES).detach().abs().max()) > 0


def test_a_codec_of_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        load_codec(tmp_path / "nowhere.safetensors")
    (tmp_path / "coding.bin").touch()
    with pytest.raises(ModelFileError, match="onnxruntime"):
        load_codec(tmp_path)
    with pytest.raises(DeviceError):
        load_codec("mnist-omega-16", device="nowhere")


def test_a_slip_in_the_name_of_a_prior_is_told_also_where_none_is_made() -> None:
    sizes = {"latent_channels": 4, "channels": 4, "alphabet": 16}
    assert ImageCodec.from_names("mnist", "identity", "none", **sizes).prior is None
    assert ImageCodec.from_names("mnist", "identity", "static", **sizes).prior is None
    with pytest.raises(ComponentError, match="there is no prior 'statik'"):
        ImageCodec.from_names("mnist", "identity", "statik", **sizes)
    for none in ("none", ""):
        with pytest.raises(ComponentError, match="the quantizer 'omega' needs a prior, such as static"):
            ImageCodec.from_names("mnist", "omega", none, **sizes)
