"""What a process of a cluster does: jobs one by one, for a worker that it starts once."""

import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from omega_cli.executors.slots import ClusterError
from omega_cli.jobs import Done, TaskType, Worker, do_job
from omega_cli.logs import collected_logs, shown

# warnings, logs and the current folder belong to a process, and models are not for several threads
_alone = threading.Lock()


class RemoteWorker:
    """A worker of `carry_out` as it is sent to processes of a cluster, each of which starts it once.

    worker: is pickled. folder: that of relative paths; None if there are none.
    """

    def __init__(self, worker: Worker[Any], folder: Path | None) -> None:
        self.pickled, self.folder, self.shown = pickle.dumps(worker), folder, shown()

    def __call__(self, job: TaskType) -> Done:
        """Do a job. Raises OutputError if nothing can be written any more, and ClusterError without the folder."""
        with _alone, _working_in(self.folder), collected_logs(self.shown) as lines:
            started = _started(self.pickled)
            done = do_job(started.worker, job, started.start)
        done.logged = lines
        return done


@contextmanager
def _working_in(folder: Path | None) -> Iterator[None]:
    """A context with another current folder, if one is given. Raises ClusterError if it is not there."""
    if folder is None:
        yield
        return
    before = Path.cwd()
    try:
        os.chdir(folder)
    except OSError as problem:
        raise ClusterError(
            f"the folder {folder} is not there on a machine of the cluster: all need the same files under the same"
            " paths."
        ) from problem
    try:
        yield
    finally:
        os.chdir(before)


class _Started:
    """A worker that is started before its first job: a failure is then one of that job."""

    def __init__(self, pickled: bytes) -> None:
        self.worker: Worker[Any] = pickle.loads(pickled)  # noqa: S301 (from who may run any code here anyway)
        self._done = False

    def start(self) -> None:
        if not self._done:
            self.worker.start()
            self._done = True


_started = lru_cache(maxsize=2)(_Started)
