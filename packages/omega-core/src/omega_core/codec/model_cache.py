"""A cache of the models of URLs on this machine, which are verified before they are used.

The folder `models` of the cache contains `FINGERPRINT.safetensors` for each model and, for each URL, a note of the
model that was found there. Everything in it can be deleted at any time.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from omega_core.cache import cache_folder
from omega_core.errors import MissingExtraError, ModelFileError, OutputError
from omega_core.file_io import replacing, write_whole
from omega_core.locations import Url
from omega_core.stores import Watch, temporary_name


def cached_model(url: Url, fingerprint: str = "", *, watch: Watch | None = None) -> Path:
    """Return the path of a copy of a model. Make the copy if there is none of the version in the store.

    A copy appears only when it is complete and its fingerprint is verified. Of several processes, one makes it.

    url: the URL of the model file.
    fingerprint: the beginning of the required fingerprint, "" for any. A copy with it is returned without access to the
        store. The caller has to check the fingerprint of a copy from the store.
    watch: is called while the model arrives.

    Raises ModelFileError if there is no model or it cannot be read, OutputError if no copy can be made, and
    MissingExtraError without the library of the store.
    """
    folder = cache_folder() / "models"
    if fingerprint and (copies := sorted(folder.glob(f"{fingerprint}*.safetensors"))):
        return copies[0]
    note = folder / f"{hashlib.sha256(url.text.encode()).hexdigest()[:32]}.json"
    with _alone(note):
        last = _Note.read(note)
        try:
            version = url.version()
            if last is None or version is None or version != last.version or not last.model(folder).exists():
                last = _Note(str(url), version, _fetch(url, folder, watch))
                write_whole(note, json.dumps(asdict(last)).encode())
        except OSError as problem:
            hope = f" Name it {url}#{last.fingerprint[:8]} to use the copy in the cache." if last else ""
            raise ModelFileError(f"cannot read the model {url}: {problem.strerror or problem}.{hope}") from problem
    return last.model(folder)


@dataclass(frozen=True)
class _Note:
    """The model that was found at a URL: its version according to the store, and its fingerprint."""

    url: str
    version: str | None
    fingerprint: str

    @classmethod
    def read(cls, path: Path) -> "_Note | None":
        """Read a note; None if it does not exist or cannot be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def model(self, folder: Path) -> Path:
        """The copy of the model."""
        return folder / f"{self.fingerprint}.safetensors"


def _fetch(url: Url, folder: Path, watch: Watch | None) -> str:
    """Make a copy of a model, and return its fingerprint. Raises OSError and ModelFileError."""
    arriving = folder / temporary_name()
    from omega_core.codec.model_file import read_model

    try:
        url.download(arriving, watch)
        try:
            fingerprint = read_model(arriving).fingerprint
        except ModelFileError as problem:
            raise ModelFileError(str(problem).replace(str(arriving), str(url))) from problem
        with replacing(folder / f"{fingerprint}.safetensors") as temporary:
            arriving.replace(temporary)
    finally:
        arriving.unlink(missing_ok=True)
    return fingerprint


@contextmanager
def _alone(note: Path) -> Iterator[None]:
    """Make the folder of the cache, and admit one process at a time to the context. Raises OutputError."""
    try:
        from filelock import FileLock
    except ImportError as problem:
        raise MissingExtraError(
            "models of URLs need filelock, which is not installed: install omega-core with its extra fsspec."
        ) from problem
    lock = FileLock(note.with_suffix(".lock"))
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError as problem:
        raise OutputError(
            f"cannot write to the cache {note.parent}: {problem.strerror or problem};"
            " the environment variable OMEGA_CACHE names another folder."
        ) from problem
    try:
        yield
    finally:
        lock.release()
