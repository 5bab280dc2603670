"""The stored ratios of earlier runs, and the machine that they were measured on."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import torch

from omega_core.processes import available_cores


@dataclass(frozen=True)
class Machine:
    """A machine. processor: its name and its widest vectors; None if it was not recorded. cores: their number."""

    processor: str | None
    cores: int

    @classmethod
    def this(cls) -> Machine:
        """The machine that runs this process, with the cores that the process may use."""
        return cls(f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}", available_cores())

    def __str__(self) -> str:
        return f"{self.processor or 'unknown processor'}, {self.cores} cores"

    def is_same(self, other: Machine) -> bool:
        """Whether both are known to be alike."""
        return self.processor is not None and self == other


@dataclass(frozen=True)
class Ratios:
    """The ratios of one benchmark by the name of the row. torch: its version. date: year-month-day."""

    torch: str
    date: str
    ratios: dict[str, float]

    @classmethod
    def measured_now(cls, ratios: dict[str, float]) -> Ratios:
        """Ratios that this process measured."""
        return cls(torch.__version__, datetime.now(UTC).date().isoformat(), ratios)


@dataclass
class Baseline:
    """Stored ratios by the name of the benchmark, all of one machine. machine: None if nothing is stored."""

    machine: Machine | None = None
    benchmarks: dict[str, Ratios] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read a file that `save` wrote; an empty baseline if there is none."""
        if not path.exists():
            return cls()
        stored = json.loads(path.read_text("utf-8"))
        benchmarks = {name: Ratios(**ratios) for name, ratios in stored["benchmarks"].items()}
        return cls(Machine(**stored["machine"]), benchmarks)

    def save(self, path: Path) -> None:
        """Write it to a file."""
        path.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", "utf-8")

    def ratios(self, benchmark: str) -> dict[str, float]:
        """The stored ratios of a benchmark by the name of the row."""
        return self.benchmarks[benchmark].ratios if benchmark in self.benchmarks else {}

    def can_replace(self, names: Iterable[str], machine: Machine) -> bool:
        """Whether ratios of these benchmarks, measured on `machine`, would leave a baseline of one machine."""
        kept = self.benchmarks.keys() - set(names)
        return not kept or (self.machine is not None and self.machine.is_same(machine))


def _processor() -> str:
    """The name of the processor."""
    information = Path("/proc/cpuinfo")  # on Linux, `platform.processor` gives only the architecture
    if information.exists() and (named := re.search(r"^model name\s*:\s*(.+)$", information.read_text("utf-8"), re.M)):
        return named[1]
    return platform.processor() or platform.machine()
