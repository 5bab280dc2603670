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


@pytest.mark.parametrize(("height", "width", "size"), [(1, 1, (1, 1)), (8, 8, (1, 1)), (17, 33, (3, 5))])
def test_an_image_of_any_size_has_a_position_for_each_block(height, width, size):
    architecture = of_blocks(8, latent_channels=12)
    latent = architecture.analysis(torch.rand(1, 3, height, width, dtype=torch.double))
    assert architecture.latent_size(height, width) == size == tuple(latent.shape[2:])
    assert architecture.synthesis(latent, height, width).shape == (1, 3, height, width)


@pytest.mark.parametrize(("transform", "channels", "into", "out_of"), [("analysis", 3, 8, 1), ("render", 268, 1, 8)])
def test_outputs_depend_on_what_is_within_the_halo_and_on_no_more(transform, channels, into, out_of):
    architecture = of_blocks(8, lapped=True, latent_channels=12)
    halo = getattr(architecture, f"{transform}_halo")
    side = 2 * halo + 5
    given = torch.rand(1, channels, side * into, side * into, dtype=torch.double, requires_grad=True)
    middle = slice(side // 2 * out_of, (side // 2 + 1) * out_of)
    made = getattr(architecture, transform)(given)[:, :, middle, middle]
    (gradient,) = torch.autograd.grad(made.square().sum(), given)
    touched = (gradient.abs().sum((0, 1)) > 0).nonzero() // into
    assert (touched - side // 2).abs().max().item() == halo


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
