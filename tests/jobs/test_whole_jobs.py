"""Train, compress and decompress, each in a process of its own, as a user would."""

import csv
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import omega_core
from omega_core.format.file import OmegaFile
from omega_train.data.glyphs import glyphs

COUNT = 12


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number, pixels in enumerate(glyphs(COUNT, seed=5)):
        Image.fromarray(pixels[0]).save(folder / f"{number:02}.png")
    return folder


def trained(omega: Any, recipe: Path, folder: Path) -> Path:
    done = omega("train", recipe, "--output", folder)
    assert done.returncode == 0, done.stderr
    model = Path(done.stdout.strip())
    assert model == folder / "model.safetensors"
    return model


def through_files(omega: Any, model: Path, pictures: Path, folder: Path, *options: object) -> list[Path]:
    compressed = omega("compress", pictures, "--output", folder, "--model", model, *options)
    assert compressed.returncode == 0, compressed.stderr
    assert f"{COUNT} pictures" in compressed.stdout
    decoded = omega("decompress", folder, "--output", folder / "decoded", "--model", model)
    assert decoded.returncode == 0, decoded.stderr
    return sorted(folder.glob("*.omega"))


@pytest.mark.job
@pytest.mark.parametrize(
    ("settings", "channels"),
    [
        pytest.param({}, (1, 2, 4), id="omega"),
        pytest.param({"prior": "context"}, (1, 2, 4), id="context"),
        pytest.param({"quantizer": "integer", "prior": "factorized", "latent_channels": 4}, (1, 4), id="integer"),
        pytest.param({"channels": 4, "lambda_": 0.99}, (4,), id="variable"),
        pytest.param({"channels": 4, "lambda_": 1.0, "coder": "fixed"}, (4,), id="fixed"),
        pytest.param({"quantizer": "identity", "channels": 8, "lambda_": 1.0, "coder": "raw"}, (8,), id="identity"),
    ],
)
def test_what_is_decoded_from_a_file_is_what_the_models_own_symbols_make(
    omega: Any, recipe: Any, pictures: Path, tmp_path: Path, settings: dict[str, Any], channels: tuple[int, ...]
) -> None:
    path = trained(omega, recipe(**settings), tmp_path / "run")
    model = omega_core.load_model(path)
    for n in channels:
        folder = tmp_path / str(n)
        files = through_files(omega, path, pictures, folder, "--channels", n)
        assert len(files) == COUNT
        for file in files:
            picture = pictures / f"{file.stem}.png"
            decoded = np.asarray(Image.open(folder / "decoded" / picture.name))
            data = file.read_bytes()
            assert np.array_equal(decoded, np.asarray(model.decompress(data)))
            assert np.array_equal(model.decode(data)[0][:n], model.encode(picture).symbols[:n])
            if n == model.channels:
                assert np.array_equal(decoded, np.asarray(model.reconstruct(picture)))
            assert data == model.compress(picture, channels=n)


@pytest.mark.job
def test_a_fixed_rate_file_has_the_same_size_for_every_picture(
    omega: Any, recipe: Any, pictures: Path, tmp_path: Path
) -> None:
    path = trained(omega, recipe(channels=4, lambda_=1.0, coder="fixed"), tmp_path / "run")
    files = through_files(omega, path, pictures, tmp_path / "files")
    assert {len(OmegaFile.parse(file.read_bytes()).stream) for file in files} == {4 * 9 * 4 // 8}


@pytest.mark.job
def test_a_run_folder_holds_all_that_a_run_leaves(omega: Any, recipe: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    model = trained(omega, recipe(), folder)
    assert {file.name for file in folder.iterdir()} - {"tensorboard"} == {
        "model.safetensors",
        "last.ckpt",
        "metrics.csv",
        "recipe.toml",
        "train.log",
        ".lock",
    }
    assert (folder / "tensorboard").exists() == (find_spec("tensorboard") is not None)
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    scored = [row for row in rows if row["split"] == "validation" and row["channels"]]
    assert [int(row["channels"]) for row in scored][-4:] == [1, 2, 3, 4]
    assert [float(row["lambda"]) for row in scored][-4:] == pytest.approx([0.96225, 0.9745, 0.98675, 0.999])

    again = omega("train", folder / "recipe.toml", "--output", folder)
    assert again.returncode == 2
    assert "already holds a run" in again.stderr
    about = json.loads(omega("info", model, "--json").stdout)
    assert about["quantizer"] == {"name": "omega-quant/omega", "options": {}}
    assert about["recipe"]["steps"] == 30
