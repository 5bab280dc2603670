"""Benchmarks can be run: what they measure is for machines that do nothing else."""

import importlib
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(autouse=True)
def modules_of_benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """They import each other by names that are no one else's for the time of a test."""
    monkeypatch.syspath_prepend(FOLDER)
    yield
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "").parent == FOLDER:
            del sys.modules[name]


def test_every_benchmark_is_found() -> None:
    found = runpy.run_path(str(FOLDER / "__main__.py"))
    assert "codecs" in found["NAMES"]
    for name in found["NAMES"]:
        module = importlib.import_module(found["MODULES"].get(name, name))
        assert Path(str(module.__file__)).parent == FOLDER
        assert callable(module.rows)


@pytest.mark.parametrize("name", ["omega", "training"])
def test_a_benchmark_measures_what_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def call_once(*functions: Callable[[], Any], **_: Any) -> list[float]:
        for function in functions:
            function()
        return [1.0] * len(functions)

    monkeypatch.setattr(importlib.import_module("measure"), "times", call_once)
    module = importlib.import_module(name)
    if name == "omega":
        monkeypatch.setattr(module, "SIZES", dict([*module.SIZES.items()][:1]))
    rows = list(module.rows())
    assert len({row.name for row in rows}) == len(rows) > 0
