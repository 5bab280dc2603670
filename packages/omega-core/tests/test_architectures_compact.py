import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from omega_core.architectures.compact import CompactArchitecture
from omega_core.codec import Codec
from omega_core.errors import ComponentError


@pytest.fixture(scope="module")
def compact():
    torch.manual_seed(0)
    return CompactArchitecture(latent_channels=12).double().eval()


def test_it_has_at_most_3_million_parameters_and_25_kmac_per_pixel():
    architecture = CompactArchitecture(latent_channels=240)
    assert sum(parameter.numel() for parameter in architecture.parameters()) < 3_000_000
    with torch.no_grad(), FlopCounterMode(display=False) as counted:
        architecture.synthesis(architecture.analysis(torch.rand(1, 3, 64, 128)), 64, 128)
    assert 15_000 < counted.get_total_flops() / 2 / (64 * 128) < 25_000


@pytest.mark.parametrize(
    ("height", "width", "size"), [(1, 1, (1, 1)), (16, 16, (1, 1)), (17, 33, (2, 3)), (100, 9, (7, 1))]
)
def test_an_image_of_any_size_comes_back_in_its_size(compact, height, width, size):
    latent = compact.analysis(torch.rand(2, 3, height, width, dtype=torch.double))
    assert latent.shape == (2, 12, *size)
    assert compact.latent_size(height, width) == size
    assert compact.synthesis(latent, height, width).shape == (2, 3, height, width)


def test_padding_repeats_the_edges_and_leaves_the_image_in_the_middle(compact):
    image = torch.rand(1, 3, 20, 40, dtype=torch.double)
    padded = nn.functional.pad(image, (4, 4, 6, 6), mode="replicate")
    assert torch.equal(compact.analysis(image), compact.analysis(padded))


@pytest.mark.parametrize(
    ("transform", "channels", "halo", "into", "out_of"),
    [
        ("analysis", 3, "analysis_halo", 16, 1),
        ("refine", 12, "refine_halo", 1, 1),
        ("render", 256 + 12, "render_halo", 1, 16),
    ],
)
def test_outputs_depend_on_what_is_within_the_halo_and_on_no_more(compact, transform, channels, halo, into, out_of):
    side = 2 * getattr(compact, halo) + 5
    given = torch.rand(1, channels, side * into, side * into, dtype=torch.double, requires_grad=True)
    middle = slice(side // 2 * out_of, (side // 2 + 1) * out_of)
    made = getattr(compact, transform)(given)[:, :, middle, middle]
    (gradient,) = torch.autograd.grad(made.square().sum(), given)
    touched = (gradient.abs().sum((0, 1)) > 0).nonzero() // into
    reach = (touched - side // 2).abs().max().item()
    assert reach == getattr(compact, halo)


@pytest.mark.parametrize(("height", "width"), [(330, 260), (33, 300)])
def test_it_works_in_tiles_as_at_once(compact, height, width):
    class Rounded(nn.Module):
        channels = 12

        def symbols(self, latent):
            return (latent * 1000).round().long() + 5000

        def latent(self, symbols):
            return (symbols - 5000) / 1000.0

    codec = Codec(compact, Rounded(), None)
    pixels = np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8)
    symbols = codec.symbols(pixels)
    assert (codec.symbols(pixels, tile=64) == symbols).mean() > 0.9999
    in_tiles = codec.pixels(symbols, height, width, tile=64)
    assert (in_tiles == codec.pixels(symbols, height, width)).mean() > 0.9999


def test_gradients_reach_all_parameters():
    architecture = CompactArchitecture(latent_channels=8)
    architecture.synthesis(architecture.analysis(torch.rand(1, 3, 40, 40)), 40, 40).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in architecture.parameters())


def without_net(**options):
    """The lapped transform alone."""
    architecture = CompactArchitecture(**options).double().eval()
    for parameter in architecture.decoder[-2].parameters():
        parameter.data.zero_()
    return architecture


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (16, 64)])
def test_all_coefficients_of_the_lapped_transform_restore_the_image(height, width):
    architecture = without_net(latent_channels=768)
    image = torch.rand(2, 3, height, width, dtype=torch.double)
    restored = architecture.synthesis(architecture.analysis(image), height, width)
    torch.testing.assert_close(restored, image, rtol=0, atol=1e-5)  # the basis has single precision


def test_the_lapped_transform_is_orthogonal():
    architecture = without_net(latent_channels=768, gain=1e-3)  # below what any latent is held to
    image = torch.rand(2, 3, 48, 80, dtype=torch.double)
    latent = architecture.analysis(image) * 1000
    assert latent.square().sum().item() == pytest.approx(architecture.normalise(image).square().sum().item(), rel=1e-5)


def test_a_latent_has_no_edges_where_blocks_meet():
    """A single latent, of the lowest frequency, fades out over the blocks beside it."""
    architecture = without_net(latent_channels=1)
    latent = torch.zeros(1, 1, 3, 3, dtype=torch.double)
    latent[0, 0, 1, 1] = 1
    row = architecture.synthesis(latent, 48, 48)[0, 0, 24] - 0.5
    assert row.diff().abs().max() < 0.2 * row.max()
    assert (row[16:32] > 0.1 * row.max()).all()


def test_it_begins_as_a_lapped_transform():
    """Untrained it restores a smooth picture from fewer numbers than pixels, in the order of what each brings."""
    torch.manual_seed(0)
    architecture = CompactArchitecture(latent_channels=128).double().eval()
    down, across = torch.meshgrid(torch.arange(64.0), torch.arange(80.0), indexing="ij")
    brightness, hue = torch.sin(down / 9 + across / 14), torch.cos(down / 17)
    image = torch.stack([brightness + hue / 5, brightness, brightness - hue / 5])[None].double() * 0.4 + 0.5
    latent = architecture.analysis(image)
    errors = []
    for count in (1, 3, 9, 30, 128):
        kept = torch.where(torch.arange(128)[:, None, None] < count, latent, 0.0)
        errors.append((architecture.synthesis(kept, 64, 80) - image).square().mean().item())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.001
    assert latent.abs().max() < 16, "within the alphabet that a scalar quantizer of 32 symbols begins with"


@pytest.mark.parametrize("count", [0, 769])
def test_as_many_channels_as_there_are_numbers_in_a_block_are_possible_and_no_more(count):
    assert CompactArchitecture(latent_channels=768).latent_channels == 768
    with pytest.raises(ComponentError, match=f"from 1 to 768, not {count}"):
        CompactArchitecture(latent_channels=count)


def test_a_gain_makes_latents_larger(compact):
    image = torch.rand(1, 3, 32, 32)
    once, half = (CompactArchitecture(latent_channels=200, gain=gain).analysis(image) for gain in (1.5, 0.75))
    torch.testing.assert_close(once[:, 100:], 2 * half[:, 100:])
    with pytest.raises(ComponentError, match="gain has to be above 0"):
        CompactArchitecture(gain=0.0)
