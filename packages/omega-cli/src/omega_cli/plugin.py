"""The bundled models. `python docs/models/bundle.py` writes their files to `bundled`."""

from omega_core.plugins.components import BundledModel
from omega_core.plugins.hookspecs import hookimpl


@hookimpl
def omega_register_models() -> list[BundledModel]:
    return [
        BundledModel(
            name="compact",
            file="omega_cli:bundled/compact.safetensors",
            summary="photos of any size, in color or gray",
            fingerprint="33780cd5951c16cd0d0080548d9252fda8d0f7dd7596d646e83cf6998aaea54a",
        ),
        BundledModel(
            name="compact-screen",
            file="omega_cli:bundled/compact-screen.safetensors",
            summary="screenshots, drawings and text, and photos from 38 to 48 dB",
            fingerprint="dac1c0536f53f0fe28b41a75ef12e4d49624b1e9b29c214fc4042192f1274462",
        ),
        BundledModel(
            name="compact-small",
            file="omega_cli:bundled/compact-small.safetensors",
            summary="photos at low rates, for thumbnails and phones; a quarter of the work and of the size of compact",
            fingerprint="3251cecb1c0e3507fca6444f44967de8ffd813052d47c33b9f74c0c27c2b0752",
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
            summary="handwritten digits of 28×28, integer quantization with up to 16 channels, as a baseline",
            fingerprint="ad6022ec9b9fdcd17b91d36f7ec601b97312f6df7cbdde43f6ee36c39d5c55e5",
        ),
    ]
