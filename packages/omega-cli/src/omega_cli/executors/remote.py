"""What a process of a cluster does: jobs one by one, for a worker that it unpickles once."""

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

# warnings, logs and the current folder belong to a process, and models are not for several threads
_alone = threading.Lock()
_unpickled = lru_cache(maxsize=2)(pickle.loads)  # from who may run any code here anyway


class RemoteWorker:
    """A worker of `carry_out` as it is sent to processes of a cluster, each of which unpickles it once.

    worker: is pickled. folder: that of relative paths; None if there are none.
    """

    def __init__(self, worker: Worker[Any], folder: Path | None) -> None:
        self.pickled, self.folder, self.shown = pickle.dumps(worker), folder, shown()

    def __call__(self, job: Task) -> Done:
        """Do a job. Raises OutputError if nothing can be written any more, and ClusterError without the folder."""
        with _alone, _working_in(self.folder), collected_logs(self.shown) as lines:
            done = do_job(_unpickled(self.pickled), job)
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
