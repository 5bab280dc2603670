"""Models for browsers: exported to ONNX into the cache the first time."""

from contextlib import suppress
from pathlib import Path

import omega_core
from omega_cli.messages import say
from omega_core.cache import cache_folder
from omega_core.codec.model_names import fingerprint_of
from omega_core.codec.onnx.loading import CODING, is_exported, read_coding
from omega_core.errors import TargetExistsError


def exported_folder(path: Path) -> Path:
    """Return the folder of an exported model.

    path: a model file, which is exported unless the cache has its export by this version; or the folder of an export.

    Raises ModelFileError for a model that cannot be exported, MissingExtraError without the extra `onnx-export`, and
    OutputError if the cache cannot be written.
    """
    if is_exported(path):
        return path
    folder = cache_folder() / "exported" / f"{fingerprint_of(path)}-{omega_core.__version__}"
    if not is_exported(folder):
        say("exporting the model for browsers (first time only, about a minute)…", err=True)
        with suppress(TargetExistsError):  # another process was faster
            omega_core.export_onnx(path, folder)
    return folder


def browser_files(folder: Path) -> list[Path]:
    """The files of an exported model that browsers load: all except the analysis."""
    return [folder / CODING, folder / read_coding(folder).synthesis.name]
