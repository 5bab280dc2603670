"""Checks of architectures (`omega_core.contracts.Architecture`)."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from omega_core.codec.file_codec import FileCodec
from omega_core.codec.image_codec import ImageCodec
from omega_core.coding.tables import NoPrior
from omega_core.contracts.architecture import Architecture, LocalArchitecture
from omega_core.errors import ImageError
from omega_core.testing import modules
from omega_core.testing.checking import Checks, expect, need, raises
from omega_core.testing.modules import ModuleSubject, Outputs, expect_derivative, expect_gradients, seeded
from omega_core.testing.reference import Millionths


@dataclass(frozen=True, kw_only=True)
class ArchitectureSubject(ModuleSubject):
    """An architecture to check.

    latent_channels: D, with which it is made.
    sizes: (height, width) of the images to check with; not used if it takes only one size.
    smooth: whether its gradients are derivatives, and not estimates such as straight-through.
    """

    kind: str = "architecture"
    latent_channels: int = 8
    sizes: tuple[tuple[int, int], ...] = ((32, 48), (33, 17), (5, 70))
    smooth: bool = True

    def make(self) -> Architecture:
        """Return a new architecture."""
        return self.made_with(latent_channels=self.latent_channels)

    def sizes_of(self, module: Architecture) -> tuple[tuple[int, int], ...]:
        """Return the image sizes to check with."""
        return (module.image_size,) if module.image_size else self.sizes

    def image(self, module: Architecture, batch: int = 3, size: tuple[int, int] | None = None) -> Tensor:
        """Return images (B, colors, H, W) in [0, 1]."""
        height, width = size or self.sizes_of(module)[0]
        generator = torch.Generator().manual_seed(3)
        small = torch.rand(batch, module.colors, 4, 4, generator=generator)
        return torch.nn.functional.interpolate(small, (height, width), mode="bilinear")

    def inputs(self, batch: int = 3) -> Tensor:
        """Return images (B, colors, H, W) of the first size."""
        return self.image(self.made(), batch)

    def outputs(self, module: Architecture, inputs: Tensor) -> Outputs:
        """Return the latent and the restored image."""
        latent = module.analysis(inputs)
        return {"latent": latent, "image": module.synthesis(latent, inputs.shape[2], inputs.shape[3])}


checks: Checks[ArchitectureSubject] = Checks(modules.checks)


@checks.add
def names_its_sizes(subject: ArchitectureSubject) -> None:
    """`latent_channels` is the D with which it was made, and `colors` is 1 or 3."""
    made = subject.made()
    expect(made.latent_channels == subject.latent_channels, f"latent_channels is {made.latent_channels}")
    expect(made.colors in (1, 3), f"colors is {made.colors!r}")


@checks.add
def analysis_gives_the_latent_size(subject: ArchitectureSubject) -> None:
    """`analysis` of images with H×W pixels returns a latent (B, D, h, w), where (h, w) is `latent_size(H, W)`."""
    made = subject.made()
    for size in subject.sizes_of(made):
        latent = made.analysis(subject.image(made, 2, size))
        wanted = (2, subject.latent_channels, *made.latent_size(*size))
        expect(
            tuple(latent.shape) == wanted, f"for {size} the latent is {tuple(latent.shape)}, latent_size {wanted[2:]}"
        )


@checks.add
def synthesis_restores_the_size(subject: ArchitectureSubject) -> None:
    """`synthesis` returns images (B, colors, height, width) of exactly the requested size."""
    made = subject.made()
    for size in subject.sizes_of(made):
        latent = torch.zeros(2, subject.latent_channels, *made.latent_size(*size))
        restored = made.synthesis(latent, *size)
        expect(tuple(restored.shape) == (2, made.colors, *size), f"for {size} it returned {tuple(restored.shape)}")


@checks.add
def is_told_the_fineness(subject: ArchitectureSubject) -> None:
    """The synthesis of a `fineness_aware` architecture uses the fineness of each sample; if omitted, it is 1."""
    made = subject.made()
    need(made.fineness_aware, "be fineness_aware")
    with torch.no_grad(), seeded():  # initially, the image may be the same for every fineness
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        size = subject.sizes_of(made)[0]
        latent = made.analysis(subject.image(made, 3, size))
        finenesses = torch.tensor([0.1, 0.6, 1.0])
        together = made.synthesis_with_fineness(latent, *size, finenesses)
        alone = [made.synthesis_with_fineness(latent[i : i + 1], *size, finenesses[i : i + 1]) for i in range(3)]
        modules.expect_same({"the image": torch.cat(alone)}, {"the image": together}, "in a batch with others")
        untold = made.synthesis(latent[2:], *size)
        modules.expect_same({"the image": alone[2]}, {"the image": untold}, "without a fineness")
        coarse = made.synthesis_with_fineness(latent[2:], *size, finenesses[:1])
        expect(not torch.allclose(coarse, alone[2]), "the image does not depend on the fineness")


@checks.add
def refuses_other_sizes(subject: ArchitectureSubject) -> None:
    """If an architecture takes only one size, `latent_size` raises ImageError for other sizes."""
    made = subject.made()
    need(made.image_size is not None, "take only one size")
    height, width = made.image_size
    other = (height + 1, width)
    expect(raises(ImageError, lambda: made.latent_size(*other)), f"latent_size accepted {other}")


@checks.add
def keeps_the_type(subject: ArchitectureSubject) -> None:
    """With a float32 module and images, latents and restored images are float32; with float64, they are float64."""
    for dtype in (torch.float32, torch.float64):
        made = subject.made().to(dtype)
        for name, value in subject.outputs(made, subject.inputs().to(dtype)).items():
            expect(value.dtype == dtype, f"for {dtype} the {name} is {value.dtype}")


@checks.add
def passes_something_on(subject: ArchitectureSubject) -> None:
    """Latent and restored image depend on the input and are finite."""
    made = subject.made()
    for name, value in subject.outputs(made, subject.inputs()).items():
        expect(value.isfinite().all(), f"the {name} is not finite")
        expect(not torch.equal(value[0], value[1]), f"the {name} is the same for different images")


@checks.add
def every_parameter_is_trained(subject: ArchitectureSubject) -> None:
    """The input image and each parameter get a finite, nonzero gradient from the restored image."""
    made, image = subject.made().train(), subject.inputs().requires_grad_()
    to = {"the image": image, **dict(made.named_parameters())}
    expect_gradients({"the image": subject.outputs(made, image)["image"]}, to)


@checks.add
def gradients_are_derivatives(subject: ArchitectureSubject) -> None:
    """In float64, the gradients of both transforms agree with finite differences."""
    need(subject.smooth, "have a derivative")
    made = subject.made().double()
    image = subject.image(made, 1).double()
    expect_derivative(made.analysis, image, "the analysis")
    latent = made.analysis(image).detach()
    expect_derivative(lambda point: made.synthesis(point, *image.shape[2:]), latent, "the synthesis")


@checks.add
def works_in_mixed_precision(subject: ArchitectureSubject) -> None:
    """Under autocast to bfloat16, the results of both transforms are finite and close to those without autocast."""
    made, image = subject.made(), subject.inputs()
    with torch.no_grad():
        plain = subject.outputs(made, image)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = subject.outputs(made, image)
    for name, value in mixed.items():
        expect(value.isfinite().all(), f"the {name} is not finite")
        error = (value.float() - plain[name]).abs().mean() / plain[name].abs().mean().clamp_min(1e-6)
        expect(error < 0.1, f"the {name} differs by {float(error):.0%} on average")


@checks.add
def normalizes_to_the_same_shape(subject: ArchitectureSubject) -> None:
    """`normalize` keeps the shape of images, and different pixels differ in its result, so that distortion sees it."""
    made = subject.made()
    image = subject.inputs()
    normalized = made.normalize(image)
    expect(normalized.shape == image.shape, f"for {tuple(image.shape)} it returned {tuple(normalized.shape)}")
    change = (made.normalize(image + 0.1) - normalized).abs()
    expect(change.min() > 0, "different pixels are equal after it")


@checks.add
def tiles_are_seamless(subject: ArchitectureSubject) -> None:
    """A LocalArchitecture has the same results in overlapping tiles as at once: its halos are large enough."""
    made = subject.made().double()
    need(isinstance(made, LocalArchitecture), "work in tiles")
    side, tile = 6 * made.stride + 3, 2 * made.stride
    pixels = np.random.default_rng(0).integers(0, 256, (made.colors, side, side + made.stride), np.uint8)
    codec = FileCodec(ImageCodec(made, Millionths(subject.latent_channels)), NoPrior())
    whole, parts = (codec.symbols(pixels, tile=each) for each in (None, tile))
    furthest = int(np.abs(whole - parts).max())
    expect(furthest <= 1, f"latents of tiles differ by up to {furthest / 1e6:.3g}: is analysis_halo too small?")
    at_once, in_tiles = (codec.pixels(whole, *pixels.shape[1:], tile=each) for each in (None, tile))
    furthest = int(np.abs(at_once.astype(int) - in_tiles.astype(int)).max())
    expect(
        furthest <= 1, f"pixels of tiles differ by up to {furthest} of 255: is refine_halo or render_halo too small?"
    )
