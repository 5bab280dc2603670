"""Names of models: of bundled ones, paths and URLs, with or without the fingerprint that the model has to have.

compact
runs/mine/model.safetensors
runs/mine/exported                             a folder of `omega export-onnx`
https://example.org/mine.safetensors
compact#d56be9b8                               the model whose fingerprint begins with these digits, or none
https://example.org/mine.safetensors#d56be9b8
"""

import os
import re
from os import PathLike
from pathlib import Path

from omega_core.codec.model_cache import cached_model
from omega_core.codec.onnx.loading import is_exported, read_coding
from omega_core.errors import ModelFileError, WrongModelError
from omega_core.places import Url, masked, place_of
from omega_core.plugins.registry import registry
from omega_core.stores import Watch

_DIGITS = range(8, 65)
"""How many hexadecimal digits of a fingerprint may be given: a name has as many as files have, or more."""
_PINNED = re.compile(r"(?P<name>.+)#(?P<fingerprint>[0-9a-f]*)", re.IGNORECASE | re.DOTALL)


def model_path(name: str | PathLike[str] | Url, *, watch: Watch | None = None) -> Path:
    """Return the path of a model's file on this machine.

    name: a bundled model, a path, which is returned unchanged, or a URL, of which there is a copy afterwards; with or
        without a fingerprint. The name of a bundled model is no path, unless an exported model is there; with ./ before
        it, it always is one.
    watch: is called while the model of a URL arrives.

    The path of an exported model is that of its folder.

    Raises ModelFileError for an unknown model, one with another fingerprint, and one that cannot be read at its URL.
    """
    bare, fingerprint = split_fingerprint(name)
    place = place_of(bare)
    if isinstance(place, Url):
        path = cached_model(place, fingerprint, watch=watch)
    elif place.suffix == ".safetensors" or is_exported(place) or (_exists(place) and not _is_bundled(bare)):
        path = place
    else:
        try:
            path = registry().find_model(str(bare)).path()
        except ModelFileError as problem:
            raise ModelFileError(f"{problem} Or name a .safetensors file that `omega train` wrote.") from problem
    if fingerprint and not (found := fingerprint_of(path)).startswith(fingerprint):
        raise ModelFileError(f"the model {place} has the fingerprint {found}, not {fingerprint}, which it has to have.")
    return path


def installed_model(prefix: bytes, advice: str = "Give the model that it was made with.") -> Path:
    """Return the path of the bundled model of a file.

    prefix: the first 4 bytes of the model's fingerprint, from the header of the file.
    advice: the last sentence of the error: how another model is named.

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
    """The fingerprint of a model's file, or of the folder of an exported model. Raises ModelFileError."""
    if is_exported(path):
        return read_coding(path).fingerprint
    from omega_core.codec.model_file import read_description

    return read_description(path)[1]


def split_fingerprint(name: str | PathLike[str] | Url) -> tuple[str | PathLike[str] | Url, str]:
    """A name without its fingerprint, and the fingerprint, which is "" if there is none. A path that exists has none.

    Raises ModelFileError for fewer than 8 digits or more than 64.
    """
    text = name.text if isinstance(name, Url) else os.fspath(name)
    found = _PINNED.fullmatch(text)
    if found is None or (not isinstance(place_of(text), Url) and _exists(Path(text))):
        return name, ""
    if len(found["fingerprint"]) not in _DIGITS:
        digits = f"{_DIGITS[0]} to {_DIGITS[-1]} hexadecimal digits"
        raise ModelFileError(f"{masked(text)}: after # come {digits} of a fingerprint, as `omega info` shows it.")
    return found["name"], found["fingerprint"].lower()


def _is_bundled(name: str | PathLike[str] | Url) -> bool:
    """Whether this is the name of a bundled model, not a path."""
    return isinstance(name, str) and bool(registry().models(name))


def _exists(path: Path) -> bool:
    """Whether there is something at a path; not if it cannot be one, such as a name that is too long."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
