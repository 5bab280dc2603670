"""Local processes that do jobs: pools of concurrent.futures, with one process each.

In a pool of several processes, a process that is killed breaks the whole pool, and the job that caused it is unknown.

On Linux, processes are forked from one that has imported the modules of the worker (`forkserver`), so that torch is
imported once and shares most of its memory. Each process starts from scratch (`spawn`) on other systems, which cannot
fork or whose libraries may not support it, and if the fork server cannot be started.
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
from omega_core.processes import raise_from_handler

_GRACE = 3.0  # seconds for a worker to remove partial output
_IMPORTED_FIRST = "omega_cli.executors.before_imports"


@contextmanager
def local_slots(worker: Worker[Any], count: int, threads: int) -> Iterator[list[Slot]]:
    """Yield `count` slots with a process each, which computes in `threads` threads."""
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
    """Runs jobs one by one in a process, and replaces a process that was killed."""

    def __init__(self, worker: Worker[Any], threads: int, context: BaseContext) -> None:
        self._arguments = worker, threads, shown(), dict(os.environ)
        self._context = context
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, job: Task) -> "Future[Done]":
        """Start a job. The future raises BrokenProcessPool if the process dies before the job ends."""
        _start_resource_tracker()
        with _no_interrupts():  # inherited by the process that starts here: only its parent handles Ctrl-C
            if self._executor is None:
                self._executor = ProcessPoolExecutor(1, self._context, _begin, self._arguments)
            try:
                return self._executor.submit(_do_next, job)
            except BrokenProcessPool:  # killed after its last job
                self.end()
                return self.submit(job)
            except (OSError, EOFError):  # the fork server was killed, cannot create its socket, or an import failed
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
        """End the process. The next job starts another one."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
            self._executor = None


def _context(worker: Worker[Any]) -> BaseContext:
    """The method by which processes for a worker are started."""
    if sys.platform != "linux":
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([_IMPORTED_FIRST, *getattr(worker, "imports", ())])
    return context


def _start_resource_tracker() -> None:
    """Start the resource tracker of multiprocessing. It comes first, because its start unblocks SIGINT."""
    if sys.platform != "win32":
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Block SIGINT within the context, if the system supports it."""
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
    """Initialize a worker process. It removes partial output and ends when its parent dies or sends SIGTERM.

    environment: the current environment of the parent. A forked process inherits the environment of the fork server,
        which may be older.
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
