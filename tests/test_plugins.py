"""Distributions of third parties, installed beside ours and found through the same entry points."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def lattice(beside: Callable[..., dict[str, str]]) -> dict[str, str]:
    return beside("omega-lattice")


@pytest.fixture(scope="module")
def troubled(beside: Callable[..., dict[str, str]]) -> dict[str, str]:
    return beside("omega-broken", "omega-rival")


def test_a_quantizer_of_a_third_party_is_listed_trains_compresses_and_decodes(
    omega: Any, recipe: Any, lattice: dict[str, str], tmp_path: Path
) -> None:
    listed = json.loads(omega("list", "quantizer", "--json", **lattice).stdout)
    assert {"kind": "quantizer", "name": "lattice", "from": "omega-lattice"}.items() <= next(
        row for row in listed if row["name"] == "lattice"
    ).items()

    run = tmp_path / "run"
    trained = omega("train", recipe(), "--quantizer", "lattice", "--steps", 8, "--output", run, **lattice)
    assert trained.returncode == 0, trained.stderr

    Image.linear_gradient("L").resize((28, 28)).save(tmp_path / "a.png")
    model = run / "model.safetensors"
    compressed = omega("compress", tmp_path / "a.png", "--output", tmp_path, "--model", model, **lattice)
    assert compressed.returncode == 0, compressed.stderr
    decoded = omega("decompress", tmp_path / "a.omega", "--output", tmp_path / "out", "--model", model, **lattice)
    assert decoded.returncode == 0, decoded.stderr
    with Image.open(tmp_path / "out" / "a.png") as picture:
        assert picture.size == (28, 28)

    assert "omega-lattice/lattice" in omega("info", model, **lattice).stdout
    without = omega("decompress", tmp_path / "a.omega", "--output", tmp_path / "out", "--model", model)
    assert without.returncode == 2
    assert "omega-lattice/lattice" in without.stderr


def test_a_broken_plugin_is_reported_and_breaks_nothing(omega: Any, troubled: dict[str, str]) -> None:
    assert omega("--help", **troubled).returncode == 0
    rows = {row["plugin"]: row for row in json.loads(omega("plugins", "--json", **troubled).stdout)}
    assert "a_module_that_nobody_has" in rows["omega-broken"]["status"]
    assert rows["omega-quant"]["status"] == "ok"


def test_a_name_that_might_be_a_broken_plugins_says_so(
    omega: Any, recipe: Any, troubled: dict[str, str], tmp_path: Path
) -> None:
    failed = omega("train", recipe(), "--quantizer", "mystery", "--output", tmp_path / "run", **troubled)
    assert failed.returncode == 2
    assert "omega-broken" in failed.stderr
    assert "a_module_that_nobody_has" in failed.stderr
    assert not (tmp_path / "run").exists()


def test_of_two_plugins_with_one_name_neither_wins(
    omega: Any, recipe: Any, troubled: dict[str, str], tmp_path: Path
) -> None:
    both = omega("train", recipe(), "--output", tmp_path / "run", **troubled)
    assert both.returncode == 2
    assert "omega-quant/omega" in both.stderr
    assert "omega-rival/omega" in both.stderr
    chosen = recipe(quantizer="omega-quant/omega", steps=1)
    one = omega("train", chosen, "--output", tmp_path / "run", **troubled)
    assert one.returncode == 0, one.stderr


def test_omega_plugins_limits_what_is_loaded(omega: Any, recipe: Any, troubled: dict[str, str], tmp_path: Path) -> None:
    ours = omega("train", recipe(), "--steps", 1, "--output", tmp_path / "run", **troubled, OMEGA_PLUGINS="")
    assert ours.returncode == 0, ours.stderr
    only = json.loads(omega("list", "--json", **troubled, OMEGA_PLUGINS="omega-rival").stdout)
    assert {row["from"] for row in only} == {"omega-rival"}
