"""Omega: a learned image codec put together from plugins. This package is what all of it stands on."""

from typing import TYPE_CHECKING

from omega_core.errors import OmegaError
from omega_core.lazy import lazily

if TYPE_CHECKING:
    from omega_core.codec.image_codec import ImageCodec as ImageCodec
    from omega_core.codec.loading import decode_progressively as decode_progressively
    from omega_core.codec.loading import decompress as decompress
    from omega_core.codec.loading import load_model as load_model
    from omega_core.codec.model import Model as Model
    from omega_core.format.facts import describe as describe
    from omega_core.format.rates import truncate as truncate
    from omega_core.plugins.components import BundledModel as BundledModel
    from omega_core.plugins.components import Component as Component
    from omega_core.plugins.hookspecs import hookimpl as hookimpl
    from omega_core.plugins.registry import resolve as resolve

__version__ = "0.1.0"

__all__ = [
    "BundledModel",
    "Component",
    "ImageCodec",
    "Model",
    "OmegaError",
    "decode_progressively",
    "decompress",
    "describe",
    "hookimpl",
    "load_model",
    "resolve",
    "truncate",
]

__getattr__ = lazily(
    __name__,
    {
        "BundledModel": "omega_core.plugins.components",
        "Component": "omega_core.plugins.components",
        "ImageCodec": "omega_core.codec.image_codec",
        "Model": "omega_core.codec.model",
        "decode_progressively": "omega_core.codec.loading",
        "decompress": "omega_core.codec.loading",
        "describe": "omega_core.format.facts",
        "hookimpl": "omega_core.plugins.hookspecs",
        "load_model": "omega_core.codec.loading",
        "resolve": "omega_core.plugins.registry",
        "truncate": "omega_core.format.rates",
    },
)
