"""Training that goes on from a bundled model."""

from pathlib import Path

import numpy as np
import pytest
import torch

from omega_core import load_model
from omega_core.codec.model_file import read_model, write_model
from omega_core.codec.model_names import model_path
from omega_core.errors import ModelFileError
from omega_entropy import ContextPrior
from omega_train import load_recipe
from omega_train.task import CodecTask
from omega_train.warm_start import warm_start


def test_a_bundled_model_is_trained_on_with_its_prior() -> None:
    """The net of the prior begins with the tables of the model, and the fitted quantizer with its channels."""
    task = CodecTask(load_recipe("compact-omega"))
    said = warm_start(task, "compact")
    assert "the prior begins with its tables" in said
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


def test_a_damaged_prior_is_no_prior_to_begin_with(tmp_path: Path) -> None:
    file = read_model(model_path("compact"))
    path = tmp_path / "model.safetensors"
    write_model(path, file.description, {**file.arrays, "prior.net.bounds": np.zeros(3, np.int16)})
    with pytest.raises(ModelFileError, match="prior"):
        warm_start(CodecTask(load_recipe("compact-omega")), path)
