"""All benchmarks, as one table of ratios: `nox -s bench`, or `nox -s bench -- omega coding` for some.

Times cannot be compared between machines, so every row is a ratio to a reference that is measured in the same run. A
row fails if its ratio is above its limit, or above TOLERANCE times the ratio of the stored baseline. `--save` stores a
new baseline.
"""

import argparse
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from baseline import Baseline, Machine, Ratios
from measure import Row

NAMES = ("omega", "training", "photo", "coding", "start", "codecs")
MODULES = {"codecs": "other_codecs"}
"""Benchmarks whose module has another name, because Python has a module `codecs`."""
BASELINE = Path(__file__).with_name("baseline.json")
TOLERANCE = 1.3


def failure(row: Row, before: Mapping[str, float]) -> str:
    """The reason why a row fails, or ""."""
    if row.limit is not None and row.ratio > row.limit:
        return "above its limit"
    if row.name in before and row.ratio > before[row.name] * TOLERANCE:
        return f"was {before[row.name]:.3f}"
    return ""


def line(row: Row, before: Mapping[str, float]) -> str:
    """The line of a row in the table."""
    limit = "" if row.limit is None else f"{row.limit:.3f}"
    known = f"{before[row.name]:.3f}" if row.name in before else ""
    remark = failure(row, before) or ("" if known else "no baseline")
    return f"  {row.what:56}{row.measured:>12}{row.over:>22}{row.ratio:>8.3f}{limit:>7}{known:>8}  {remark}"


def main(arguments: list[str], path: Path = BASELINE) -> int:
    """Measure, and compare with the baseline in a file. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="benchmarks", description="Measure, and compare with the stored baseline.")
    parser.add_argument("names", nargs="*", help=f"some of {', '.join(NAMES)}. Default: all")
    parser.add_argument("--save", action="store_true", help="store the ratios as the new baseline of these benchmarks")
    asked = parser.parse_args(arguments)
    names = asked.names or list(NAMES)
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"there is no benchmark {', '.join(unknown)}, only {', '.join(NAMES)}")
    before, machine = Baseline.load(path), Machine.this()
    if asked.save and not before.can_replace(names, machine):
        parser.error(
            f"the baseline was measured on another machine ({before.machine}; this one: {machine}), and one baseline"
            " has the ratios of one machine: save all benchmarks, without names"
        )
    print(f"this machine: {machine}\nbaseline:     {before.machine or 'none'}\n")
    print(f"{'':58}{'':>12}{'over':>22}{'ratio':>8}{'limit':>7}{'before':>8}")
    failed, found = False, dict[str, Ratios]()
    for name in names:
        stored, ratios = before.ratios(name), dict[str, float]()
        known = before.benchmarks.get(name)
        print(f"{name}, baseline: {f'torch {known.torch}, {known.date}' if known else 'none'}", flush=True)
        for row in importlib.import_module(MODULES.get(name, name)).rows():
            print(line(row, stored), flush=True)
            failed |= failure(row, stored) != ""
            ratios[row.name] = round(row.ratio, 4)
        found[name] = Ratios.measured_now(ratios)
    if asked.save:
        kept = {name: ratios for name, ratios in before.benchmarks.items() if name in NAMES}
        Baseline(machine, {**kept, **found}).save(path)
    return int(failed and not asked.save)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
