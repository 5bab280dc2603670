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
            fingerprint="3fe869d904cef4eff842247aadc3114157e2ad807a8e757881c650e0c32c64c2",
        ),
        BundledModel(
            name="compact-small",
            file="omega_cli:bundled/compact-small.safetensors",
            summary="photos at low rates, for thumbnails and phones: a quarter of the work and of the size",
            fingerprint="b4bb769b558024f5a415221505387354c21575819337a50e8036d8e1b2eb477b",
        ),
        BundledModel(
            name="mnist-omega-16",
            file="omega_cli:bundled/mnist-omega-16.safetensors",
            summary="handwritten digits of 28×28, Ω with up to 16 channels",
            fingerprint="21fc9b134390689f6f14ef3b85cae1284f1ab24d4228c8ff93c223b1157baff6",
        ),
        BundledModel(
            name="mnist-integer-16",
            file="omega_cli:bundled/mnist-integer-16.safetensors",
            summary="handwritten digits of 28×28, integer quantization with up to 16 channels, to compare with",
            fingerprint="ad6022ec9b9fdcd17b91d36f7ec601b97312f6df7cbdde43f6ee36c39d5c55e5",
        ),
    ]
