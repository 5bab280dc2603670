"""Our architectures do what is asked of anybody's."""

from omega_core.testing import ArchitectureContract


class TestMnist(ArchitectureContract):
    name = "mnist"


class TestCompact(ArchitectureContract):
    name = "compact"


class TestOpenImages(ArchitectureContract):
    name = "openimages"
    options = {"width": 4}
