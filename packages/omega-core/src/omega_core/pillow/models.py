"""The models with which Pillow encodes and decodes. Each is loaded when it is first used, and stays in memory."""

import sys
from typing import TYPE_CHECKING

from omega_core.format.header import FINGERPRINT

if TYPE_CHECKING:
    from os import PathLike

    from omega_core.codec.model import Model
    from omega_core.locations import Url

_added: dict[bytes, "Model"] = {}


def add_model(model: "Model | str | PathLike[str] | Url") -> None:
    """Let Pillow decode the files of a model in this process. Bundled models need no call.

    model: a model, or its path, URL or name. A loaded model decodes on its device and within its limits.

    Raises ModelFileError or ComponentError if it cannot be loaded.
    """
    from omega_core.codec.model import Model

    loaded = model if isinstance(model, Model) else model_by_name(model)
    _added[bytes.fromhex(loaded.fingerprint)[:FINGERPRINT]] = loaded


def decoding_model(prefix: bytes) -> "Model":
    """Return the model whose fingerprint begins with the 4 bytes in a header.

    Raises WrongModelError if it is neither added nor installed, ModelFileError if it cannot be loaded.
    """
    from omega_core.codec.model_names import installed_model

    if prefix in _added:
        return _added[prefix]
    return model_by_name(installed_model(prefix, "Give its file to omega_core.pillow.add_model."))


def model_by_name(name: "str | PathLike[str] | Url") -> "Model":
    """Return a model by its name, path or URL. Raises ModelFileError or ComponentError if it cannot be loaded."""
    from omega_core.codec.loading import load_model_once

    return load_model_once(name, max_pixels=sys.maxsize)  # Pillow applies its own limit when it opens a file
