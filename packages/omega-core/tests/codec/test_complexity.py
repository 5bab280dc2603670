"""What parts of a codec cost, beside the figures of the paper's transforms."""

import pytest
from torch import nn

from omega_core.architectures.mnist import MnistArchitecture
from omega_core.architectures.openimages import OpenImagesArchitecture
from omega_core.codec.complexity import costs
from omega_core.codec.image_codec import ImageCodec
from omega_core.coding.tables import NoPrior


class Nothing(nn.Module):
    """A quantizer that is not there."""

    channels = 480

    def symbols(self, latent):
        return latent

    def latent(self, symbols):
        return symbols


def test_the_published_transforms_cost_what_is_published() -> None:
    parts = {
        cost.part: cost for cost in costs(ImageCodec(OpenImagesArchitecture(latent_channels=480), Nothing()), NoPrior())
    }
    assert (parts["analysis"].parameters, parts["synthesis"].parameters) == (3_447_360, 36_646_563)
    assert parts["analysis"].kmac_per_pixel == pytest.approx(65.5, abs=0.1)
    assert parts["synthesis"].kmac_per_pixel == pytest.approx(195.1, abs=0.1)
    assert (parts["quantizer"].parameters, parts["quantizer"].kmac_per_pixel, parts["prior"].parameters) == (0, 0, 0)


def test_products_are_counted_once_each() -> None:
    analysis, *_ = costs(ImageCodec(MnistArchitecture(latent_channels=32), Nothing()))
    products = 100 * 16 * 9 + 25 * 16 * 16 * 9 + 9 * 32 * 16 * 9
    assert analysis.kmac_per_pixel == pytest.approx(products / 784 / 1000)
