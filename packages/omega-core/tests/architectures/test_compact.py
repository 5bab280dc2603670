import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from omega_core.architectures.compact import CompactArchitecture
from omega_core.codec.file_codec import FileCodec
from omega_core.codec.image_codec import ImageCodec
from omega_core.errors import ComponentError

OPTIONS = {
    "default": {},
    "other depths": {"depth": 1, "synthesis_depth": 5, "detail_depth": 4},
    "blocks of 8": {"block": 8},
    "not lapped": {"block": 8, "lapped": False, "origin": 1.0},
    "without nets": {"nets": "none"},
    "for screens": {"block": 8, "lapped": False, "origin": 1.0, "nets": "none"},
}


WIDTHS = {"width": 32, "synthesis_width": 24, "detail_width": 16}
"""Narrow nets, which behave as wide ones but take a fraction of the time."""


@pytest.fixture(scope="module", params=OPTIONS.values(), ids=OPTIONS)
def compact(request):
    torch.manual_seed(0)
    return CompactArchitecture(latent_channels=12, **WIDTHS, **request.param).double().eval()


@pytest.mark.parametrize("transform", ["analysis", "synthesis"])
def test_a_transform_has_at_most_2_million_parameters_and_25_kmac_per_pixel(transform):
    architecture = CompactArchitecture()
    parts = ("encoder",) if transform == "analysis" else ("entry", "told", "body", "detail")
    modules = [getattr(architecture, part) for part in parts]
    assert sum(parameter.numel() for module in modules for parameter in module.parameters()) < 2_000_000
    image = torch.rand(1, 3, 64, 128)
    with torch.no_grad():
        latent = architecture.analysis(image)
        with FlopCounterMode(display=False) as counted:
            _ = architecture.analysis(image) if transform == "analysis" else architecture.synthesis(latent, 64, 128)
    assert 10_000 < counted.get_total_flops() / 2 / (64 * 128) < 25_000


@pytest.mark.parametrize(("height", "width"), [(1, 1), (16, 16), (17, 33), (100, 9)])
def test_an_image_of_any_size_comes_back_in_its_size(compact, height, width):
    size = -(-height // compact.stride), -(-width // compact.stride)
    latent = compact.analysis(torch.rand(2, 3, height, width, dtype=torch.double))
    assert latent.shape == (2, 12, *size)
    assert compact.latent_size(height, width) == size
    assert compact.synthesis(latent, height, width).shape == (2, 3, height, width)


def test_padding_repeats_the_edges_and_leaves_the_image_in_the_middle(compact):
    half = compact.stride // 2
    image = torch.rand(1, 3, 2 * half + 4, 2 * half + 8, dtype=torch.double)
    down, across = half - 2, half - 4
    padded = nn.functional.pad(image, (across, across, down, down), mode="replicate")
    assert torch.equal(compact.analysis(image), compact.analysis(padded))


@pytest.mark.parametrize(
    ("transform", "channels", "halo", "into", "out_of"),
    [
        ("analysis", 3, "analysis_halo", "stride", 1),
        ("refine", 12, "refine_halo", 1, 1),
        ("render", WIDTHS["synthesis_width"] + 12, "render_halo", 1, "stride"),
    ],
)
def test_outputs_depend_on_what_is_within_the_halo_and_on_no_more(compact, transform, channels, halo, into, out_of):
    into, out_of = (compact.stride if each == "stride" else each for each in (into, out_of))
    if transform == "render" and compact.body is None:
        channels = 12
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
        channels, alphabet = 12, 10_000

        def symbols(self, latent):
            return (latent * 1000).round().long() + 5000

        def fineness(self, kept):
            return kept / self.channels

        def latent(self, symbols):
            return (symbols - 5000) / 1000.0

    codec = FileCodec(ImageCodec(compact, Rounded()), None)
    pixels = np.random.default_rng(0).integers(0, 256, (3, height, width), dtype=np.uint8)
    symbols = codec.symbols(pixels)
    assert (codec.symbols(pixels, tile=64) == symbols).mean() > 0.9999
    in_tiles = codec.pixels(symbols, height, width, tile=64)
    assert (in_tiles == codec.pixels(symbols, height, width)).mean() > 0.9999


def test_gradients_reach_all_parameters():
    architecture = CompactArchitecture(latent_channels=8)
    architecture.synthesis(architecture.analysis(torch.rand(1, 3, 40, 40)), 40, 40).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in architecture.parameters())


