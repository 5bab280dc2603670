"""Ray clusters. Jobs run in actors, which are processes that the command starts there."""

import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any

from omega_cli.executors.remote import RemoteWorker
from omega_cli.executors.slots import ClusterError, LostClusterError, Slot, cannot_do
from omega_cli.jobs import Done, Task
from omega_cli.messages import say_warning
from omega_core.errors import OmegaError
from omega_core.processes import kept_signal_handlers

_TIMEOUT = 10.0  # seconds to reach the head of the cluster
_PATIENCE = 60.0  # seconds to connect to it, which is slow on a busy machine
_GRACE = 3.0  # seconds for an actor to finish writing a file


@contextmanager
def ray_slots(address: str, worker: RemoteWorker, jobs: int, most: int | None) -> Iterator[list[Slot]]:
    """Yield slots for up to `jobs` jobs on a Ray cluster: `most`, or by default one per GPU, or per CPU without GPUs.

    Raises ClusterError if there is no cluster at the address.
    """
    if address != "auto":
        _check_reachable(address)
    import ray
    from ray._private import worker as driver

    _connect(address)
    driver._worker_logs_enabled = False  # Ray prints to standard output when an actor dies
    try:
        if address == "auto":
            address = ray.get_runtime_context().gcs_address
        if ray.available_resources().get("CPU", 0) < 1:
            say_warning(f"the Ray cluster at {address} has no free CPU; waiting for one.")
        there = ray.cluster_resources()
        cpus, gpus = (int(there.get(kind, 0)) for kind in ("CPU", "GPU"))
        count = min(jobs, most or gpus or max(1, cpus))
        needs = {"num_cpus": 1, "num_gpus": min(1.0, gpus / count), "max_restarts": 0}
        kind = ray.remote(**needs)(_Actor)
        slots = [_RaySlot(kind, worker, address) for _ in range(count)]
        try:
            yield list[Slot](slots)
        except BaseException:
            wait([slot.future for slot in slots if slot.future is not None], _GRACE)
            raise
    finally:
        with kept_signal_handlers():
            ray.shutdown()


def _connect(address: str) -> None:
    """Connect this process to a cluster. Raises ClusterError if that fails.

    This happens in another thread, which is abandoned after a timeout: Ray would try for many minutes.
    """
    import ray

    done = Future[None]()

    def connect() -> None:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        except BaseException as problem:
            done.set_exception(problem)
        else:
            done.set_result(None)

    threading.Thread(target=connect, daemon=True).start()
    try:
        with kept_signal_handlers():
            done.result(_PATIENCE)
    except Exception as problem:
        reason = " ".join(str(problem).split()) or f"nothing of Ray answered in {_PATIENCE:.0f} s."
        raise ClusterError(f"there is no Ray cluster at {address}: {reason}") from problem


class _Actor:
    """The actor of a slot, which is sent to the cluster."""

    def __init__(self, worker: RemoteWorker) -> None:
        self.worker = worker

    def do(self, job: Task) -> Done:
        return self.worker(job)


class _RaySlot:
    """Runs jobs in an actor, and replaces an actor that died."""

    def __init__(self, kind: Any, worker: RemoteWorker, address: str) -> None:
        self.kind, self.worker, self.address = kind, worker, address
        self.actor: Any = None
        self.future: Future[Done] | None = None

    def submit(self, job: Task) -> "Future[Done]":
        """Give a job to the actor, which is created with the first job."""
        try:
            if self.actor is None:
                self.actor = self.kind.remote(self.worker)
            submitted: Future[Done] = self.actor.do.remote(job).future()
        except Exception as problem:  # the cluster was lost just now
            raise self._lost() from problem
        self.future = submitted
        return submitted

    def result(self, future: "Future[Done]") -> Done | None:
        """See `Slot`."""
        from ray.exceptions import RayActorError, RayTaskError

        try:
            return future.result()
        except RayTaskError as problem:
            cause = problem.cause
            raise (cause if isinstance(cause, OmegaError) else cannot_do("Ray", cause)) from problem
        except RayActorError as problem:
            if "creation task" in str(problem):
                raise cannot_do("Ray", problem) from problem
            try:
                _check_reachable(self.address)
            except ClusterError as unreachable:
                raise self._lost() from unreachable
            self.actor = None
            return None

    def end(self) -> None:
        """End the actor."""
        if self.actor is not None:
            import ray

            ray.kill(self.actor)
            self.actor = None

    def _lost(self) -> LostClusterError:
        return LostClusterError(f"the Ray cluster at {self.address} is gone")


def _check_reachable(address: str) -> None:
    """Raise ClusterError if nothing listens at an address. Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ClusterError(f"the address of a Ray cluster is HOST:PORT, or auto, not {address}.")
    try:
        socket.create_connection((host, int(port)), _TIMEOUT).close()
    except OSError as problem:
        raise ClusterError(f"there is no Ray cluster at {address}: {problem.strerror or problem}.") from problem
