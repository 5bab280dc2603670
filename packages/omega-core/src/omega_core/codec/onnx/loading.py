"""Loading of exported models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from omega_core.codec.file_codec import FileCodec
from omega_core.codec.onnx.coding_file import CodingFile
from omega_core.codec.onnx.session_codec import OnnxCodec
from omega_core.coding.specified_priors import specified_prior
from omega_core.errors import DeviceError, ModelFileError
from omega_core.extras import ONNX, require
from omega_core.locations import Location

if TYPE_CHECKING:
    import torch

CODING = "coding.bin"
"""The name of the file that makes a folder an exported model."""


def is_exported(location: Location) -> TypeGuard[Path]:
    """Return whether a path is the folder of an exported model; False for a URL or a path that cannot be reached."""
    try:
        return isinstance(location, Path) and (location / CODING).is_file()
    except (OSError, ValueError):
        return False


def load_exported(folder: Path, *, device: str | torch.device) -> tuple[FileCodec, CodingFile]:
    """Load the codec of an exported model, and its `coding.bin`.

    The device and the errors are as for `omega_core.load_model`.
    """
    require("an exported model", *ONNX)
    if str(device) not in ("cpu", "auto"):
        raise DeviceError(f"the exported model {folder} runs only on the CPU, not on {device}.")
    contents = read_coding(folder)
    try:
        prior = specified_prior(contents.prior)
    except (ValueError, KeyError) as problem:
        raise ModelFileError(
            f"the prior in {folder / CODING} cannot be used ({problem}): export it again."
        ) from problem
    codec = OnnxCodec(contents, lambda name: _read(folder / name))
    return FileCodec(codec, prior), contents


def read_coding(folder: Path) -> CodingFile:
    """Read the `coding.bin` of an exported model. Raises ModelFileError."""
    return CodingFile.parse(_read(folder / CODING))


def _read(path: Path) -> bytes:
    """The content of a file of the model. Raises ModelFileError."""
    try:
        return path.read_bytes()
    except OSError as problem:
        raise ModelFileError(f"{path} cannot be read ({problem.strerror}): export the model again.") from problem
