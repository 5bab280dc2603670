"""The architectures that omega-core registers."""

from omega_core.extras import TORCH, require

require(__name__, *TORCH)
