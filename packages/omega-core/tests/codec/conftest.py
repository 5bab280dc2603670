"""Models and pictures of the tests of this folder, and the path to `model_samples`."""

import sys
from pathlib import Path

import pytest

from omega_core.codec.loading import load_model

sys.path.insert(0, str(Path(__file__).parent))


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
def several(model, noise_picture):
    """Pictures of different sizes, as the model reads them."""
    return [model.read(noise_picture(*shape, seed=seed)) for seed, shape in enumerate([(16, 24), (8, 8), (24, 16)])]
