from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from omega_core.architectures.openimages import OpenImagesArchitecture
from omega_core.contracts.architecture import LocalArchitecture
from omega_core.errors import ComponentError

MEAN = torch.tensor([0.485, 0.456, 0.406]).double().reshape(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).double().reshape(3, 1, 1)

SIZES = pytest.mark.parametrize(
    ("height", "width"),
    [(1, 1), (1, 40), (5, 3), (16, 16), (16, 48), (17, 33), (31, 47), (32, 32), (64, 96), (97, 2), (500, 333)],
)


@pytest.fixture(scope="module")
def architecture():
    torch.manual_seed(0)
    made = OpenImagesArchitecture(latent_channels=8, width=4).double().eval()
    with torch.no_grad():
        for weight in made.parameters():
            if weight.ndim == 3:
                weight += torch.rand_like(weight)
    return made.requires_grad_(False)


@pytest.fixture
def noise():
    """Makes reproducible images and latents."""

    def make(*shape, seed=0):
        return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

    return make


def reflected(x, top, bottom, left, right):
    def indices(length, before, after):
        beyond = [2 * (length - 1) - i for i in range(length, length + after)]
        return [*range(before, 0, -1), *range(length), *beyond]

    return x[:, :, indices(x.shape[2], top, bottom)][:, :, :, indices(x.shape[3], left, right)]


def normed(x, gain, offset):
    centered = x - x.sum(dim=1, keepdim=True) / x.shape[1]
    variance = (centered**2).sum(dim=1, keepdim=True) / (x.shape[1] - 1)
    return centered / torch.sqrt(variance + 1e-3) * gain + offset


