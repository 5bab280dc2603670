"""Training that goes on from a bundled model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from omega_core import load_model
from omega_core.codec.model_file import read_model, write_model
from omega_core.codec.model_names import model_path
from omega_core.errors import ModelFileError
from omega_entropy import ContextPrior
from omega_train import load_recipe, train
from omega_train.task import CodecTask
from omega_train.warm_start import warm_start


def test_a_bundled_model_is_trained_on_with_its_prior() -> None:
    """The net of the prior begins with the tables of the model, and the fitted quantizer with its channels."""
    task = CodecTask(load_recipe("compact-omega"))
    said = warm_start(task, "compact")
    assert "the prior starts from its tables" in said
    assert "not initialized" not in said
    assert isinstance(task.prior, ContextPrior)
    order = task.quantizer.refinement().parents
    task.quantizer.fit()
    assert task.quantizer.refinement().parents == order
    task.prior.follow(task.quantizer.refinement())
    assert task.prior.knows_channels
    y, x = torch.meshgrid(torch.arange(96), torch.arange(128), indexing="ij")
    image = (255 * torch.stack([(x * y % 251 > 100).float(), x / 128, y / 96])[None]).round() / 255
    model = load_model("compact")
    in_file = 8 * model.encode(image[0]).whole.stream_bytes
    with torch.no_grad():
        bits = task.codec.channel_bits(task.codec.encode_symbols(image)).sum()
    assert float(bits) == pytest.approx(in_file, rel=0.04)


def test_the_prior_of_a_bundled_model_is_adapted_alone(tmp_path: Path) -> None:
    """By a recipe with its sizes: all that pixels depend on stays as it was."""
    photos, random = tmp_path / "photos", np.random.default_rng(0)
    photos.mkdir()
    for number in range(8):
        pixels = (255 * random.integers(0, 2, (10, 10))).astype(np.uint8).repeat(16, 0).repeat(16, 1)
        Image.fromarray(pixels).save(photos / f"{number}.png")
    recipe = load_recipe("compact-prior", {"steps": 16, "batch-size": 2, "dataset-options": {"crop": 128}})
    adapted = train(recipe, tmp_path / "run", init="compact", data=photos, accelerator="cpu", devices="1")
    before, after = (load_model(path) for path in ("compact", adapted))
    assert before.fingerprint != after.fingerprint
    picture = photos / "0.png"
    files = [model.compress(picture) for model in (before, after)]
    assert len(files[1]) < 0.995 * len(files[0])
    decoded = [np.asarray(model.decompress(file)) for model, file in zip((before, after), files, strict=True)]
    np.testing.assert_array_equal(*decoded)


def test_a_damaged_prior_is_no_prior_to_begin_with(tmp_path: Path) -> None:
    file = read_model(model_path("compact"))
    path = tmp_path / "model.safetensors"
    write_model(path, file.description, {**file.arrays, "prior.net.bounds": np.zeros(3, np.int16)})
    with pytest.raises(ModelFileError, match="prior"):
        warm_start(CodecTask(load_recipe("compact-omega")), path)
