"""No quantization, to measure the distortion of a transform alone."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from omega_core.contracts.quantizer import Quantized, Quantizer
from omega_core.errors import ComponentError

if TYPE_CHECKING:
    from omega_core.contracts.prior import Prior


class IdentityQuantizer(Quantizer):
    """Returns the latent unchanged. Its symbols are the 32-bit patterns of float32 values, for the coder `raw`.

    latent_channels, channels: D and C, which have to be equal.
    alphabet: ignored; it is always 2³², because each pattern is a symbol.

    Raises ComponentError for different sizes, and for sizes below 1.
    """

    needs_prior = False

    def __init__(self, *, latent_channels: int, channels: int, alphabet: int = 1 << 32) -> None:
        super().__init__()
        if latent_channels != channels or channels < 1:
            raise ComponentError(
                f"the quantizer identity needs as many latent channels as channels, not {latent_channels} and"
                f" {channels}: set latent-channels to {channels}."
            )
        self.channels, self.alphabet = channels, 1 << 32

    def forward(self, latent: Tensor, prior: "Prior | None" = None, kept: Tensor | None = None) -> Quantized:
        """See `Quantizer.forward`. The bits are 0."""
        if kept is not None:
            latent = torch.where(self.mask(kept, latent) > 0, latent, 0.0)
        return Quantized(latent, latent.new_zeros(latent.shape[0]), self.symbols(latent.detach()))

    def symbols(self, latent: Tensor) -> Tensor:
        """The bit patterns (B, C, h, w), int64 in [0, 2³²), of a latent (B, C, h, w)."""
        return latent.float().contiguous().view(torch.int32).long() & 0xFFFFFFFF

    def latent(self, symbols: Tensor) -> Tensor:
        """The latent (B, C, h, w) of the first n channels of bit patterns (B, n, h, w); other channels are 0."""
        batch, channels, height, width = symbols.shape
        latent = torch.zeros(batch, self.channels, height, width, device=symbols.device)
        known = symbols.clamp_min(0)  # the pattern of 0 for missing symbols
        signed = torch.where(known >= 1 << 31, known - (1 << 32), known).to(torch.int32)
        latent[:, :channels] = signed.view(torch.float32)
        return latent