def reference_analysis(weights, image):
    """The analysis as the paper and its research code have it, with `weights` in the order of its layers."""
    take = iter(weights)
    height, width = image.shape[2:]
    down, across = max(32, -(-height // 16) * 16) - height, max(32, -(-width // 16) * 16) - width
    x = torch.zeros(len(image), 3, height + down, width + across, dtype=torch.float64)
    x[:, :, down // 2 : down // 2 + height, across // 2 : across // 2 + width] = (image - MEAN) / STD
    x = F.conv2d(reflected(x, 3, 3, 3, 3), next(take), next(take))
    for _ in range(4):
        x = F.relu(normed(x, next(take), next(take)))
        x = F.conv2d(reflected(x, 1, 0, 0, 1), next(take), next(take), stride=2)
    x = normed(x, next(take), next(take))
    assert not list(take)
    return x


def reference_synthesis(weights, latent, height, width):
    """The synthesis, likewise."""
    take = iter(weights)
    x = latent
    for _ in range(8):
        inner = F.conv2d(reflected(x, 1, 1, 1, 1), next(take), next(take))
        inner = F.relu(normed(inner, next(take), next(take)))
        inner = F.conv2d(reflected(inner, 1, 1, 1, 1), next(take), next(take))
        x = x + normed(inner, next(take), next(take))
    x = x + latent
    for _ in range(4):
        x = F.conv_transpose2d(x, next(take), next(take), stride=2, padding=1, output_padding=1)
        x = F.relu(normed(x, next(take), next(take)))
    x = F.conv2d(reflected(x, 3, 3, 3, 3), next(take), next(take)) * STD + MEAN
    assert not list(take)
    top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
    return x[:, :, top : top + height, left : left + width]


@SIZES
def test_the_analysis_is_that_of_the_paper(architecture, noise, height, width):
    image = noise(1, 3, height, width)
    expected = reference_analysis(architecture.encoder.parameters(), image)
    latent = architecture.analysis(image)
    assert latent.shape == (1, 8, max(2, -(-height // 16)), max(2, -(-width // 16)))
    assert torch.allclose(latent, expected, rtol=0, atol=1e-9)
    assert latent.std() > 0.1


@SIZES
def test_the_synthesis_is_that_of_the_paper(architecture, noise, height, width):
    latent = noise(1, 8, *architecture.latent_size(height, width)) * 6 - 3
    weights = [*architecture.body.parameters(), *architecture.decoder.parameters()]
    image = architecture.synthesis(latent, height, width)
    assert image.shape == (1, 3, height, width)
    assert torch.allclose(image, reference_synthesis(weights, latent, height, width), rtol=0, atol=1e-9)
    assert (image[:, 0] - image[:, 1]).abs().max() > 1e-3


def test_images_may_leave_0_to_1(architecture, noise):
    large = OpenImagesArchitecture(latent_channels=8, width=4).double()
    large.load_state_dict(architecture.state_dict())
    large.decoder[-1].weight.data *= 100
    image = large.synthesis(noise(1, 8, 2, 2), 32, 32)
    assert image.min() < 0
    assert image.max() > 1


def test_channel_norm_gives_mean_0_and_variance_1_at_each_position(architecture, noise):
    norm = OpenImagesArchitecture(latent_channels=8, width=4).double().encoder[-1]
    normalized = norm(noise(2, 8, 3, 5) * 1000)
    assert torch.allclose(normalized.mean(dim=1), torch.zeros(2, 3, 5, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(normalized.var(dim=1), torch.ones(2, 3, 5, dtype=torch.float64), atol=1e-4)


def test_a_plain_channel_is_not_divided_by_zero(architecture):
    assert torch.isfinite(architecture.analysis(torch.zeros(1, 3, 20, 20, dtype=torch.float64))).all()
    assert torch.isfinite(architecture.synthesis(torch.zeros(1, 8, 2, 2, dtype=torch.float64), 20, 20)).all()


def test_a_picture_is_coded_alike_alone_and_in_a_batch(architecture, noise):
    images = noise(3, 3, 40, 30)
    alone = torch.cat([architecture.analysis(image[None]) for image in images])
    assert torch.allclose(architecture.analysis(images), alone, rtol=0, atol=1e-12)
    back = torch.cat([architecture.synthesis(latent[None], 40, 30) for latent in alone])
    assert torch.allclose(architecture.synthesis(alone, 40, 30), back, rtol=0, atol=1e-12)


def test_the_transforms_leave_what_they_are_given(architecture, noise):
    image, latent = noise(1, 3, 32, 32), noise(1, 8, 2, 2)
    architecture.analysis(image)
    architecture.synthesis(latent, 32, 32)
    assert torch.equal(image, noise(1, 3, 32, 32))
    assert torch.equal(latent, noise(1, 8, 2, 2))


def test_padding_is_the_mean_and_in_the_middle(architecture, noise):
    image = noise(1, 3, 5, 18)
    padded = architecture.pad(image, architecture.margins(5, 18))
    assert padded.shape == (1, 3, 32, 32)
    assert torch.allclose(padded[:, :, 13:18, 7:25], image, rtol=0, atol=1e-15)
    outside = torch.ones(32, 32, dtype=torch.bool)
    outside[13:18, 7:25] = False
    colors = torch.tensor([0.485, 0.456, 0.406])[:, None].expand(3, int(outside.sum())).double()
    assert torch.equal(padded[0][:, outside], colors)


def test_normalizing_is_that_of_imagenet(architecture, noise):
    image = noise(2, 3, 4, 5)
    assert torch.allclose(architecture.normalize(image), (image - MEAN) / STD, rtol=0, atol=1e-6)


def convolution(before, after, side):
    return before * after * side**2 + after


def norm(channels):
    return 2 * channels


def count(module):
    return sum(weight.numel() for weight in module.parameters())


def test_it_has_the_numbers_of_the_paper():
    with torch.device("meta"):
        architecture = OpenImagesArchitecture(latent_channels=480)
    down, up = [60, 120, 240, 480, 480], [480, 480, 240, 120, 60]
    analysis = convolution(3, 60, 7) + norm(60)
    analysis += sum(convolution(a, b, 3) + norm(b) for a, b in pairwise(down))
    synthesis = 8 * 2 * (convolution(480, 480, 3) + norm(480)) + convolution(60, 3, 7)
    synthesis += sum(convolution(a, b, 3) + norm(b) for a, b in pairwise(up))
    assert count(architecture.encoder) == analysis == 3_447_360
    assert count(architecture.body) + count(architecture.decoder) == synthesis == 36_646_563
    assert count(architecture) == analysis + synthesis


def test_it_is_that_of_the_paper_where_nothing_else_is_asked_for():
    with torch.device("meta"):
        plain, asked = OpenImagesArchitecture(), OpenImagesArchitecture(latent_channels=480, width=60)
    assert [w.shape for w in plain.parameters()] == [w.shape for w in asked.parameters()]
    assert (plain.latent_channels, plain.colors, plain.stride, plain.image_size) == (480, 3, 16, None)


@pytest.mark.parametrize(("latent_channels", "width"), [(2, 2), (3, 5), (40, 4)])
def test_latent_and_width_are_chosen(latent_channels, width):
    architecture = OpenImagesArchitecture(latent_channels=latent_channels, width=width)
    latent = architecture.analysis(torch.rand(1, 3, 32, 48))
    assert latent.shape == (1, latent_channels, 2, 3)
    assert architecture.encoder[0].out_channels == architecture.decoder[-1].in_channels == width
    assert architecture.synthesis(latent, 32, 48).shape == (1, 3, 32, 48)


@pytest.mark.parametrize(("latent_channels", "width"), [(1, 60), (0, 60), (-8, 60), (480, 1), (480, 0)])
def test_fewer_than_two_channels_are_refused(latent_channels, width):
    with pytest.raises(ComponentError, match=f"at least 2, not {latent_channels} and {width}"):
        OpenImagesArchitecture(latent_channels=latent_channels, width=width)


def test_every_weight_has_a_gradient():
    torch.manual_seed(1)
    architecture = OpenImagesArchitecture(latent_channels=6, width=4)
    image = torch.rand(2, 3, 33, 48)
    difference = architecture.synthesis(architecture.analysis(image), 33, 48) - image
    (difference**2).sum().backward()
    for name, weight in architecture.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name


def reach(transform, given, place):
    """The first and last row and column of what is given that one place of the result depends on."""
    given = given.clone().requires_grad_()
    out = transform(given)
    (out[:, :, place, place] * torch.arange(1.0, out.shape[1] + 1)[:, None, None]).sum().backward()
    rows = given.grad.abs().amax(dim=(0, 1, 3)).nonzero()
    columns = given.grad.abs().amax(dim=(0, 1, 2)).nonzero()
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def test_the_analysis_looks_as_far_as_its_halo(architecture, noise):
    top, bottom, left, right = reach(architecture.analysis, noise(1, 3, 112, 112), slice(3, 4))
    assert (48 - top, bottom - 63, 48 - left, right - 63) == (18, 3, 3, 18)
    assert architecture.analysis_halo == -(-18 // 16)


def test_the_residual_blocks_look_as_far_as_their_halo(architecture, noise):
    far = 8 * 2
    assert reach(architecture.refine, noise(1, 8, 37, 37), slice(18, 19)) == (18 - far, 18 + far, 18 - far, 18 + far)
    assert architecture.refine_halo == far


def test_rendering_looks_no_further_than_its_halo(architecture, noise):
    top, bottom, left, right = reach(architecture.render, noise(1, 8, 11, 11), slice(5 * 16, 6 * 16))
    far = max(5 - top, bottom - 5, 5 - left, right - 5)
    assert far <= architecture.render_halo <= far + 1


@pytest.mark.parametrize("position", [0, 4, 9])
@pytest.mark.parametrize("part", ["analysis", "refine", "render"])
def test_what_is_outside_the_halo_changes_nothing(architecture, noise, part, position):
    halo = getattr(architecture, f"{part}_halo")
    around = 20 if part == "refine" else 0
    before, after = (16, 1) if part == "analysis" else (1, 16 if part == "render" else 1)
    colors, place = 3 if part == "analysis" else 8, position + around
    positions = 10 + 2 * around
    given = noise(1, colors, positions * before, positions * before)
    other = noise(1, colors, positions * before, positions * before, seed=1)
    near = slice(max(0, place - halo) * before, (place + halo + 1) * before)
    other[:, :, near, near] = given[:, :, near, near]
    transform, own = getattr(architecture, part), slice(place * after, (place + 1) * after)
    expected, changed = transform(given), transform(other)
    assert torch.allclose(changed[:, :, own, own], expected[:, :, own, own], rtol=0, atol=1e-13)
    assert not torch.allclose(changed, expected, rtol=0, atol=1e-3)


def test_it_can_be_worked_out_in_tiles(architecture):
    assert isinstance(architecture, LocalArchitecture)
