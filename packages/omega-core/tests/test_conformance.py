"""Our architectures do what is asked of anybody's."""

from omega_core.testing import ArchitectureContract


class TestMnist(ArchitectureContract):
    name = "mnist"


class TestCompact(ArchitectureContract):
    name = "compact"


class TestCompactForScreens(ArchitectureContract):
    name = "compact"
    options = {"block": 8, "lapped": False, "origin": 1.0, "nets": "none"}


class TestOpenImages(ArchitectureContract):
    name = "openimages"
    options = {"width": 4}
