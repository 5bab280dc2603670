"""The worker in a process of a cluster: it is unpickled once and does jobs one by one."""

import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from omega_cli.executors.slots import ClusterError
from omega_cli.jobs import Done, Task, Worker, do_job
from omega_cli.logs import collected_logs, shown

# warnings, logs and the current folder are shared by all threads of a process, and models are not thread-safe
_alone = threading.Lock()
# pickles come from clients of the cluster, which may run any code here anyway
_unpickled = lru_cache(maxsize=2)(pickle.loads)


class RemoteWorker:
    """A worker of `carry_out` that can be sent to processes of a cluster, each of which unpickles it once.

    worker: the worker, which is pickled. folder: the folder of relative paths; None if there are none.
    """

    def __init__(self, worker: Worker[Any], folder: Path | None) -> None:
        self.pickled, self.folder, self.shown = pickle.dumps(worker), folder, shown()

    def __call__(self, job: Task) -> Done:
        """Do a job. Raises OutputError if no more results can be written, ClusterError if the folder does not exist."""
        with _alone, _working_in(self.folder), collected_logs(self.shown) as lines:
            done = do_job(_unpickled(self.pickled), job)
        done.logged = lines
        return done


@contextmanager
def _working_in(folder: Path | None) -> Iterator[None]:
    """A context that changes the current folder, unless it is None. Raises ClusterError if it does not exist."""
    if folder is None:
        yield
        return
    before = Path.cwd()
    try:
        os.chdir(folder)
    except OSError as problem:
        raise ClusterError(
            f"the folder {folder} does not exist on a machine of the cluster: all machines need the same files under"
            " the same paths."
        ) from problem
    try:
        yield
    finally:
        os.chdir(before)
