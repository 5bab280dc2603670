"""Measures times, relative to a reference in the same run, and memory, in separate processes."""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent


@dataclass
class Row:
    """A measurement and its reference.

    what, over: their names. value, yardstick: their values in `unit`. limit: the greatest permitted ratio, if any.
    """

    what: str
    over: str
    value: float
    yardstick: float
    limit: float | None = None
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """The value over its yardstick."""
        return self.value / self.yardstick

    @property
    def measured(self) -> str:
        """The value with its unit."""
        return f"{self.value:.0f} MiB" if self.unit == "MiB" else f"{self.value:.3f} {self.unit}"

    @property
    def name(self) -> str:
        """The key in the baseline."""
        return f"{self.what} / {self.over}"


def times(*functions: Callable[[], Any], rounds: int = 7, least: float = 0.05) -> list[float]:
    """The median time of each of several functions, which take turns, in seconds per call.

    least: the shortest turn in seconds; a quick function is called several times in a turn.
    """
    calls = []
    for function in functions:
        function()
        start = time.perf_counter()
        function()
        calls.append(max(1, round(least / max(time.perf_counter() - start, 1e-9))))
    taken: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds):
        for function, count, mine in zip(functions, calls, taken, strict=True):
            start = time.perf_counter()
            for _ in range(count):
                function()
            mine.append((time.perf_counter() - start) / count)
    return [statistics.median(mine) for mine in taken]


def peak_memory() -> float:
    """The peak memory of this process in MiB; on Linux only."""
    # getrusage would include the memory of the parent process
    [peak] = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    return int(peak) / 1024


def in_a_process(module: str, *arguments: str) -> str:
    """The output of a module of this folder, run as a script."""
    command = [sys.executable, str(ROOT / f"{module}.py"), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def commands(*several: list[str], environments: Sequence[dict[str, str] | None] | None = None) -> list[float]:
    """The median time of each of several commands, which take turns, in seconds.

    Python caches byte code, as it does by default: otherwise every command would compile our code again.
    """

    def running(command: list[str], environment: dict[str, str] | None) -> Callable[[], Any]:
        own = {**(os.environ if environment is None else environment)}
        own.pop("PYTHONDONTWRITEBYTECODE", None)
        silent = subprocess.DEVNULL
        return lambda: subprocess.run(command, check=True, env=own, stdout=silent, stderr=silent)

    each = zip(several, environments or [None] * len(several), strict=True)
    return times(*(running(*one) for one in each), rounds=9, least=0)
