"""The models with which Pillow encodes and decodes. Each is loaded when it is first used, and kept."""

import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from omega_core.format.header import FINGERPRINT

if TYPE_CHECKING:
    from os import PathLike

    from omega_core.codec.model import Model
    from omega_core.places import Url

_KEPT = 4  # models that are kept, of those that are loaded here
_added: dict[bytes, "Model"] = {}


def add_model(model: "Model | str | PathLike[str] | Url") -> None:
    """Let Pillow decode the files of a model, for this process. Those of bundled models need no call.

    model: loaded, its path or its name; loaded, it decodes on its device and within its limits.

    Raises ModelFileError or ComponentError if it cannot be loaded.
    """
    from omega_core.codec.model import Model

    loaded = model if isinstance(model, Model) else model_by_name(model)
    _added[bytes.fromhex(loaded.fingerprint)[:FINGERPRINT]] = loaded


def decoding_model(prefix: bytes) -> "Model":
    """Return the model whose fingerprint begins with the 4 bytes in a header.

    Raises WrongModelError if it was not added and no distribution brings it, ModelFileError if it cannot be loaded.
    """
    from omega_core.codec.model_names import installed_model

    if prefix in _added:
        return _added[prefix]
    return _of_file(installed_model(prefix, "Give its file to omega_core.pillow.add_model."))


def model_by_name(name: "str | PathLike[str] | Url") -> "Model":
    """Return a model by its name, path or URL. Raises ModelFileError or ComponentError if it cannot be loaded."""
    from omega_core.codec.model_names import model_path

    return _of_file(model_path(name))


def _of_file(path: Path) -> "Model":
    return _loaded(path.absolute(), path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=_KEPT)
def _loaded(path: Path, changed: int) -> "Model":  # noqa: ARG001 (a changed file is loaded again)
    """The model of a file that was last changed at some time, in ns."""
    from omega_core.codec.loading import load_model

    return load_model(path, max_pixels=sys.maxsize)  # Pillow has a limit of its own, which it applies when it opens
