"""Training on another device than the CPU, without one: see `omega_core.testing.simulated_device`."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from omega_core.codec import image_codec
from omega_core.testing.simulated_device import elsewhere
from omega_train.data.batches import Batch
from omega_train.phases import Phase
from omega_train.recipe import Recipe
from omega_train.task import CodecTask

Make = Callable[..., Recipe]
PHASED: dict[str, Any] = {
    "channels": 6,
    "alphabet": 16,
    "lambda_min": 0.8,
    "prior": "context",
    "relaxed_share": 0.5,
    "quantizer_options": {"start": "scalar", "rank": 1, "stages": [2, 4], "finer": 2.0, "dead_zone": True},
}
COLORED: dict[str, Any] = {"dataset": "folder", "dataset_options": {}, "latent_channels": 8}


def batch_for(task: CodecTask, step: int) -> Batch:
    side = 28 if task.architecture.image_size else 40
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (4, task.codec.colors, side, side), dtype=torch.uint8, generator=generator)
    return Batch(pixels, torch.arange(4), step)


@pytest.mark.parametrize(
    ("settings", "step", "phase"),
    [
        ({}, 0, Phase.JOINT),
        ({"reset_dead_every": 5}, 0, Phase.JOINT),
        ({"prior": "context", "optimizer": "muon"}, 3, Phase.JOINT),
        ({"decoder_share": 0.5}, 11, Phase.DECODER),
        ({"prior": "context", "prior_share": 0.5}, 11, Phase.PRIOR),
        ({"quantizer": "integer", "prior": "factorized", "latent_channels": 3}, 0, Phase.JOINT),
        ({"quantizer": "identity", "channels": 4, "channels_min": 4, "lambda_min": 0.999}, 0, Phase.JOINT),
        (PHASED, 0, Phase.RELAXED),
        ({**PHASED, "decoder_share": 0.25}, 11, Phase.DECODER),
        ({**COLORED, "architecture": "compact"}, 0, Phase.JOINT),
        ({**COLORED, "architecture": "openimages", "architecture_options": {"width": 4}}, 0, Phase.JOINT),
    ],
)
def test_a_step_on_another_device_is_that_of_the_cpu(
    tiny: Make, settings: dict[str, Any], step: int, phase: Phase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_codec, "is_quick", lambda *_: False)  # both in float32
    losses, symbols = [], []
    for away in (False, True):
        torch.manual_seed(0)
        task = CodecTask(tiny(**settings))
        task.steps = 12
        if phase is not Phase.RELAXED and len(task.prefix_rates):
            task.set_prefix_rates(torch.linspace(0, 1, len(task.prefix_rates)))
        assert task.phase(step) is phase
        batch = batch_for(task, step)
        with elsewhere() as device:
            there = device if away else torch.device("cpu")
            task.to(there)
            configured = task.configure_optimizers()
            optimizer = configured if isinstance(configured, torch.optim.Optimizer) else configured["optimizer"]
            for _ in range(2):
                loss = task.training_step(batch.to(there), 0)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                losses.append(float(loss.detach()))
            assert loss.device == there
            task.eval()
            found = task.codec.encode_symbols(batch.pixels.to(there))
            assert found.device == there
            symbols.append(found.cpu())
            decoded = task.codec.decode_pixels(found, *batch.pixels.shape[2:])
            assert decoded.device == there
            if task.prior is not None:
                task.prior.freeze()
    assert losses[0] != losses[1]
    assert losses[2:] == pytest.approx(losses[:2], rel=1e-4)
    assert float((symbols[0] == symbols[1]).float().mean()) > 0.99


def test_a_tensor_left_on_the_cpu_is_found(tiny: Make) -> None:
    task = CodecTask(tiny())
    batch = batch_for(task, 0)
    scale = torch.ones(4, 1, 1)
    analysis = task.architecture.analysis
    task.architecture.analysis = lambda image: analysis(image) * scale  # type: ignore[method-assign]
    assert task.training_step(batch, 0).isfinite()
    with elsewhere() as device:
        task.to(device)
        with pytest.raises(RuntimeError):
            task.training_step(batch.to(device), 0)
