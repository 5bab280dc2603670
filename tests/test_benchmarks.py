"""Benchmarks can be run: what they measure is for machines that do nothing else."""

import importlib
import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
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


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `measure`, which calls each function once and measures no time."""

    def call_once(*functions: Callable[[], Any], **_: Any) -> list[float]:
        for function in functions:
            function()
        return [1.0] * len(functions)

    module = importlib.import_module("measure")
    monkeypatch.setattr(module, "times", call_once)
    return module


def test_every_benchmark_is_found() -> None:
    found = runpy.run_path(str(FOLDER / "__main__.py"))
    assert "codecs" in found["NAMES"]
    for name in found["NAMES"]:
        module = importlib.import_module(found["MODULES"].get(name, name))
        assert Path(str(module.__file__)).parent == FOLDER
        assert callable(module.rows)


@pytest.mark.parametrize("name", ["omega", "training", "start"])
@pytest.mark.usefixtures("measure")
def test_a_benchmark_measures_what_is_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    if name == "start":
        monkeypatch.setattr(module, "exported", lambda _: "compact")  # exporting takes half a minute
    if name == "omega":
        monkeypatch.setattr(module, "SIZES", dict([*module.SIZES.items()][:1]))
    rows = list(module.rows())
    assert len({row.name for row in rows}) == len(rows) > 0


def test_growth_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growth = importlib.import_module("growth")

    def in_this_process(module: str, way: str, model: str, *paths: str) -> str:
        return json.dumps(growth.one(way, model, *map(Path, paths)))

    monkeypatch.setattr(growth, "in_a_process", in_this_process)
    values = growth.measured(growth.BUNDLED, tmp_path, 48, 32)
    assert sorted(values) == ["decode MiB", "decode s", "encode MiB", "encode s"]
    assert all(value > 0 for value in values.values())
    growth.draw({"megapixels": {0.1: values, 1: values}, "symbols S": {16: values}}, tmp_path / "growth.svg")
    assert (tmp_path / "growth.svg").stat().st_size > 0


def test_memory_is_measured_without_training_code() -> None:
    program = "import sys, growth, photo, other_codecs, omega; sys.exit('omega_train' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=FOLDER, check=True)


@pytest.fixture
def run(measure: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs the command with benchmarks of one row, whose ratio is given."""
    main = runpy.run_path(str(FOLDER / "__main__.py"))["main"]

    def run(*arguments: str, ratio: float = 1.0) -> int:
        for name in ("coding", "training"):
            module = ModuleType(name)
            vars(module)["rows"] = lambda: [measure.Row("this", "that", ratio, 1.0, 2.0)]
            monkeypatch.setitem(sys.modules, name, module)
        return main([*arguments], tmp_path / "baseline.json")

    return run


def test_a_row_is_compared_with_the_baseline(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("coding", "--save") == 0
    assert "no baseline" in capsys.readouterr().out
    assert run("coding", ratio=1.2) == 0
    assert "no baseline" not in capsys.readouterr().out
    assert run("coding", ratio=1.4) == 1
    assert "was 1.000" in capsys.readouterr().out
    assert run("training") == 0
    assert "no baseline" in capsys.readouterr().out
    assert run("training", ratio=2.1) == 1
    assert "above its limit" in capsys.readouterr().out


def test_a_baseline_is_of_one_machine(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "baseline.json"
    run("coding", "--save")
    run("training", "--save", ratio=1.5)
    stored = json.loads(path.read_text("utf-8"))
    assert {name: each["ratios"] for name, each in stored["benchmarks"].items()} == {
        "coding": {"this / that": 1.0},
        "training": {"this / that": 1.5},
    }
    for processor in ("another", None):
        path.write_text(json.dumps({**stored, "machine": {**stored["machine"], "processor": processor}}))
        with pytest.raises(SystemExit):
            run("coding", "--save")
        assert "another machine" in capsys.readouterr().err
        assert run("coding", "training") == 0
    assert run("coding", "training", "--save") == 0


def test_the_stored_baseline_is_read() -> None:
    baseline = importlib.import_module("baseline").Baseline.load(FOLDER / "baseline.json")
    names = runpy.run_path(str(FOLDER / "__main__.py"))["NAMES"]
    assert baseline.benchmarks.keys() <= set(names)
    assert all(ratio > 0 for name in names for ratio in baseline.ratios(name).values())


def test_an_unknown_benchmark_is_named(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("omga")
    assert "there is no benchmark omga" in capsys.readouterr().err
