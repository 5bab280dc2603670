"""Integer probability tables, which of them each symbol has, and the order of coding; without torch."""

from omega_core.extras import require

require(__name__, "numpy")
