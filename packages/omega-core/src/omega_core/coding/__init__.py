"""Integer probability tables, the selection of one for each symbol, and the order of coding; without torch."""

from omega_core.extras import require

require(__name__, "numpy")
