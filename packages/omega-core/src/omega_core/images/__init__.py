"""Pictures as arrays: reading, writing, color conversion and PSNR."""

from omega_core.extras import require

require(__name__, "numpy", "PIL")
