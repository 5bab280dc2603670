"""Plugins of third parties, installed beside our wheels: each trains or codes, is listed and is measured."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.plugins

QUANTIZERS = {"fsq": ["levels=5"], "residual-omega": ["first=2"], "omega": []}
CODERS = ("rans", "huffman", "range")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from omega_core import resolve

    folder = tmp_path_factory.mktemp("digits")
    images = resolve("dataset", "glyphs")(data=None, seed=0, training=1, validation=6).validation
    for index in range(len(images)):
        Image.fromarray(images.load(index, 0)[0]).save(folder / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def trained(omega: Any, recipe: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model of each quantizer."""
    models = {}
    for name, options in QUANTIZERS.items():
        run = tmp_path_factory.mktemp("runs") / name
        chosen = [part for option in options for part in ("--quantizer-option", option)]
        done = omega("train", recipe(), "--quantizer", name, *chosen, "--steps", 200, "--output", run)
        assert done.returncode == 0, done.stderr
        models[name] = run / "model.safetensors"
    return models


def test_they_are_listed_beside_ours(omega: Any) -> None:
    rows = json.loads(omega("list", "--json").stdout)
    assert {(row["kind"], row["name"], row["from"]) for row in rows} >= {
        ("quantizer", "fsq", "omega-fsq"),
        ("quantizer", "residual-omega", "omega-residual"),
        ("coder", "rans", "omega-rans"),
        ("coder", "huffman", "omega-huffman"),
        ("coder", "range", "omega-entropy"),
    }
    plugins = {row["plugin"]: row for row in json.loads(omega("plugins", "--json").stdout)}
    assert {plugins[name]["status"] for name in ("omega-fsq", "omega-residual", "omega-rans", "omega-huffman")} == {
        "ok"
    }
    assert plugins["omega-rans"]["made_for"] == "omega-core <0.2,>=0.1"


@pytest.mark.parametrize("name", QUANTIZERS)
def test_more_channels_are_better_and_cost_more(
    omega: Any, trained: Any, digits: Path, tmp_path: Path, name: str
) -> None:
    measured = omega("evaluate", "--model", trained[name], "--images", digits, "--output", tmp_path / name)
    assert measured.returncode == 0, measured.stderr
    with (tmp_path / name / "summary.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["setting"]]
    rates, qualities = ([float(row[column]) for row in rows] for column in ("bpp", "psnr"))
    assert len(rows) == 4
    assert rates == sorted(rates)
    assert qualities[-1] > qualities[0]


def test_coders_are_measured_beside_each_other(omega: Any, trained: Any, digits: Path, tmp_path: Path) -> None:
    coders = [part for coder in (*CODERS, "fixed") for part in ("--coder", coder)]
    wanted = ("--model", trained["omega"], "--images", digits, "--output", tmp_path, "--channels", 4)
    measured = omega("evaluate", *wanted, *coders)
    assert measured.returncode == 0, measured.stderr
    with (tmp_path / "summary.csv").open() as file:
        rows = {row["codec"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["omega-rans", "omega-huffman", "omega-range", "omega-fixed"]
    assert len({row["psnr"] for row in rows.values()}) == 1
    bits = {coder: float(rows[f"omega-{coder}"]["stream_bpp"]) for coder in (*CODERS, "fixed")}
    assert bits["range"] < bits["huffman"] < bits["fixed"]
    assert bits["range"] < bits["rans"] <= bits["range"] + 8 * 12 / 784
    wrong = omega("evaluate", *wanted, "--coder", "rasn")
    assert wrong.returncode == 2
    assert "there is no coder 'rasn'. Did you mean 'ra" in wrong.stderr


@pytest.mark.parametrize("coder", CODERS)
@pytest.mark.parametrize("name", QUANTIZERS)
def test_files_of_every_coder_decode_alike(
    omega: Any, trained: Any, digits: Path, tmp_path: Path, name: str, coder: str
) -> None:
    done = omega("compress", digits, "--output", tmp_path, "--model", trained[name], "--coder", coder)
    assert done.returncode == 0, done.stderr
    whole, short = tmp_path / "0.omega", tmp_path / "short.omega"
    size = whole.stat().st_size - 2
    assert omega("truncate", whole, "--output", short, "--max-bytes", size).returncode == 0
    from omega_core import load_model

    model = load_model(trained[name])
    for file, wanted in ((whole, model.compress(digits / "0.png")), (short, short.read_bytes())):
        decoded = omega("decompress", file, "--output", tmp_path / "out", "--model", trained[name])
        assert decoded.returncode == 0, decoded.stderr
        with Image.open(tmp_path / "out" / f"{file.stem}.png") as picture:
            assert np.array_equal(np.asarray(picture), np.asarray(model.decompress(wanted)))


def test_a_file_names_the_coder_that_it_needs(omega: Any, trained: Any, digits: Path, tmp_path: Path) -> None:
    model = ("--model", trained["omega"])
    done = omega("compress", digits / "0.png", "--output", tmp_path, *model, "--coder", "rans")
    assert done.returncode == 0, done.stderr
    without = omega("decompress", tmp_path / "0.omega", "--output", tmp_path, *model, OMEGA_PLUGINS="")
    assert without.returncode == 2
    assert "rans" in without.stderr
    assert "OMEGA_PLUGINS leaves out" in without.stderr
