"""Names of models: bundled models, paths and URLs, with or without the fingerprint that the model has to have.

compact
runs/mine/model.safetensors
runs/mine/exported                             a folder of `omega export-onnx`
https://example.org/mine.safetensors
compact#d56be9b8                               this model, only if its fingerprint begins with these digits
https://example.org/mine.safetensors#d56be9b8
"""

import os
import re
from os import PathLike
from pathlib import Path

from omega_core.codec.model_cache import cached_model
from omega_core.codec.onnx.loading import is_exported, read_coding
from omega_core.errors import ModelFileError, WrongModelError
from omega_core.locations import Url, location_of, masked
from omega_core.plugins.registry import registry
from omega_core.stores import Watch

_DIGITS = range(8, 65)
"""Accepted numbers of hexadecimal digits of a fingerprint: at least as many as `.omega` files have."""
_PINNED = re.compile(r"(?P<name>.+)#(?P<fingerprint>[0-9a-f]*)", re.IGNORECASE | re.DOTALL)


def model_path(name: str | PathLike[str] | Url, *, watch: Watch | None = None) -> Path:
    """Return the path of a model's file on this machine.

    name: a bundled model, a path, which is returned unchanged, or a URL, which is copied to the cache; with or without
        a fingerprint. The name of a bundled model is not taken for a path, unless it is the path of an exported model;
        write ./NAME for the path.
    watch: is called while the model of a URL arrives.

    The path of an exported model is that of its folder.

    Raises ModelFileError for an unknown model, one with another fingerprint, and one that cannot be read at its URL.
    """
    bare, fingerprint = split_fingerprint(name)
    location = location_of(bare)
    if isinstance(location, Url):
        path = cached_model(location, fingerprint, watch=watch)
    elif location.suffix == ".safetensors" or is_exported(location) or (_exists(location) and not _is_bundled(bare)):
        path = location
    else:
        try:
            path = registry().find_model(str(bare)).path()
        except ModelFileError as problem:
            raise ModelFileError(f"{problem} Or name a .safetensors file that `omega train` wrote.") from problem
    if fingerprint and not (found := fingerprint_of(path)).startswith(fingerprint):
        raise ModelFileError(f"the model {location} has the fingerprint {found}, not {fingerprint} as required.")
    return path


def installed_model(prefix: bytes, advice: str = "Give the model that it was made with.") -> Path:
    """Return the path of the bundled model of a file.

    prefix: the first 4 bytes of the model's fingerprint, from the header of the file.
    advice: the last sentence of the error, on how to specify another model.

    Raises WrongModelError if no bundled model has the fingerprint, ModelFileError if its distribution lacks it.
    """
    found = registry().find_model_by_fingerprint(prefix)
    if found is None:
        raise WrongModelError(
            f"this file was made with the model {prefix.hex()}, which is not installed. {advice}",
            made_with=prefix.hex(),
        )
    return found.path()


def fingerprint_of(path: Path) -> str:
    """Return the fingerprint of a model's file, or of the folder of an exported model. Raises ModelFileError."""
    if is_exported(path):
        return read_coding(path).fingerprint
    from omega_core.codec.model_file import read_description

    return read_description(path)[1]


def split_fingerprint(name: str | PathLike[str] | Url) -> tuple[str | PathLike[str] | Url, str]:
    """Return a name without its fingerprint, and the fingerprint: "" without one, and for a path that exists.

    Raises ModelFileError for fewer than 8 digits or more than 64.
    """
    text = name.text if isinstance(name, Url) else os.fspath(name)
    found = _PINNED.fullmatch(text)
    if found is None or (not isinstance(location_of(text), Url) and _exists(Path(text))):
        return name, ""
    if len(found["fingerprint"]) not in _DIGITS:
        digits = f"{_DIGITS[0]} to {_DIGITS[-1]} hexadecimal digits"
        raise ModelFileError(f"{masked(text)}: write {digits} of a fingerprint after #, as `omega info` prints it.")
    return found["name"], found["fingerprint"].lower()


def _is_bundled(name: str | PathLike[str] | Url) -> bool:
    """Whether this is the name of a bundled model, not a path."""
    return isinstance(name, str) and bool(registry().models(name))


def _exists(path: Path) -> bool:
    """Whether a path exists; False for an invalid path, such as a name that is too long."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
