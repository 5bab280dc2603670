"""Models of runs that go on."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import omega_core
from omega_core.codec.model_file import read_model
from omega_core.errors import DataError, OmegaError, OutputError, TrainingError
from omega_train import export_run, train
from omega_train.callbacks import validation
from omega_train.checkpoint_reading import weights_of
from omega_train.recipe import Recipe
from omega_train.validation import validate

CPU = {"accelerator": "cpu", "devices": "1"}
Make = Callable[..., Recipe]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "settings",
    [{}, {"ema": 0.9}, {"half_precision": True}, {"quantizer": "integer", "prior": "factorized", "latent_channels": 3}],
    ids=["weights", "average", "16 bits", "a learned prior"],
)
def test_the_model_of_a_finished_run_is_the_one_that_it_made(
    tiny: Make, tmp_path: Path, settings: dict[str, object]
) -> None:
    made = train(tiny(validate_every=12, **settings), tmp_path / "run", **CPU)
    before = contents(tmp_path / "run")
    again = export_run(tmp_path / "run", tmp_path / "model.safetensors")
    assert again == tmp_path / "model.safetensors"
    assert read_model(again).fingerprint == read_model(made).fingerprint
    assert contents(tmp_path / "run") == before


def test_channels_are_sorted_as_at_the_end(tiny: Make, tmp_path: Path) -> None:
    recipe = tiny(channels=6, alphabet=16, steps=20, sort_channels=True, lambda_min=0.5, lambda_max=0.5001)
    made = train(recipe, tmp_path / "run", **CPU)
    again = export_run(tmp_path / "run", tmp_path / "model.safetensors")
    assert omega_core.load_model(again).channels == omega_core.load_model(made).channels < 6


def test_a_run_gives_a_model_while_it_goes_on_and_is_not_disturbed(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(validate_every=6, ema=0.9)
    train(recipe, tmp_path / "alone", **CPU)
    made = []

    def validate_and_export(*arguments: object) -> object:
        if (tmp_path / "run" / "last.ckpt").exists():
            seed = torch.get_rng_state()
            made.append(export_run(tmp_path / "run", tmp_path / "model.safetensors"))
            torch.set_rng_state(seed)  # for it would be another process
        return validate(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(validation, "validate", validate_and_export)
    train(recipe, tmp_path / "run", **CPU)
    assert made
    picture = torch.zeros(28, 28, dtype=torch.uint8).numpy()
    model = omega_core.load_model(made[0])
    assert model.decompress(model.compress(picture)).size == (28, 28)
    alone, beside = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"] for name in ("alone", "run")
    )
    assert all(torch.equal(alone[name], beside[name]) for name in alone)
    weights = weights_of(torch.load(tmp_path / "run" / "last.ckpt", weights_only=True))
    first = torch.from_numpy(read_model(made[0]).arrays["quantizer.table"])
    assert not torch.equal(first, weights["codec.quantizer.table"])  # of the sixth step, not of the last


def test_a_file_is_replaced_only_if_asked(tiny: Make, tmp_path: Path) -> None:
    train(tiny(steps=1), tmp_path / "run", **CPU)
    output = tmp_path / "model.safetensors"
    output.write_text("mine")
    with pytest.raises(OutputError, match="already exists: name another --output, or replace"):
        export_run(tmp_path / "run", output)
    assert output.read_text() == "mine"
    export_run(tmp_path / "run", output, overwrite=True)
    assert read_model(output).description.channels == 3


@pytest.mark.parametrize(
    ("output", "options", "error", "complaint"),
    [
        ("run/model.safetensors", {"overwrite": True}, OutputError, "is in the run folder"),
        (".", {"overwrite": True}, OutputError, "already exists"),
        ("a.safetensors", {"device": "abacus"}, TrainingError, "on the device abacus"),
        ("a.safetensors", {"data": ["a", "b"]}, DataError, "the dataset glyphs takes one folder of data, not 2"),
        ("a.safetensors", {"data": "https://x"}, DataError, "the dataset glyphs takes folders, not URLs"),
    ],
)
def test_what_cannot_be_exported_is_said(
    tiny: Make, tmp_path: Path, output: str, options: dict[str, object], error: type[OmegaError], complaint: str
) -> None:
    train(tiny(steps=1), tmp_path / "run", **CPU)
    before = contents(tmp_path / "run")
    with pytest.raises(error, match=complaint):
        export_run(tmp_path / "run", tmp_path / output, **options)
    assert contents(tmp_path / "run") == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is not a run folder, or has no checkpoint yet"):
        export_run(tmp_path / "none", tmp_path / "model.safetensors")


def test_the_prior_is_counted_over_as_many_pictures_as_at_the_end(tiny: Make, tmp_path: Path) -> None:
    made = train(tiny(trainer_options={"counted": 5}), tmp_path / "run", **CPU)
    again = export_run(tmp_path / "run", tmp_path / "model.safetensors")
    assert read_model(again).fingerprint == read_model(made).fingerprint


def test_a_url_is_no_place_for_a_model_or_a_run(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OmegaError, match="is a URL"):
        train(tiny(steps=1), "s3://bucket/run", **CPU)
    with pytest.raises(OmegaError, match="is a URL"):
        export_run(tmp_path, "s3://bucket/model.safetensors")
    assert list(tmp_path.iterdir()) == []
