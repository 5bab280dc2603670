"""The folder of a run, into which one run at a time writes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from omega_core.errors import OutputError, TrainingError

LOCK = ".lock"
"""The file that the process of a run locks. It is not deleted when the run ends: only the lock counts, not the file."""
_FILES = ("metrics.csv", "recipe.toml", "train.log")


@contextmanager
def claimed(folder: Path, *, resume: bool) -> Iterator[None]:
    """A context in which this process alone writes into a run folder.

    The operating system releases the lock of a process that is killed. A folder that was made for the run is removed
    if the context ends with an error before anything was written.

    folder: the run folder, which is created if it does not exist. resume: whether it has to hold a run.

    Raises TrainingError if another process writes into the folder, if it has no run to resume, or if it holds files
    that a new run would replace; OutputError if it cannot be created or written.
    """
    check_content(folder, resume=resume)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    begun = (folder / LOCK).exists()
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as problem:
        raise TrainingError(
            f"another process trains in {folder}. Wait until it ends, or name another --output."
        ) from problem
    except (OSError, NotImplementedError) as problem:
        raise OutputError(f"cannot write into {folder}: {getattr(problem, 'strerror', None) or problem}.") from problem
    try:
        check_content(folder, resume=resume)  # again, because another process may have written in between
        if not resume and not begun and (foreign := [name for name in _FILES if (folder / name).exists()]):
            raise TrainingError(
                f"{folder} holds {', '.join(foreign)}, which a run would replace. Name another --output."
            )
        for part in folder.glob(".*.part"):  # left by a run that was killed while it wrote
            part.unlink(missing_ok=True)
        yield
    finally:
        if sys.platform == "win32":  # an open file cannot be deleted there, and `release` deletes this one
            lock.release()
            (folder / LOCK).touch()  # marks the folder of a run, also if it stopped before its first checkpoint
        if made and [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            for path in made:
                path.rmdir()
        lock.release()


def check_content(folder: Path, *, resume: bool) -> None:
    """Check the content of the folder of a new or resumed run.

    folder: the run folder. resume: whether it has to hold a run.

    Raises TrainingError if it has no run to resume, or holds a run or a model that a new run would replace; OutputError
    if it is not a folder.
    """
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is not a folder. Name another --output.")
    if resume:
        if not (folder / "last.ckpt").exists():
            raise TrainingError(f"there is no run to resume in {folder}: it has no last.ckpt.")
    elif (folder / "last.ckpt").exists():
        raise TrainingError(f"{folder} already holds a run. Continue it with --resume, or name another --output.")
    elif (folder / "model.safetensors").exists():
        raise TrainingError(f"{folder} already holds a model. Name another --output.")
