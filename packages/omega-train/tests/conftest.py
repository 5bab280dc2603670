"""What the tests of training share."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from omega_train.recipe import Recipe


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Recipe]:
    """A recipe that trains in a moment, with settings replaced."""

    def make(**settings: Any) -> Recipe:
        values: dict[str, Any] = {
            "name": "tiny",
            "dataset": "glyphs",
            "latent_channels": 4,
            "channels": 3,
            "channels_min": 0,
            "alphabet": 8,
            "lambda_max": 0.999,
            "batch_size": 16,
            "steps": 12,
            "learning_rate": 3e-3,
            "dataset_options": {"training": 80, "validation": 20},
        }
        return Recipe(**{**values, **settings})

    return make


class ZooModel(torch.nn.Module):
    """With the interface of a model of CompressAI's zoo: 16×16 blocks by their means, as one string or two."""

    def __init__(self, quality: int, strings: int) -> None:
        super().__init__()
        self.quality, self.strings, self.updated = quality, strings, False

    def update(self) -> bool:
        self.updated = True
        return True

    def compress(self, x: torch.Tensor) -> dict[str, Any]:
        assert self.updated
        assert not self.training
        assert x.dtype == torch.float32
        assert x.shape[:2] == (1, 3)
        assert x.shape[2] % 64 == x.shape[3] % 64 == 0
        assert 0 <= x.min() <= x.max() <= 1
        y = torch.nn.functional.avg_pool2d(x, 16)
        data = (y * 255).round().to(torch.uint8).numpy().tobytes() + bytes(self.quality)
        return {"strings": [[data], [b"z"]][: self.strings], "shape": y.shape[-2:]}

    def decompress(self, strings: list[list[bytes]], shape: tuple[int, int]) -> dict[str, torch.Tensor]:
        assert self.updated
        assert [len(each) for each in strings] == [1] * self.strings
        assert self.strings == 1 or strings[1] == [b"z"]
        data = bytearray(strings[0][0][: -self.quality])
        y = torch.frombuffer(data, dtype=torch.uint8).reshape(1, 3, *shape).float() / 255
        return {"x_hat": torch.nn.functional.interpolate(y, scale_factor=16)}


@pytest.fixture
def compressai(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A module `compressai.zoo` with the interface of CompressAI 1.2; the calls for its models."""
    calls: list[dict[str, Any]] = []

    def model(strings: int) -> Callable[..., ZooModel]:
        def make(quality: int, metric: str = "mse", pretrained: bool = False, progress: bool = True) -> ZooModel:
            calls.append({"quality": quality, "metric": metric, "pretrained": pretrained})
            return ZooModel(quality, strings)

        return make

    package, zoo = ModuleType("compressai"), ModuleType("compressai.zoo")
    zoo.image_models = {"bmshj2018-factorized": model(1), "cheng2020-anchor": model(2)}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "compressai", package)
    monkeypatch.setitem(sys.modules, "compressai.zoo", zoo)
    return calls
