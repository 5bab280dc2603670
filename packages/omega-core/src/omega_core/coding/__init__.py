"""Symbols as entropy coders see them: integer probability tables, and the order of coding. No torch here."""

from omega_core.extras import require_torch

require_torch(__name__)
