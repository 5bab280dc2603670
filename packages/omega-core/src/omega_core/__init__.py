"""Omega: a learned image codec put together from plugins. This package is what all of it stands on."""

from typing import TYPE_CHECKING

from omega_core.components import Component
from omega_core.errors import OmegaError
from omega_core.hookspecs import hookimpl
from omega_core.lazy import lazily
from omega_core.registry import resolve

if TYPE_CHECKING:
    from omega_core.model import Model as Model
    from omega_core.model import decompress as decompress
    from omega_core.model import load_model as load_model
    from omega_core.rates import truncate as truncate

__version__ = "0.1.0"

__all__ = ["Component", "Model", "OmegaError", "decompress", "hookimpl", "load_model", "resolve", "truncate"]

__getattr__ = lazily(
    __name__,
    {
        "Model": "omega_core.model",
        "decompress": "omega_core.model",
        "load_model": "omega_core.model",
        "truncate": "omega_core.rates",
    },
)
