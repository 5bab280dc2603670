"""The models that come with the command. Their files are in `bundled`, written by `python docs/models/bundle.py`."""

from omega_core.plugins.components import BundledModel
from omega_core.plugins.hookspecs import hookimpl


@hookimpl
def omega_register_models() -> list[BundledModel]:
    return [
        BundledModel(
            name="compact",
            file="omega_cli:bundled/compact.safetensors",
            summary="photos of any size, in color or gray",
            fingerprint="d56be9b85bc04ddb9e1c972cc143a83ca1c526f21fe4f2ae2672f4a724ec8b3d",
        ),
        BundledModel(
            name="mnist-omega-16",
            file="omega_cli:bundled/mnist-omega-16.safetensors",
            summary="handwritten digits of 28×28, Ω with up to 16 channels",
            fingerprint="3bd35e3ca178e0e684f20a3f2d147ed49aaac6f4d25d3256fe40b142513e19b3",
        ),
        BundledModel(
            name="mnist-integer-16",
            file="omega_cli:bundled/mnist-integer-16.safetensors",
            summary="handwritten digits of 28×28, integer quantization with up to 16 channels, to compare with",
            fingerprint="ad6022ec9b9fdcd17b91d36f7ec601b97312f6df7cbdde43f6ee36c39d5c55e5",
        ),
    ]
