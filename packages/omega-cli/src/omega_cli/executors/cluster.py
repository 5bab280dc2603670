"""Clusters of Dask and of Ray, as the options of a command name them."""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omega_cli.executors.remote import RemoteWorker
from omega_cli.executors.slots import Slot
from omega_cli.jobs import Worker
from omega_core.errors import MissingExtraError, OmegaError
from omega_core.places import Place

_PACKAGES = {"dask": "distributed", "ray": "ray"}
_VARIABLES = {"dask": "DASK_SCHEDULER_ADDRESS", "ray": "RAY_ADDRESS"}  # as these libraries call them


class Executor(StrEnum):
    """Who does the jobs of a command: processes of this machine, or a cluster."""

    local = "local"
    dask = "dask"
    ray = "ray"


@dataclass(frozen=True)
class Cluster:
    """A cluster that does jobs.

    kind: `Executor.dask` or `Executor.ray`. address: of its scheduler.
    most: the most jobs at a time; None for as many as it has room for.
    folder: that of relative paths, which all machines then have; None if there are none.
    """

    kind: Executor
    address: str
    most: int | None = None
    folder: Path | None = None

    def slots(self, worker: Worker[Any], jobs: int) -> AbstractContextManager[list[Slot]]:
        """A context with slots for up to `jobs` jobs. Raises ClusterError if the cluster cannot be reached."""
        remote = RemoteWorker(worker, self.folder)
        if self.kind is Executor.dask:
            from omega_cli.executors.dask import dask_slots

            return dask_slots(self.address, remote, jobs, self.most)
        from omega_cli.executors.ray import ray_slots

        return ray_slots(self.address, remote, jobs, self.most)


def cluster_of(
    executor: Executor,
    address: str | None,
    workers: int | None,
    places: Iterable[Place],
    *,
    streams: bool = False,
) -> Cluster | None:
    """The cluster that options ask for; None for processes of this machine.

    executor, address, workers: the options `--executor`, `--executor-address` and `--workers`. Without an address, it
        is that in the environment variable of the library.
    places: the inputs and outputs.
    streams: whether something is read or written that only the process of the command has.

    Raises OmegaError for options that contradict each other, and MissingExtraError if the library is not installed.
    """
    if executor is Executor.local:
        if address is not None:
            raise OmegaError("--executor-address needs --executor dask or ray.")
        return None
    if streams:
        raise OmegaError("standard input and output, and previews, need this process: leave out --executor.")
    if find_spec(_PACKAGES[executor]) is None:
        package = _PACKAGES[executor]
        raise MissingExtraError(
            f"--executor {executor} needs the package {package}: install omega-cli with its extra {executor}."
        )
    variable = _VARIABLES[executor]
    address = address or os.environ.get(variable)
    if not address:
        raise OmegaError(f"--executor {executor} needs --executor-address, or {variable} in the environment.")
    relative = any(isinstance(place, Path) and not place.is_absolute() for place in places)
    return Cluster(executor, address, workers, Path.cwd() if relative else None)
