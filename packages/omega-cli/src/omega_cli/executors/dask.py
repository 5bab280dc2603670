"""Dask clusters. The scheduler gives jobs to its workers, and repeats the jobs of a worker that dies on another one."""

import logging
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from typing import Any

from omega_cli.executors.remote import RemoteWorker
from omega_cli.executors.slots import ClusterError, LostClusterError, Slot, cannot_do
from omega_cli.jobs import Done, Task
from omega_cli.messages import say_warning
from omega_core.errors import OmegaError

_TIMEOUT = 10.0  # seconds to reach the scheduler
_EACH = 2  # jobs per worker: one runs, one waits
_LEAST = 16  # minimum number of slots, for workers that join later


@contextmanager
def dask_slots(address: str, worker: RemoteWorker, jobs: int, most: int | None) -> Iterator[list[Slot]]:
    """Yield slots for up to `jobs` jobs on a Dask cluster, at most `most`.

    Raises ClusterError if there is no scheduler at the address.
    """
    import asyncio

    from distributed import Client

    for name in ("distributed", "distributed.client", "distributed.core", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the ClusterError has all information
    try:
        asyncio.run(asyncio.wait_for(_reach(address), _TIMEOUT))
        client = Client(address, timeout=_TIMEOUT, set_as_default=False)
        workers = len(client.nthreads())
    except Exception as problem:
        reason = str(problem) or f"nothing answered in {_TIMEOUT:.0f} s"
        raise ClusterError(f"there is no Dask scheduler at {address}: {reason}.") from problem
    try:
        if not workers:
            say_warning(f"the Dask scheduler at {address} has no workers yet; waiting for one.")
        count = min(jobs, most or max(_EACH * workers, _LEAST))
        yield [_DaskSlot(client, worker, address) for _ in range(count)]
    finally:
        with suppress(Exception):  # the scheduler may be lost
            client.close(timeout=_TIMEOUT)  # cancels the remaining jobs


async def _reach(address: str) -> None:
    """Raise an exception if there is no scheduler at an address. A client would hang or print tracebacks."""
    from distributed.comm import connect
    from distributed.security import Security

    there = await connect(address, timeout=_TIMEOUT, **Security().get_connection_args("client"))
    await there.close()


class _DaskSlot:
    """Runs one job at a time. A repeated job may find the output of the worker that died, see `write_result`."""

    def __init__(self, client: Any, worker: RemoteWorker, address: str) -> None:
        self.client, self.worker, self.address = client, worker, address

    def submit(self, job: Task) -> "Future[Done]":
        """Give a job to the scheduler."""
        # not `client.get_executor`: its futures never end if the scheduler dies while it sends a result
        done = Future[Done]()
        try:
            submitted = self.client.submit(self.worker, job, pure=False)
        except Exception as problem:  # the scheduler was lost just now
            raise self._lost() from problem
        self.client.loop.add_callback(_pass_on, submitted, done)
        return done

    def result(self, future: "Future[Done]") -> Done | None:
        """See `Slot`. None if the scheduler gave up a job because several workers died."""
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except KilledWorker:
            return None
        except (CancelledError, OSError) as problem:
            raise self._lost() from problem
        except OmegaError:
            raise
        except Exception as problem:
            raise cannot_do("Dask", problem) from problem

    def end(self) -> None:
        """Do nothing, as the workers belong to the cluster."""

    def _lost(self) -> LostClusterError:
        return LostClusterError(f"the Dask scheduler at {self.address} is gone")


async def _pass_on(job: Any, done: "Future[Done]") -> None:
    """Pass the result or exception of a Dask job to a future, which any thread can wait for."""
    try:
        done.set_result(await job)
    except BaseException as problem:
        done.set_exception(problem)
