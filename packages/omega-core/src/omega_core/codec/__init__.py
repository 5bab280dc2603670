"""Architecture, quantizer and prior together: pictures to files and back, and models as files."""

from omega_core.extras import require_torch

require_torch(__name__)
