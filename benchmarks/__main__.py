"""All benchmarks, as one table of ratios: `nox -s bench`, or `nox -s bench -- omega coding` for some.

Times cannot be compared between machines, so every row is a ratio to a reference that is measured in the same run. A
row fails if its ratio is above its limit, or above TOLERANCE times the ratio of the stored baseline. `--save` stores a
new baseline.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

from measure import Row

NAMES = ("omega", "training", "photo", "coding", "start", "codecs")
MODULES = {"codecs": "other_codecs"}
"""Benchmarks whose module has another name, because Python has a module `codecs`."""
BASELINE = Path(__file__).with_name("baseline.json")
TOLERANCE = 1.3


def verdict(row: Row, before: dict[str, float]) -> str:
    """The reason why a row fails, or ""."""
    if row.limit is not None and row.ratio > row.limit:
        return "above its limit"
    if row.name in before and row.ratio > before[row.name] * TOLERANCE:
        return f"was {before[row.name]:.3f}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure, and compare with the stored baseline.")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="the benchmarks to run. Default: all")
    parser.add_argument("--save", action="store_true", help="store the ratios as the new baseline")
    asked = parser.parse_args()
    before = json.loads(BASELINE.read_text("utf-8")) if BASELINE.exists() else {}
    print(f"{'':58}{'':>12}{'over':>22}{'ratio':>8}{'limit':>7}{'before':>8}")
    failed = 0
    for name in asked.names or NAMES:
        for row in importlib.import_module(MODULES.get(name, name)).rows():
            wrong = verdict(row, before)
            failed += bool(wrong)
            value = f"{row.value:.3f} s" if row.unit == "s" else f"{row.value:.0f} {row.unit}"
            limit = "" if row.limit is None else f"{row.limit:.3f}"
            known = f"{before[row.name]:.3f}" if row.name in before else ""
            print(f"{row.what:58}{value:>12}{row.over:>22}{row.ratio:>8.3f}{limit:>7}{known:>8}  {wrong}", flush=True)
            if asked.save:
                before[row.name] = round(row.ratio, 4)
    if asked.save:
        BASELINE.write_text(json.dumps(before, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return min(failed, 1) and not asked.save


if __name__ == "__main__":
    sys.exit(main())
