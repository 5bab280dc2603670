"""The options of a command that select a Dask or Ray cluster."""

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
from omega_core.locations import Location

_PACKAGES = {"dask": "distributed", "ray": "ray"}
_VARIABLES = {"dask": "DASK_SCHEDULER_ADDRESS", "ray": "RAY_ADDRESS"}  # defined by these libraries


class Executor(StrEnum):
    """Where the jobs of a command run: in local processes, or on a cluster."""

    local = "local"
    dask = "dask"
    ray = "ray"


@dataclass(frozen=True)
class Cluster:
    """A cluster that does jobs.

    kind: `Executor.dask` or `Executor.ray`. address: the address of its scheduler or head.
    most: the maximum number of jobs at a time; None for the capacity of the cluster.
    folder: the folder of relative paths, which must exist on all machines; None if there are no relative paths.
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
    locations: Iterable[Location],
    *,
    streams: bool = False,
) -> Cluster | None:
    """The cluster that the options select; None for local processes.

    executor, address, workers: the options `--executor`, `--executor-address` and `--workers`. Without an address, the
        environment variable of the library has it.
    locations: the paths and URLs of inputs and outputs.
    streams: whether standard input, standard output or previews are used, which need the process of the command.

    Raises OmegaError for inconsistent options, and MissingExtraError if the library is not installed.
    """
    if executor is Executor.local:
        if address is not None:
            raise OmegaError("--executor-address needs --executor dask or ray.")
        return None
    if streams:
        raise OmegaError("standard input, standard output and previews do not work on a cluster: leave out --executor.")
    package, variable = _PACKAGES[executor], _VARIABLES[executor]
    if find_spec(package) is None:
        raise MissingExtraError(
            f"--executor {executor} needs the package {package}: install omega-cli with its extra {executor}."
        )
    address = address or os.environ.get(variable)
    if not address:
        raise OmegaError(f"--executor {executor} needs --executor-address, or {variable} in the environment.")
    relative = any(isinstance(location, Path) and not location.is_absolute() for location in locations)
    return Cluster(executor, address, workers, Path.cwd() if relative else None)
