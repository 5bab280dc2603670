"""The architectures that come with Omega."""

from omega_core.extras import require_torch

require_torch(__name__)
