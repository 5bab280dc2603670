"""The codec: an architecture, a quantizer and a prior that turn pictures into files and back, and model files."""

from omega_core.torch_extra import require_torch

require_torch(__name__)
