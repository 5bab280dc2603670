"""Benchmarks can be run: what they measure is for machines that do nothing else."""

import importlib
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def test_every_benchmark_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    found = runpy.run_path(str(FOLDER / "__main__.py"))
    assert "codecs" in found["NAMES"]
    for name in found["NAMES"]:
        module = importlib.import_module(found["MODULES"].get(name, name))
        assert Path(str(module.__file__)).parent == FOLDER
        assert callable(module.rows)
