"""Clusters of Dask and of Ray on this machine, of two workers each."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil


class LocalCluster:
    """A cluster of processes of this machine, with two workers.

    kind: "dask" or "ray". folder: an existing one, for logs. path: of modules that the workers find.
    environment: more variables for its processes.
    """

    def __init__(self, kind: str, folder: Path, path: Path, **environment: str) -> None:
        self.kind, self.folder = kind, folder
        self._started: list[subprocess.Popen[bytes]] = []
        self._temporary: str | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}" if kind == "dask" else f"127.0.0.1:{port}"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(path), **environment}
        if kind == "dask":
            environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "0"
            program = "distributed.cli.dask_"
            self._start(environment, f"{program}scheduler", "--host", self.address, "--no-dashboard")
            workers = ("--nworkers", 2, "--nthreads", 1, "--no-dashboard", "--local-directory", folder)
            self._start(environment, f"{program}worker", self.address, *workers)
        else:
            here = ("--port", port, "--node-ip-address", "127.0.0.1", "--num-cpus", 2)
            quiet = ("--include-dashboard=false", "--disable-usage-stats")
            # short, for the paths of sockets, and never in a virtual environment, which Ray refuses
            self._temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
            own = ("--temp-dir", self._temporary)
            environment["RAY_worker_niceness"] = "0"  # of 15, they starve where other tests compute
            self._start(environment, "ray.scripts.scripts", "start", "--head", "--block", *here, *quiet, *own)
            _wait_for(port)  # whereas Dask waits for its scheduler

    def kill_worker(self) -> None:
        """Kill one of the processes that do jobs."""
        if self.kind == "dask":
            workers = [each for each in self._processes() if "spawn_main" in " ".join(each.cmdline())]
        else:
            workers = [each for each in self._processes() if each.cmdline()[0].startswith("ray::_Actor")]
        workers[-1].kill()

    def kill_scheduler(self) -> None:
        """Kill the process without which nobody can go on; of Ray, whose workers do go on for a while, all."""
        if self.kind == "dask":
            self._started[0].kill()
        else:
            self.end()

    def end(self) -> None:
        """Kill all processes."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        for started in self._started:
            started.wait()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _start(self, environment: dict[str, str], *module: object) -> None:
        words = [sys.executable, "-m", *map(str, module)]
        with (self.folder / f"{len(self._started)}.log").open("wb") as log:
            self._started.append(
                subprocess.Popen(words, env=environment, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)
            )

    def _processes(self) -> list[Any]:
        found = []
        for started in self._started:
            with suppress(psutil.NoSuchProcess):
                parent = psutil.Process(started.pid)
                found += [each for each in (*parent.children(recursive=True), parent) if each.is_running()]
        return found


def _wait_for(port: int) -> None:
    """Wait until a server listens at a port of this machine."""
    ends = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < ends
            time.sleep(0.05)
