"""Model files: `.safetensors` files with weights, frozen tables and a description of the model.

Nothing is unpickled, and reading a description needs no torch.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from omega_core.codec.description import Choice as Choice
from omega_core.codec.description import Description as Description
from omega_core.coding.tables import Arrays
from omega_core.errors import ModelFileError
from omega_core.file_io import write_whole
from omega_core.locations import Location, Url

FORMAT = 1

RELAXATION = "relaxation."
"""Prefix of names in the state of a component that only the relaxed phase of training and the search for better symbols
need. In a model file, it stands before the name of the component."""

MAX_HEADER = 100_000_000
"""Maximum size of the header of a .safetensors file, in bytes; the safetensors library has the same limit."""


@dataclass(frozen=True)
class ModelFile:
    """The contents of a model file. fingerprint: 64 hexadecimal digits."""

    description: Description
    fingerprint: str
    arrays: Arrays


def name_in_file(name: str) -> str:
    """Return the name in a model file of an array in the state of an `ImageCodec`."""
    part, _, rest = name.partition(".")
    return f"{RELAXATION}{part}.{rest.removeprefix(RELAXATION)}" if rest.startswith(RELAXATION) else name


def name_in_codec(name: str) -> str:
    """The inverse of `name_in_file`."""
    if not name.startswith(RELAXATION):
        return name
    part, _, rest = name.removeprefix(RELAXATION).partition(".")
    return f"{part}.{RELAXATION}{rest}"


def fingerprint(description: Description, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256, in hexadecimal, of all that decoding needs: components, options, sizes and arrays."""
    parts = asdict(description)
    for key in ("coder", "text", "card", "recipe", "versions"):
        del parts[key]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()


def write_model(path: Path, description: Description, arrays: Arrays) -> str:
    """Write a model file, the same bytes for the same contents, and return its fingerprint. Raises OutputError."""
    mark = fingerprint(description, arrays)
    metadata = {"format": f"omega {FORMAT}", "omega": json.dumps(asdict(description)), "fingerprint": mark}
    data = save({name: np.asarray(array, order="C") for name, array in arrays.items()}, metadata)
    write_whole(path, _with_sorted_metadata(data))
    return mark


def _with_sorted_metadata(data: bytes) -> bytes:
    """A .safetensors file with its metadata in the order of their names; the library writes them in any order."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # arrays are aligned to 8 bytes
    return b"".join((len(text).to_bytes(8, "little"), text, memoryview(data)[start:]))


def read_description(location: Location) -> tuple[Description, str]:
    """Read the description and the fingerprint of a model, without its arrays. Raises ModelFileError."""
    try:
        if isinstance(location, Url):
            return _description(location, _metadata(location))
        with safe_open(location, framework="numpy") as opened:
            return _description(location, opened.metadata() or {})
    except (SafetensorError, OSError, ValueError, RecursionError) as problem:
        raise _unreadable(location, problem) from problem


def _metadata(url: Url) -> dict[str, str]:
    """The metadata of a .safetensors file; only its header is read. Raises OSError, ValueError."""
    with url.open() as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER:
            raise ValueError("its header is too long")
        header = json.loads(file.read(length))
    found = header.get("__metadata__") if isinstance(header, dict) else None
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def read_model(path: Path) -> ModelFile:
    """Read a model file. Raises ModelFileError if it is not a model, or its fingerprint does not match."""
    try:
        with safe_open(path, framework="numpy") as opened:
            description, mark = _description(path, opened.metadata() or {})
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
        whole = fingerprint(description, arrays) == mark
    except (SafetensorError, OSError, TypeError, ValueError, RecursionError) as problem:
        raise _unreadable(path, problem) from problem
    if not whole:
        raise ModelFileError(
            f"the model {path} is damaged: its fingerprint does not match. Get it again, or delete it"
            " if it is a copy in the cache."
        )
    return ModelFile(description, mark, arrays)


def _description(path: Location, metadata: Mapping[str, str]) -> tuple[Description, str]:
    made_by = metadata.get("format", "")
    if not made_by.startswith("omega "):
        raise ModelFileError(f"{path} is a .safetensors file, but not an Omega model.")
    if made_by != f"omega {FORMAT}":
        raise ModelFileError(f"the model {path} has the format {made_by!r}; this Omega reads 'omega {FORMAT}'.")
    try:
        return Description.from_json(metadata["omega"]), metadata["fingerprint"]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as problem:
        raise ModelFileError(f"the model {path} has a description that cannot be read ({problem}).") from problem


def _unreadable(path: Location, problem: Exception) -> ModelFileError:
    if isinstance(path, Url) and isinstance(problem, OSError):
        return ModelFileError(f"cannot read the model {path}: {problem.strerror}.")
    if not path.exists():
        return ModelFileError(f"there is no model {path}. Name a .safetensors file that `omega train` wrote.")
    if path.is_dir():
        return ModelFileError(f"{path} is a folder; a model is a .safetensors file in it, such as model.safetensors.")
    return ModelFileError(f"{path} is not a model ({problem}). Name a .safetensors file that `omega train` wrote.")
