"""The architectures that omega-core registers."""

from omega_core.torch_extra import require_torch

require_torch(__name__)
