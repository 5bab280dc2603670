"""`load_model`, and `compress` and `decompress` with a model by name, path or fingerprint."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast, overload

from PIL import Image

from omega_core.codec.file_codec import FileCodec
from omega_core.codec.memory import default_max_memory
from omega_core.codec.model import GROWTH, Model
from omega_core.codec.model_choice import ModelChoice
from omega_core.codec.model_names import installed_model, model_path
from omega_core.codec.onnx.loading import is_exported, load_exported
from omega_core.codec.picture_encoder import CompressOptions, PictureEncoder
from omega_core.errors import ModelFileError
from omega_core.extras import TORCH, require
from omega_core.file_io import Source, bytes_of
from omega_core.format.binary import Stream
from omega_core.format.header import Header
from omega_core.format.streaming import StreamingFile
from omega_core.images.pictures import MAX_PIXELS, Picture
from omega_core.images.reading import Batch, FileOrArray, PictureLike
from omega_core.locations import Url
from omega_core.names import printable
from omega_core.plugins.registry import registry

if TYPE_CHECKING:
    import torch

    from omega_core.codec.model_parts import Precision
    from omega_core.codec.symbol_search import SymbolSearch

DEFAULT_MODEL = "compact"
SCREEN_MODEL = "omega-cli/compact-screen"
AnyModel = Model | str | PathLike[str] | Url | None
"""A loaded model, or its name, path or URL; None for the default or, in decoding, for the model of the file."""

_MAX_KEPT = 4  # maximum number of models that `load_model_once` keeps

_log = logging.getLogger(__name__)


def load_model(
    name_or_path: str | PathLike[str] | Url,
    *,
    device: str | torch.device = "cpu",
    precision: Precision | None = None,
    max_pixels: int = MAX_PIXELS,
    max_memory: int | None = None,
) -> Model:
    """Load a model.

    name_or_path: the path or URL of a `.safetensors` file, as `omega train` writes it; the name of a bundled model; or
        a folder that `omega export-onnx` wrote, which runs in onnxruntime, without torch, on the CPU in float32. Append
        `#` and the beginning of a fingerprint to accept only the model with this fingerprint.
    device: the device to compute on, such as "cuda"; "auto" for an NVIDIA GPU if there is one.
    precision: the precision of the transforms. Default: that of the architecture. A file has the same symbols in any
        precision and on any device; pixels in float32 and float64 differ by one level at most.
    max_pixels: maximum number of pixels of a picture.
    max_memory: maximum number of bytes for decoding a file: see `Model`.

    Raises DeviceError if the device is not available, ModelFileError if the file is not a model, has another
    fingerprint, is damaged or does not fit the installed components, ComponentError if one of its components is not
    installed, and MissingExtraError for a URL without the library of its store.
    """
    began, path = time.monotonic(), model_path(name_or_path)
    search: Callable[[], SymbolSearch] | None = None
    if is_exported(path):
        if precision is not None:
            raise ModelFileError(f"{path} is for onnxruntime, which computes in float32 only: leave out the precision.")
        file_codec, contents = load_exported(path, device=device)
        where, description, fingerprint = "onnxruntime", contents.description, contents.fingerprint
    else:
        require("a .safetensors model", *TORCH)
        from omega_core.codec.model_parts import load_parts

        parts = load_parts(path, device=device, precision=precision)
        file_codec, search = FileCodec(parts.codec, parts.prior), parts.search
        where, description, fingerprint = str(parts.codec.device), parts.description, parts.fingerprint
    model = Model(file_codec, description, fingerprint, max_pixels=max_pixels, max_memory=max_memory, search=search)
    _log.info("%s: %s on %s, loaded in %.2f s", printable(str(path)), model, where, time.monotonic() - began)
    return model


def load_model_once(name_or_path: str | PathLike[str] | Url, *, max_pixels: int = MAX_PIXELS) -> Model:
    """Load a model on the CPU as `load_model` does, or return it if it is among the last four that were used here.

    A file that has changed is loaded again. Callers share the model and must not change it.
    """
    path = model_path(name_or_path)
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _load_once(path.absolute(), changed, max_pixels, default_max_memory())


@lru_cache(maxsize=_MAX_KEPT)
def _load_once(path: Path, changed: int, max_pixels: int, max_memory: int) -> Model:  # noqa: ARG001 (a key of the cache)
    """Load the model of a file. changed: its modification time, in ns; a changed file is loaded again."""
    return load_model(path, max_pixels=max_pixels, max_memory=max_memory)


def default_model() -> str:
    """Return the qualified name of the default model of `compress`, which is not mistaken for a file.

    Raises ModelFileError if it is not installed.
    """
    if not registry().models(DEFAULT_MODEL):
        raise ModelFileError(
            f"the default model {DEFAULT_MODEL} is not installed. Name another model, or the .safetensors file of one."
        )
    return registry().find_model(DEFAULT_MODEL).qualified_name


def screen_model() -> str | None:
    """Return the name, with its fingerprint, of the model for screenshots and drawings; None if it is not installed."""
    return next((f"{SCREEN_MODEL}#{each.fingerprint}" for each in registry().models(SCREEN_MODEL)), None)


@overload
def compress(
    picture: torch.Tensor, model: AnyModel | PictureEncoder = None, **options: Unpack[CompressOptions]
) -> bytes | list[bytes]: ...


@overload
def compress(
    picture: list[Any] | tuple[Any, ...], model: AnyModel | PictureEncoder = None, **options: Unpack[CompressOptions]
) -> list[bytes]: ...


@overload
def compress(
    picture: FileOrArray | Picture, model: AnyModel | PictureEncoder = None, **options: Unpack[CompressOptions]
) -> bytes: ...


def compress(
    picture: PictureLike | Picture | Batch, model: AnyModel | PictureEncoder = None, **options: Unpack[CompressOptions]
) -> bytes | list[bytes]:
    """Compress a picture to the bytes of an `.omega` file, or several pictures to a list of files.

    picture: one picture, or several, in any of the forms that `Model.compress` takes: a path or URL, bytes, an open
        file, a Pillow image, an array, a tensor, a batch.
    model: a loaded model or a `ModelChoice`; or the name, path or URL of a model, which is loaded at the first call and
        kept. Default: the choice between the models for photos and for screens, as in `omega compress`.
    options: channels, fraction, bpp, max_bytes or psnr, coder, and effort, as `Model.compress` takes them.

    Raises ModelFileError if the model cannot be loaded, and otherwise as `Model.compress` does.
    """
    files: bytes | list[bytes] = encoder_for(model, load_model_once).compress(cast(Any, picture), **options)
    return files


def encoder_for(model: AnyModel | PictureEncoder, load: Callable[[str | PathLike[str] | Url], Model]) -> PictureEncoder:
    """Return an encoder of pictures: a model or, if none is named, the choice between two if both are installed.

    model: a loaded model or choice, or the name, path or URL of a model; None for the choice between bundled models.
    load: loads a model by its name, path or URL.

    Raises ModelFileError if the default model is not installed, and whatever `load` raises.
    """
    if isinstance(model, PictureEncoder):
        return model
    if model is None and (screens := screen_model()):
        return ModelChoice(load(default_model()), partial(load, screens))
    return load(default_model() if model is None else model)


def decompress(source: Source, model: AnyModel = None, *, partial: bool = False) -> Image.Image:
    """Decompress an `.omega` file to a Pillow image.

    source: the bytes of the file, its path or URL, or an open binary file.
    model: the model that the file was made with: loaded, or its name, path or URL, in which case it is loaded at the
        first call and kept. Default: the bundled model with the fingerprint in the file.
    partial: whether to decode what has arrived of an incomplete file, instead of raising CutOffError.

    Raises WrongModelError if no bundled model fits, ModelFileError if the model cannot be loaded, and otherwise as
    `Model.decompress` does.
    """
    return decompress_picture(source, model, partial=partial).to_pillow()


def decompress_picture(source: Source, model: AnyModel = None, *, partial: bool = False) -> Picture:
    """Decompress as `decompress` does, to a `Picture` with `pixels`, `to_array()` and `to_tensor()`."""
    data = bytes_of(source)
    return model_for(model, Header.parse(data).fingerprint).decompress_picture(data, partial=partial)


def decode_progressively(
    stream: Stream | bytes, model: AnyModel = None, *, growth: float = GROWTH
) -> Iterator[Image.Image]:
    """Yield better and better pictures of an `.omega` file while it arrives: see `Model.decompress_progressively`.

    stream: the source of the file.
    model: as for `decompress`.
    growth: the factor, above 1, by which the stream grows from one picture to the next.
    """
    arriving = StreamingFile(stream)
    yield from model_for(model, arriving.header.fingerprint).decompress_progressively(arriving, growth=growth)


def model_for(model: AnyModel, prefix: bytes) -> Model:
    """Return the model to decode a file with.

    model: a loaded model, its name, path or URL; None for the bundled model with the fingerprint.
    prefix: the first 4 bytes of the fingerprint, from the header of the file.

    Raises ModelFileError for a model that cannot be loaded, WrongModelError if no bundled model has the fingerprint.
    """
    if isinstance(model, Model):
        return model
    return load_model_once(installed_model(prefix) if model is None else model)
