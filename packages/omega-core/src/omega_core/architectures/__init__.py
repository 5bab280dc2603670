"""The architectures that omega-core registers."""

from omega_core.extras import require_torch

require_torch(__name__)
