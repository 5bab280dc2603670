"""Pictures as arrays: reading, writing, color conversion and PSNR."""

from omega_core.torch_extra import require_torch

require_torch(__name__)
