"""Times as ratios of what is measured beside them, and memory of processes of their own."""

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
    """What was measured, over what, in seconds or MiB, and the ratio that it must not exceed if there is one."""

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
    def name(self) -> str:
        """What a baseline knows it by."""
        return f"{self.what} / {self.over}"


def times(*functions: Callable[[], Any], rounds: int = 7, least: float = 0.05) -> list[float]:
    """The median time of each of several functions, which take turns, in seconds a call.

    least: seconds that a turn lasts at least; a quick function is called several times.
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
    """The most that this process ever had in memory, in MiB, on Linux."""
    # not getrusage: its figure begins with what the process that started this one had
    status = Path("/proc/self/status").read_text("utf-8")
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024


def in_a_process(module: str, *arguments: str) -> str:
    """What a module of this folder prints, run by itself."""
    command = [sys.executable, str(ROOT / f"{module}.py"), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def commands(
    *several: list[str], rounds: int = 9, environments: Sequence[dict[str, str] | None] | None = None
) -> list[float]:
    """The median time of each of several commands, which take turns, in seconds."""

    def running(command: list[str], environment: dict[str, str] | None) -> Callable[[], Any]:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return lambda: subprocess.run(command, check=True, env=environment, **quiet)

    each = zip(several, environments or [None] * len(several), strict=True)
    return times(*(running(*one) for one in each), rounds=rounds, least=0)
