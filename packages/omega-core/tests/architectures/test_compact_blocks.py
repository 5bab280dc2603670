"""The options `block`, `lapped` and `origin` of the architecture `compact`."""

import numpy as np
import pytest
import torch

from omega_core.architectures.compact import CompactArchitecture
from omega_core.errors import ComponentError


def of_blocks(side, *, lapped=False, **options):
    torch.manual_seed(0)
    return CompactArchitecture(block=side, lapped=lapped, **options).double().eval()


@pytest.mark.parametrize("lapped", [False, True])
@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("origin", [0.0, 0.5, 1.0])
def test_all_coefficients_restore_the_image(side, lapped, origin):
    architecture = of_blocks(side, lapped=lapped, origin=origin, nets="none", latent_channels=3 * side**2)
    image = torch.rand(2, 3, 32, 48, dtype=torch.double)
    latent = architecture.analysis(image)
    assert latent.shape == (2, 3 * side**2, 32 // side, 48 // side)
    torch.testing.assert_close(architecture.synthesis(latent, 32, 48), image, rtol=0, atol=1e-5)


def test_blocks_without_overlap_have_the_cosine_transform_of_jpeg():
    """The 64 coefficients of the brightness of a gray block, in some order (ITU-T T.81, A.3.3)."""
    image = torch.rand(1, 1, 8, 8, dtype=torch.double).expand(-1, 3, -1, -1)
    latent = of_blocks(8, nets="none", latent_channels=192).analysis(image)[0, :, 0, 0].detach().numpy()
    cosines = np.array([[np.cos((2 * x + 1) * u * np.pi / 16) for x in range(8)] for u in range(8)]) / 2
    cosines[0] /= 2**0.5
    expected = cosines @ (2 * image[0, 0].numpy() - 1) @ cosines.T * 3**0.5
    found = latent[np.abs(latent) > 1e-4]
    assert len(found) == 64
    np.testing.assert_allclose(np.sort(found), np.sort(expected.ravel()), atol=1e-5)


@pytest.mark.parametrize(("origin", "level"), [(1.0, 1.0), (0.0, 0.0), (0.25, 0.25)])
def test_an_image_of_the_gray_of_the_origin_has_a_latent_of_0(origin, level):
    architecture = of_blocks(8, origin=origin, nets="none", latent_channels=192)
    image = torch.full((1, 3, 16, 24), level, dtype=torch.double)
    assert architecture.analysis(image).abs().max() < 1e-5
    torch.testing.assert_close(architecture.synthesis(torch.zeros(1, 192, 2, 3).double(), 16, 24), image)


def test_without_nets_white_stays_white_whatever_is_trained():
    architecture = of_blocks(8, origin=1.0, nets="none", latent_channels=192)
    with torch.no_grad():
        for parameter in architecture.parameters():
            parameter += 0.3
    white = torch.ones(1, 3, 16, 24, dtype=torch.double)
    torch.testing.assert_close(architecture.synthesis(architecture.analysis(white), 16, 24), white)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": 12}, "blocks have 8 or 16 pixels a side, not 12"),
        ({"block": 8, "latent_channels": 193}, "from 1 to 192, not 193"),
        ({"origin": 1.5}, "gray level from 0 to 1, not 1.5"),
    ],
)
def test_blocks_that_cannot_be_are_refused(options, message):
    with pytest.raises(ComponentError, match=message):
        CompactArchitecture(**options)
