"""Processes of this machine that do jobs: pools of one process each, from concurrent.futures.

In one pool of several processes nobody could tell which job it was that killed its process: the pool breaks, and every
job fails that is not done yet.

On Linux, processes are forks of one that has imported what the worker needs (`forkserver`): torch is imported once, and
most of it is in memory once. On other systems, which cannot fork or whose libraries may not survive it, and where that
process cannot be had, each begins anew (`spawn`).
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.context import BaseContext
from types import FrameType
from typing import Any, cast

from omega_cli.executors.slots import Slot
from omega_cli.jobs import Done, Task, Worker, do_job
from omega_cli.logs import Shown, print_logs, shown
from omega_cli.signal_handlers import raise_from_handler

_GRACE = 3.0  # seconds that a worker has to remove partial output
_IMPORTED_FIRST = "omega_cli.executors.before_imports"


@contextmanager
def local_slots(worker: Worker[Any], count: int, threads: int) -> Iterator[list[Slot]]:
    """Yield slots of as many processes, each of which computes in as many threads."""
    context = _context(worker)
    processes = [_Process(worker, threads, context) for _ in range(count)]
    try:
        yield list[Slot](processes)
    except BaseException:  # do not wait for jobs that are still running
        for child in active_children():
            child.terminate()
        raise
    finally:
        for process in processes:
            process.end()


class _Process:
    """A process that does one job after the other, and another one in its place when it is killed."""

    def __init__(self, worker: Worker[Any], threads: int, context: BaseContext) -> None:
        self._arguments = worker, threads, shown(), dict(os.environ)
        self._context = context
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, job: Task) -> "Future[Done]":
        """Start a job. The future raises BrokenProcessPool if the process dies before the end of it."""
        _start_resource_tracker()
        with _no_interrupts():  # nor in the process that starts here: Ctrl-C is its parent's
            if self._executor is None:
                self._executor = ProcessPoolExecutor(1, self._context, _begin, self._arguments)
            try:
                return self._executor.submit(_do_next, job)
            except BrokenProcessPool:  # killed after its last job
                self.end()
                return self.submit(job)
            except (OSError, EOFError):  # what forks was killed, has no folder for its socket, or an import failed
                if self._context.get_start_method() == "spawn":
                    raise
                self.end()
                self._context = get_context("spawn")
                return self.submit(job)

    def result(self, future: "Future[Done]") -> Done | None:
        """The result of a job; None if its process was killed."""
        try:
            return future.result()
        except BrokenProcessPool:
            self.end()
            return None

    def end(self) -> None:
        """End the process; the next job starts another one."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None


def _context(worker: Worker[Any]) -> BaseContext:
    """How processes for a worker are started."""
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([_IMPORTED_FIRST, *getattr(worker, "imports", ())])
    return context


def _start_resource_tracker() -> None:
    """Start the process that cleans up after multiprocessing, which unblocks SIGINT when it is started: so, first."""
    if sys.platform != "win32":
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Block SIGINT within the context, on systems that can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_worker: Any = None
_busy = False


def _begin(worker: Worker[Any], threads: int, chosen: Shown, environment: dict[str, str]) -> None:
    """Initialize a worker process, which ends when its parent dies or sends SIGTERM, after removing partial output.

    environment: of the parent now. A fork has that of the process it was forked from, which is as old as the first
        worker.
    """
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    print_logs(chosen)
    os.environ.clear()
    os.environ.update(environment | {"OMP_NUM_THREADS": str(threads)})
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)
    _worker = worker


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        return
    parent.join()
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(cast(int, threading.main_thread().ident), signal.SIGTERM)
        time.sleep(_GRACE)
    os._exit(1)


class _Stopped(BaseException):
    """The parent process has sent SIGTERM."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not interrupt the removal of partial output
    if not _busy:
        os._exit(1)
    raise_from_handler(_Stopped())


def _do_next(job: Task) -> Done:
    global _busy
    _busy = True
    try:
        return do_job(_worker, job)
    except _Stopped:
        os._exit(1)
    finally:
        _busy = False
