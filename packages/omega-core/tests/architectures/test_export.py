"""The transforms of architectures in programs that torch.export makes of them."""

import pytest
import torch
from torch import nn

from omega_core.architectures.mnist import MnistArchitecture
from omega_core.architectures.openimages import OpenImagesArchitecture

ANY = {name: torch.export.Dim(name, min=1) for name in ("batch", "height", "width")}


class Analysis(nn.Module):
    def __init__(self, architecture):
        super().__init__()
        self.architecture = architecture.eval().requires_grad_(False)

    def forward(self, image):
        return self.architecture.analysis(image)


class Synthesis(Analysis):
    def forward(self, latent):
        return self.architecture.synthesis(latent, 28, 28)


def assert_exports(module, example, others, dynamic):
    program = torch.export.export(module, (example,), dynamic_shapes=(dynamic,)).module()
    for other in others:
        torch.testing.assert_close(program(other), module(other))


@pytest.mark.parametrize("batch", [1, 5])
def test_transforms_of_one_size_are_exported_for_any_batch(batch):
    architecture, image = MnistArchitecture(latent_channels=4), torch.rand(3, 1, 28, 28)
    assert_exports(Analysis(architecture), image, [torch.rand(batch, 1, 28, 28)], {0: ANY["batch"]})
    latent = architecture.analysis(image)
    assert_exports(Synthesis(architecture), latent, [latent[:1].expand(batch, -1, -1, -1)], {0: ANY["batch"]})


def test_an_analysis_that_pads_is_exported_for_any_size():
    module = Analysis(OpenImagesArchitecture(latent_channels=4, width=4))
    others = [torch.rand(1, 3, 64, 64), torch.rand(2, 3, 37, 81)]
    for example in (torch.rand(3, 3, 48, 64), torch.rand(3, 3, 50, 70)):  # of whole blocks, and not
        assert_exports(module, example, others, {0: ANY["batch"], 2: ANY["height"], 3: ANY["width"]})
