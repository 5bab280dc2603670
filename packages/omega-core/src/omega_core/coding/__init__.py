"""Integer probability tables, and the order in which symbols are coded; without torch."""

from omega_core.torch_extra import require_torch

require_torch(__name__)
