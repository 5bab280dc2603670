"""Models and pictures of the tests of this folder, and the path to `model_samples`."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import omega_core
import omega_core.codec.model
import omega_core.plugins.registry
from omega_core.codec.loading import load_model
from omega_core.codec.model_file import Choice
from omega_core.contracts import LocalArchitecture
from omega_core.plugins.components import Component
from omega_core.plugins.registry import Registered, Registry

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
def add_toy(toys, monkeypatch):
    """Registers one more component beside the toys, and returns its qualified name."""

    def add(kind, target):
        setattr(toys, target.__name__, target)
        name = target.__name__.lower()
        component = Component(name=name, target=f"omega_toys:{target.__name__}", summary="A toy.")
        [plugin] = omega_core.plugins.registry.registry().plugins
        more = replace(plugin, components=(*plugin.components, Registered(kind, component, "omega-toys")))
        for module in (omega_core.plugins.registry, omega_core.codec.model):
            monkeypatch.setattr(module, "registry", lambda: Registry([more]))
        return f"omega-toys/{name}"

    return add


class Local(LocalArchitecture):
    """As the toy blocks, but for pictures of any size, in tiles that need no neighbors."""

    analysis_halo = render_halo = 0

    def __init__(self, *, latent_channels, colors=1, block=2):
        super().__init__()
        self.latent_channels, self.colors, self.stride = latent_channels, colors, block
        self.peak = nn.Parameter(torch.tensor(1.0))

    def analysis(self, image):
        return F.pixel_unshuffle(self.pad(image, self.margins(*image.shape[2:])), self.stride) * self.peak

    def render(self, features):
        return F.pixel_shuffle(features, self.stride) / self.peak


@pytest.fixture
def local(model_file, add_toy):
    """Makes models of that architecture, which is lossless with all channels."""

    def make(colors=1, **changed):
        choice = Choice(name=add_toy("architecture", Local), options={"colors": colors})
        return load_model(model_file(colors=colors, architecture=choice, name=f"local{colors}"), **changed)

    return make


@pytest.fixture
def several(model, noise_picture):
    """Pictures of different sizes, as the model reads them."""
    return [model.read(noise_picture(*shape, seed=seed)) for seed, shape in enumerate([(16, 24), (8, 8), (24, 16)])]
