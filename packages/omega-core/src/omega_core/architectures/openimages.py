"""The architecture `openimages`: transforms for photos, of Löhdefink et al. 2022 (CVPR Workshops).

They are those of HiFiC (Mentzer et al. 2020, arXiv 2006.09965, figure 2) without its hyperprior.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from omega_core.contracts.architecture import LocalArchitecture, Margins
from omega_core.errors import ComponentError

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_EPSILON = 1e-3  # is added to the variances of channel norm


class OpenImagesArchitecture(LocalArchitecture):
    """Four strided convolutions to one latent position for 16×16 pixels; residual blocks on the way back.

        image 3×H×W ─conv k7─ 60 ─s2─ 120 ─s2─ 240 ─s2─ 480 ─s2─ latent D×H/16×W/16
        latent ─8 residual blocks─ D ─convᵀ s2─ 480 ─s2─ 240 ─s2─ 120 ─s2─ 60 ─conv k7─ image 3×H×W

    with channel norm after every convolution but the last of all, and ReLU between. Images are normalized
    with ImageNet's mean and standard deviation, and padded to whole blocks with that mean.

    latent_channels: D.
    width: channels at the full resolution; 60 in the paper, doubled with every halving of the resolution.

    Raises ComponentError for invalid sizes.
    """

    colors = 3
    stride = 16
    smallest = 2  # reflection needs a neighbor
    analysis_halo = 2  # 18 pixels
    refine_halo = 16  # two convolutions in each of eight blocks
    render_halo = 2
    mean: Tensor
    std: Tensor

    def __init__(self, *, latent_channels: int = 480, width: int = 60) -> None:
        super().__init__()
        if latent_channels < 2 or width < 2:
            raise ComponentError(
                f"latent-channels and width have to be at least 2, not {latent_channels} and {width}:"
                " channel norm divides by the deviation over channels."
            )
        self.latent_channels = latent_channels
        widths = [width, 2 * width, 4 * width, 8 * width]
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 7, padding=3, padding_mode="reflect"), ChannelNorm(width), nn.ReLU(inplace=True)
        )
        for before, after in zip(widths, [*widths[1:], latent_channels], strict=True):
            self.encoder.extend([_Halving(before, after), ChannelNorm(after), nn.ReLU(inplace=True)])
        del self.encoder[-1]
        self.body = nn.Sequential(*(_ResidualBlock(latent_channels) for _ in range(8)))
        self.decoder = nn.Sequential()
        for before, after in zip([latent_channels, *widths[:0:-1]], widths[::-1], strict=True):
            doubling = nn.ConvTranspose2d(before, after, 3, stride=2, padding=1, output_padding=1)
            self.decoder.extend([doubling, ChannelNorm(after), nn.ReLU(inplace=True)])
        self.decoder.append(nn.Conv2d(width, 3, 7, padding=3, padding_mode="reflect"))
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(_STD)[:, None, None])

    def analysis(self, image: Tensor) -> Tensor:
        """Image (B, 3, H, W) to latent (B, D, h, w)."""
        latent: Tensor = self.encoder(self.normalize(self.padded(image)))
        return latent

    def pad(self, image: Tensor, margins: Margins) -> Tensor:
        """Add margins of ImageNet's mean: zero after normalization."""
        if not torch.compiler.is_compiling() and not any(margins):
            return image
        top, bottom, left, right = margins
        return nn.functional.pad(image - self.mean, (left, right, top, bottom)) + self.mean

    def refine(self, latent: Tensor) -> Tensor:
        """Latent (B, D, h, w) through the residual blocks, and one skip around them all."""
        features: Tensor = latent + self.body(latent)
        return features

    def render(self, features: Tensor) -> Tensor:
        """Features (B, D, h, w) to an image (B, 3, 16·h, 16·w)."""
        image: Tensor = self.decoder(features)
        return image * self.std + self.mean

    def normalize(self, image: Tensor) -> Tensor:
        """To mean 0 and standard deviation 1 over ImageNet."""
        return (image - self.mean) / self.std


class ChannelNorm(nn.Module):
    """Mean 0 and variance 1 over the channels at each position, then a gain and an offset per channel.

    From HiFiC (Mentzer et al. 2020, appendix A.1). x: (B, C, H, W).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        # layer norm, which is fused, divides by the biased variance; its eps and gain make up for that
        channels = x.shape[1]
        share = (channels - 1) / channels
        weight, bias = self.weight.flatten() * share**0.5, self.bias.flatten()
        last = functional.layer_norm(x.permute(0, 2, 3, 1), (channels,), weight, bias, _EPSILON * share)
        return last.permute(0, 3, 1, 2)


class _Halving(nn.Module):
    """A strided convolution; one row above and one column to the right are reflected."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.convolution(nn.functional.pad(x, (0, 1, 1, 0), mode="reflect"))
        return halved


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            ChannelNorm(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            ChannelNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        refined: Tensor = x + self.convolutions(x)
        return refined
