"""Omega, a learned image codec made of plugins: the public names of omega-core."""

from typing import TYPE_CHECKING

from omega_core.errors import OmegaError as OmegaError
from omega_core.lazy import lazily

if TYPE_CHECKING:
    from omega_core.codec.image_codec import ImageCodec as ImageCodec
    from omega_core.codec.loading import compress as compress
    from omega_core.codec.loading import decode_progressively as decode_progressively
    from omega_core.codec.loading import decompress as decompress
    from omega_core.codec.loading import decompress_picture as decompress_picture
    from omega_core.codec.loading import load_model as load_model
    from omega_core.codec.model import Model as Model
    from omega_core.codec.model_choice import ModelChoice as ModelChoice
    from omega_core.codec.model_parts import load_codec as load_codec
    from omega_core.codec.onnx.export import export_onnx as export_onnx
    from omega_core.codec.progressive import ProgressiveDecoder as ProgressiveDecoder
    from omega_core.codec.saving import save_model as save_model
    from omega_core.format.facts import describe as describe
    from omega_core.format.rate_control import truncate as truncate
    from omega_core.images.pictures import Picture as Picture
    from omega_core.plugins.components import BundledModel as BundledModel
    from omega_core.plugins.components import Component as Component
    from omega_core.plugins.hookspecs import hookimpl as hookimpl
    from omega_core.plugins.registry import list_models as list_models
    from omega_core.plugins.registry import resolve as resolve

__version__: str

__getattr__, __dir__, __all__ = lazily(__name__)