def without_nets(**options):
    """The lapped transform alone."""
    return CompactArchitecture(nets="none", **options).double().eval()


@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (16, 64)])
def test_all_coefficients_of_the_lapped_transform_restore_the_image(height, width):
    architecture = without_nets(latent_channels=768)
    image = torch.rand(2, 3, height, width, dtype=torch.double)
    restored = architecture.synthesis(architecture.analysis(image), height, width)
    torch.testing.assert_close(restored, image, rtol=0, atol=1e-5)  # the basis has single precision


def test_the_lapped_transform_is_orthogonal():
    architecture = without_nets(latent_channels=768)
    image = torch.rand(2, 3, 48, 80, dtype=torch.double)
    latent = architecture.analysis(image)
    assert latent.square().sum().item() == pytest.approx(architecture.normalize(image).square().sum().item(), rel=1e-5)


def test_a_latent_has_no_edges_where_blocks_meet():
    """A single latent, of the lowest frequency, fades out over the blocks beside it."""
    architecture = without_nets(latent_channels=1)
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
    assert latent.abs().max() < 28, "no coefficient is larger than that of a white block"


@pytest.mark.parametrize("count", [0, 769])
def test_as_many_channels_as_there_are_numbers_in_a_block_are_possible_and_no_more(count):
    assert CompactArchitecture(latent_channels=768).latent_channels == 768
    with pytest.raises(ComponentError, match=f"from 1 to 768, not {count}"):
        CompactArchitecture(latent_channels=count)


def test_a_fineness_of_1_is_meant_where_none_is_told(compact):
    latent = torch.randn(2, 12, 3, 4, dtype=torch.double)
    told = compact.synthesis(latent, 48, 64, torch.ones(2))
    assert torch.equal(compact.synthesis(latent, 48, 64), told)


def test_the_synthesis_scales_latents_and_features_by_the_fineness_of_each_sample(compact):
    latent = torch.randn(1, 12, 3, 4, dtype=torch.double).expand(3, -1, -1, -1)
    finenesses = torch.tensor([0.0, 0.4, 1.0])
    with torch.no_grad():
        compact.log_scale.copy_(torch.linspace(-1, 0, len(compact.log_scale))[:, None])
    together = compact.synthesis_with_fineness(latent, 48, 64, finenesses)
    alone = torch.cat([compact.synthesis_with_fineness(latent[:1], 48, 64, each[None]) for each in finenesses])
    torch.testing.assert_close(together, alone)
    differences = (together[1:] - together[:-1]).abs().amax((1, 2, 3))
    assert (differences > 1e-3).all()
    with torch.no_grad():
        compact.log_scale.zero_()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gain": 0.0}, "gain has to be above 0"),
        ({"nets": "some"}, "'both' sides, in the 'synthesis' or 'none', not 'some'"),
        ({"width": 0}, "at least 1 channel"),
        ({"detail_depth": -1}, "0 to 256 blocks"),
        ({"synthesis_depth": 10**9}, "0 to 256 blocks"),
    ],
)
def test_nets_that_cannot_be_are_refused(options, message):
    with pytest.raises(ComponentError, match=message):
        CompactArchitecture(**options)


def test_a_gain_makes_latents_larger_and_the_synthesis_undoes_it():
    torch.manual_seed(0)
    image = torch.rand(1, 3, 32, 32, dtype=torch.double)
    plain, half, once = (without_nets(latent_channels=768, gain=gain) for gain in (None, 0.75, 1.5))
    torch.testing.assert_close(once.analysis(image)[:, 300:], 2 * half.analysis(image)[:, 300:])
    torch.testing.assert_close(once.analysis(image)[:, 300:], 1.5 * plain.analysis(image)[:, 300:])
    assert once.analysis(image)[:, 0].abs().max() < plain.analysis(image)[:, 0].abs().max()
    for each in (plain, half, once):
        torch.testing.assert_close(each.synthesis(each.analysis(image), 32, 32), image, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("nets", "parameters"), [("none", 0), ("synthesis", 1.5e6), ("both", 3.5e6)])
def test_nets_are_where_they_are_asked_for(nets, parameters):
    counted = sum(parameter.numel() for parameter in CompactArchitecture(nets=nets).parameters())
    assert parameters <= counted < parameters + 0.5e6
