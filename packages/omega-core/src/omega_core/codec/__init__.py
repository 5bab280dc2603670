"""The codec: an architecture, a quantizer and a prior that turn pictures into files and back, and model files."""

from omega_core.extras import require

require(__name__, "numpy", "PIL")
