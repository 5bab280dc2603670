"""The plugin module of omega-core: its hooks register its architectures."""

from omega_core.plugins.components import Component
from omega_core.plugins.hookspecs import hookimpl


@hookimpl
def omega_register_architectures() -> list[Component]:
    return [
        Component(
            name="mnist",
            target="omega_core.architectures.mnist:MnistArchitecture",
            summary="three strided convolutions for 28×28 gray pictures, latent 3×3 (Löhdefink 2022)",
        ),
        Component(
            name="openimages",
            target="omega_core.architectures.openimages:OpenImagesArchitecture",
            summary="strided convolutions and residual blocks for color pictures of any size (Löhdefink 2022)",
        ),
        Component(
            name="compact",
            target="omega_core.architectures.compact:CompactArchitecture",
            summary="for color pictures of any size on CPUs: 3.6 M parameters, 24 kMAC per pixel",
        ),
    ]
