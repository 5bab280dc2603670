"""onnxruntime-web, which runs models in browsers: a given folder, or the cache, which npm fills the first time."""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

from omega_cli.messages import say
from omega_core.cache import cache_folder
from omega_core.errors import OmegaError, TargetExistsError
from omega_core.file_io import whole_folder

PACKAGE = "onnxruntime-web@1.30.0"
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""The files of the package that browsers need: names in its folder `dist`, and SHA-256."""
_MAX_SECONDS = 600


def runtime_folder(given: Path | None = None) -> Path:
    """Return a folder with `FILES`.

    given: a folder with these files, of any version; None is the folder in the cache, which npm fills the first time.

    Raises OmegaError if there is none, and OutputError if the cache cannot be written.
    """
    if given is not None:
        if absent := [name for name in FILES if not (given / name).is_file()]:
            raise OmegaError(f"{given} is not the folder dist of onnxruntime-web: it has no {absent[0]}.")
        return given
    folder = cache_folder() / PACKAGE
    if not folder.is_dir():
        _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise OmegaError(f"{PACKAGE}, which runs models in browsers, is downloaded with npm, which is not installed.")
    say(f"downloading {PACKAGE} with npm (first time only)…", err=True)
    with tempfile.TemporaryDirectory() as temporary:
        command = [npm, "pack", PACKAGE, "--ignore-scripts", "--fetch-retries=1", "--loglevel=error"]
        try:
            done = subprocess.run(  # noqa: S603 (npm from the user's PATH)
                command,
                cwd=temporary,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_MAX_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise OmegaError(f"npm cannot download {PACKAGE}: {problem}.") from problem
        archives = list(Path(temporary).glob("*.tgz"))
        if done.returncode or not archives:
            lines = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}."]
            raise OmegaError(f"npm cannot download {PACKAGE}: {lines[0].removeprefix('npm error ')}")
        contents = _verified(archives[0])
    with suppress(TargetExistsError), whole_folder(folder) as unfinished:  # another process may have been faster
        for name, content in contents.items():
            (unfinished / name).write_bytes(content)


def _verified(archive: Path) -> dict[str, bytes]:
    """Read `FILES` from the package. Raises OmegaError if a hash differs."""
    contents = {}
    with tarfile.open(archive) as package:
        for name, digest in FILES.items():
            file = package.extractfile(f"package/dist/{name}")
            contents[name] = file.read() if file else b""
            if hashlib.sha256(contents[name]).hexdigest() != digest:
                raise OmegaError(f"npm downloaded a {PACKAGE} with an unexpected {name}.")
    return contents
