"""Pictures as arrays: read, written, measured."""

from omega_core.extras import require_torch

require_torch(__name__)
