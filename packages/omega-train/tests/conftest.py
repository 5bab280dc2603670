"""What the tests of training share."""

from collections.abc import Callable
from typing import Any

import pytest

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
