import pytest
import torch

from omega_core.architectures.mnist import MnistArchitecture
from omega_core.errors import ComponentError, ImageError


@pytest.fixture
def architecture():
    torch.manual_seed(0)
    return MnistArchitecture(latent_channels=5).eval()


@torch.inference_mode()
def sizes(layers, x):
    """The shapes between layers that change them."""
    shapes = []
    for layer in layers:
        before, x = x.shape, layer(x)
        if x.shape != before:
            shapes.append(tuple(x.shape[1:]))
    return shapes


def test_the_transforms_have_the_shapes_of_the_paper(architecture):
    assert sizes(architecture.encoder, torch.zeros(1, 1, 28, 28)) == [(16, 10, 10), (16, 5, 5), (5, 3, 3)]
    assert sizes(architecture.decoder, torch.zeros(1, 5, 3, 3)) == [(16, 7, 7), (8, 15, 15), (1, 28, 28)]


def test_a_latent_has_the_size_that_was_announced(architecture):
    latent = architecture.analysis(torch.rand(2, 1, 28, 28))
    assert latent.shape == (2, architecture.latent_channels, *architecture.latent_size(28, 28))


def test_pictures_come_out_between_0_and_1(architecture):
    image = architecture.synthesis(torch.randn(4, 5, 3, 3) * 100, 28, 28)
    assert image.shape == (4, 1, 28, 28)
    assert 0 <= image.min() < 0.5 < image.max() <= 1


def test_pictures_are_normalized_to_plus_and_minus_1(architecture):
    assert architecture.normalize(torch.tensor([0.0, 0.5, 1.0])).tolist() == [-1, 0, 1]
    image = torch.rand(2, 1, 28, 28)
    assert torch.equal(architecture.analysis(image), architecture.encoder(2 * image - 1))


def test_a_picture_is_coded_alike_alone_and_in_a_batch(architecture):
    images = torch.rand(3, 1, 28, 28)
    alone = torch.cat([architecture.analysis(image[None]) for image in images])
    assert torch.allclose(architecture.analysis(images), alone, atol=1e-6)


def test_every_weight_has_a_gradient(architecture):
    architecture.synthesis(architecture.analysis(torch.rand(2, 1, 28, 28)), 28, 28).sum().backward()
    assert all(weight.grad is not None for weight in architecture.parameters())


def test_it_has_32_latent_channels_where_none_are_asked_for():
    architecture = MnistArchitecture()
    assert (architecture.latent_channels, architecture.colors, architecture.image_size) == (32, 1, (28, 28))


@pytest.mark.parametrize(("height", "width"), [(28, 32), (32, 28), (1, 1), (56, 56)])
def test_another_size_is_refused_by_its_width_and_height(architecture, height, width):
    with pytest.raises(ImageError, match=f"28×28 pixels, not {width}×{height}"):
        architecture.latent_size(height, width)


@pytest.mark.parametrize(("latent_channels", "width", "mixing"), [(0, 16, 0), (-1, 16, 0), (4, 1, 0), (4, 16, -1)])
def test_sizes_that_cannot_be_are_refused(latent_channels, width, mixing):
    message = (
        "latent-channels has to be at least 1, width at least 2 and mixing at least 0,"
        f" not {latent_channels}, {width} and {mixing}"
    )
    with pytest.raises(ComponentError, match=message):
        MnistArchitecture(latent_channels=latent_channels, width=width, mixing=mixing)


def test_the_width_is_that_between_the_convolutions():
    wide = MnistArchitecture(latent_channels=5, width=64)
    assert sizes(wide.encoder, torch.zeros(1, 1, 28, 28)) == [(64, 10, 10), (64, 5, 5), (5, 3, 3)]
    assert sizes(wide.decoder, torch.zeros(1, 5, 3, 3)) == [(64, 7, 7), (32, 15, 15), (1, 28, 28)]


def corner_reaches(mixing):
    """Pixels that depend on the last position of the latent, and positions that depend on the last pixel."""
    torch.manual_seed(0)
    architecture = MnistArchitecture(latent_channels=5, mixing=mixing).double()
    for name, parameter in architecture.named_parameters():
        if name.endswith("share"):
            parameter.data.fill_(1.0)
    latent = torch.randn(1, 5, 3, 3, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(architecture.synthesis(latent, 28, 28)[0, 0, 0, 0], latent)
    image = torch.rand(1, 1, 28, 28, dtype=torch.double, requires_grad=True)
    (other,) = torch.autograd.grad(architecture.analysis(image)[0, :, 0, 0].sum(), image)
    return (gradient[0, :, 2, 2] != 0).any().item(), (other[0, 0, 20:, 20:] != 0).any().item()


def test_mixing_lets_every_position_see_all_others():
    assert corner_reaches(0) == (False, False)
    assert corner_reaches(40) == (True, True)


def test_mixing_begins_as_nothing_and_learns():
    torch.manual_seed(0)
    mixed = MnistArchitecture(latent_channels=5, mixing=40)
    plain = MnistArchitecture(latent_channels=5)
    assert not [name for name in plain.state_dict() if name.startswith(("gather", "spread"))]
    plain.load_state_dict({name: mixed.state_dict()[name] for name in plain.state_dict()})
    image = torch.rand(2, 1, 28, 28)
    assert torch.equal(mixed.analysis(image), plain.analysis(image))
    mixed.synthesis(mixed.analysis(image), 28, 28).square().sum().backward()
    assert mixed.gather.share.grad
    assert mixed.spread.share.grad
