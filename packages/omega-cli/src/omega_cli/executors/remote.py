"""What a process of a cluster does: jobs one by one, for a worker that it starts once."""

import os
import pickle
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from omega_cli.executors.slots import ClusterError
from omega_cli.jobs import Done, TaskType, Worker, do_job

_alone = threading.Lock()  # warnings and the current folder belong to a process, and models are not for several threads


class RemoteWorker:
    """A worker of `carry_out` as it is sent to processes of a cluster, each of which starts it once.

    worker: is pickled. Relative paths are those of the folder in which this is made.
    """

    def __init__(self, worker: Worker[Any]) -> None:
        self.pickled, self.folder = pickle.dumps(worker), str(Path.cwd())

    def __call__(self, job: TaskType) -> Done:
        """Do a job. Raises OutputError if nothing can be written any more, and ClusterError without the folder."""
        with _alone:
            before = Path.cwd()
            try:
                os.chdir(self.folder)
            except OSError as problem:
                raise ClusterError(
                    f"the folder {self.folder} is not there on a machine of the cluster: all need the same files under"
                    " the same paths."
                ) from problem
            try:
                started = _started(self.pickled)
                return do_job(started.worker, job, started.start)
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
