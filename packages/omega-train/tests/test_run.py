"""Runs that are stopped and resumed, and runs that cannot be."""

import csv
import errno
import math
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import active_children
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from PIL import Image

import omega_core
from omega_core.codec.model_file import read_model
from omega_core.errors import ComponentError, OmegaError, OutputError, RecipeError, TrainingError
from omega_core.processes import kept_signal_handlers
from omega_train import model_writing, train
from omega_train.callbacks import checkpoints, validation
from omega_train.callbacks.checkpoints import Checkpoints
from omega_train.callbacks.progress import Progress
from omega_train.callbacks.signals import Interrupted
from omega_train.checkpoint_reading import weights_of
from omega_train.data import loader
from omega_train.data.arrays import ArrayImages
from omega_train.data.batches import Batch, BatchedImages
from omega_train.data.reader_processes import reader, start_reading, stop_reading
from omega_train.model_writing import export
from omega_train.recipe import Recipe
from omega_train.task import CodecTask
from omega_train.validation import Validation

CPU = {"accelerator": "cpu", "devices": "1"}
Make = Callable[..., Recipe]


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, number: signal.Signals) -> None:
    """Send this process a signal in the middle of a step."""
    original = CodecTask.training_step

    def training_step(self: CodecTask, batch: Batch, index: int) -> torch.Tensor:
        if batch.step == step:
            os.kill(os.getpid(), number)
        return original(self, batch, index)

    monkeypatch.setattr(CodecTask, "training_step", training_step)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(folder / "last.ckpt", weights_only=True)["state_dict"]
    return state


def rows(folder: Path) -> list[dict[str, str]]:
    """What was recorded, but for speed."""
    with (folder / "metrics.csv").open() as file:
        return [{**row, "images_per_second": ""} for row in csv.DictReader(file)]


@pytest.mark.parametrize("quantizer", ["omega", "integer"])
@pytest.mark.parametrize(
    ("step", "number"),
    [(2, signal.SIGTERM), (4, signal.SIGINT), (6, signal.SIGTERM)],
    ids=["in the middle of the first epoch", "at the end of an epoch", "in the middle of the second"],
)
def test_a_run_that_was_stopped_goes_on_exactly(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantizer: str, step: int, number: signal.Signals
) -> None:
    parts = {} if quantizer == "omega" else {"quantizer": "integer", "prior": "factorized", "latent_channels": 3}
    recipe = tiny(**parts)
    train(recipe, tmp_path / "whole", **CPU)

    with monkeypatch.context() as patch:
        stop_at(patch, step, number)
        with pytest.raises(Interrupted, match=f"{number.name} at step {step + 1} of 12") as caught:
            train(recipe, tmp_path / "parts", **CPU)
    assert caught.value.status == 128 + number
    train(recipe, tmp_path / "parts", resume=True, **CPU)

    whole, parted = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parted[name]) for name in whole)
    assert rows(tmp_path / "whole") == rows(tmp_path / "parts")
    models = [omega_core.load_model(tmp_path / name / "model.safetensors") for name in ("whole", "parts")]
    assert models[0].fingerprint == models[1].fingerprint


def test_a_signal_at_the_first_line_of_the_log_stops_a_run_with_a_checkpoint(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say = Progress.say

    def signalled(self: Progress, line: str) -> None:
        say(self, line)
        if line.startswith("step 0 of"):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "say", signalled)
    with pytest.raises(Interrupted, match="SIGINT at step 1 of 12"):
        train(tiny(), tmp_path / "run", **CPU)
    assert (tmp_path / "run" / "last.ckpt").exists()


def test_signals_are_given_back_after_a_run(tiny: Make, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    train(tiny(steps=1), tmp_path / "run", **CPU)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_finished_run_can_be_made_longer(tiny: Make, tmp_path: Path) -> None:
    train(tiny(steps=7), tmp_path / "long", **CPU)
    train(tiny(steps=7), tmp_path / "long", resume=True, **CPU)
    train(tiny(steps=12), tmp_path / "long", resume=True, **CPU)
    train(tiny(steps=12), tmp_path / "once", **CPU)
    once, longer = weights(tmp_path / "once"), weights(tmp_path / "long")
    assert all(torch.equal(once[name], longer[name]) for name in once)


@pytest.mark.parametrize("steps", [6, 24], ids=["shorter", "longer"])
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_learning_rates_follow_the_new_length_from_where_a_run_is_resumed(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, optimizer: str
) -> None:
    settings = {"schedule": "cosine", "learning_rate": 1e-3, "optimizer": optimizer, "validate_every": 4}
    with monkeypatch.context() as stopping:
        stop_at(stopping, 3, signal.SIGTERM)
        with pytest.raises(Interrupted):
            train(tiny(steps=12, **settings), tmp_path, **CPU)
    rates = {}

    def on_before_optimizer_step(task: CodecTask, optimizer: torch.optim.Optimizer) -> None:
        rates[task.global_step] = optimizer.param_groups[0]["lr"]

    monkeypatch.setattr(CodecTask, "on_before_optimizer_step", on_before_optimizer_step)
    train(tiny(steps=steps, **settings), tmp_path, resume=True, **CPU)
    cosine = {step: 1e-3 * (0.5 + 0.5 * math.cos(math.pi * step / steps)) for step in range(4, steps)}
    assert rates == pytest.approx(cosine)


def test_a_run_that_is_resumed_with_fewer_steps_than_it_took_is_finished(tiny: Make, tmp_path: Path) -> None:
    settings = {"channels": 6, "alphabet": 16, "sort_channels": True, "lambda_min": 0.5, "lambda_max": 0.5001}
    with pytest.MonkeyPatch.context() as stopping:
        stop_at(stopping, 9, signal.SIGTERM)
        with pytest.raises(Interrupted):
            train(tiny(**settings), tmp_path, **CPU)
    model = train(tiny(steps=8, **settings), tmp_path, resume=True, **CPU)
    assert "channels dropped" in (tmp_path / "train.log").read_text()
    assert omega_core.load_model(model).channels < 6
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 10


def test_a_run_that_becomes_so_short_that_it_is_in_its_decoder_phase_goes_on_from_the_average(
    tiny: Make, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as stopping:
        stop_at(stopping, 7, signal.SIGTERM)
        with pytest.raises(Interrupted):
            train(tiny(steps=20, ema=0.9, decoder_share=0.5), tmp_path, **CPU)
    before = weights_of(torch.load(tmp_path / "last.ckpt", weights_only=True))
    train(tiny(steps=10, ema=0.9, decoder_share=0.5), tmp_path, resume=True, **CPU)
    for name, weight in weights(tmp_path).items():
        if name.startswith("codec.architecture.encoder"):
            assert torch.equal(weight, before[name]), name


def saves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The steps after which checkpoints are written from here on."""
    steps = []
    original = Checkpoints.save

    def save(self: Checkpoints, trainer: Trainer) -> None:
        steps.append(trainer.global_step)
        original(self, trainer)

    monkeypatch.setattr(Checkpoints, "save", save)
    return steps


def test_a_run_is_saved_between_validations_when_minutes_have_passed(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10**6, 30))  # seconds
    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    steps = saves(monkeypatch)
    train(tiny(validate_every=6, trainer_options={"save_minutes": 1}), tmp_path / "often", **CPU)
    assert {6, 12} < set(steps)
    assert 2 < len(steps) < 12
    assert len(set(steps)) == len(steps)


def test_what_was_saved_between_validations_is_gone_on_with_exactly(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a machine was lost, which sends no signal."""
    recipe = tiny(validate_every=6, ema=0.9)
    train(recipe, tmp_path / "whole", **CPU)
    original = CodecTask.training_step

    def training_step(self: CodecTask, batch: Batch, index: int) -> torch.Tensor:
        if batch.step == 9:
            raise MemoryError
        return original(self, batch, index)

    with monkeypatch.context() as lost:
        steps = saves(lost)
        lost.setattr(CodecTask, "training_step", training_step)
        with pytest.raises(MemoryError):
            train(recipe, tmp_path / "parts", **CPU, save_minutes=1e-9)
    assert steps == list(range(1, 10))
    train(recipe, tmp_path / "parts", resume=True, **CPU)
    whole, parted = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parted[name]) for name in whole)


def test_a_run_is_saved_with_validations_alone_where_they_come_often(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = saves(monkeypatch)
    train(tiny(validate_every=6), tmp_path, **CPU)
    assert steps == [6, 12]


def test_no_time_between_saves_is_refused(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="save-minutes has to be above 0"):
        train(tiny(), tmp_path / "run", **CPU, save_minutes=0.0)


@pytest.mark.parametrize("settings", [{}, {"schedule": "cosine"}, {"rate_warmup": 0.5}])
@pytest.mark.parametrize(("steps", "said"), [(2, False), (4, True)])
def test_a_run_says_so_if_its_length_changes(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], steps: int, said: bool
) -> None:
    with monkeypatch.context() as stopping:
        stop_at(stopping, 0, signal.SIGTERM)
        with pytest.raises(Interrupted):
            train(tiny(steps=2, **settings), tmp_path, **CPU)
    train(tiny(steps=steps, **settings), tmp_path, resume=True, **CPU)
    assert ("another length now" in (tmp_path / "train.log").read_text()) == said


def test_a_folder_with_a_run_is_not_overwritten(tiny: Make, tmp_path: Path) -> None:
    train(tiny(steps=1), tmp_path, **CPU)
    with pytest.raises(TrainingError, match="already holds a run"):
        train(tiny(steps=1), tmp_path, **CPU)


def test_a_run_is_not_resumed_with_another_recipe(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no run to resume"):
        train(tiny(), tmp_path, resume=True, **CPU)
    train(tiny(steps=1), tmp_path, **CPU)
    with pytest.raises(TrainingError, match=r"batch-size \(16 before, 8 now\)"):
        train(tiny(batch_size=8), tmp_path, resume=True, **CPU)


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders of as many pictures, the second of darker ones."""
    for name, brightest in (("bright", 200), ("dark", 100)):
        (tmp_path / name).mkdir()
        for number in range(12):
            pixels = np.random.default_rng(number).integers(0, brightest - 5 * number, (40, 50, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.bmp")
    return tmp_path / "bright", tmp_path / "dark"


def on_photos(tiny: Make, **settings: Any) -> Recipe:
    options = {"crop": 28, "colors": 1, **settings.pop("options", {})}
    return tiny(dataset="folder", dataset_options=options, batch_size=4, **settings)


def test_a_run_is_not_resumed_with_other_pictures_but_with_the_same_in_another_place(
    tiny: Make, tmp_path: Path, photos: tuple[Path, Path]
) -> None:
    bright, dark = photos
    train(on_photos(tiny, steps=1), tmp_path / "run", data=bright, **CPU)
    with pytest.raises(TrainingError, match="11 of 11 training pictures differ"):
        train(on_photos(tiny, steps=2), tmp_path / "run", data=dark, resume=True, **CPU)
    moved = bright.rename(tmp_path / "moved")
    train(on_photos(tiny, steps=2), tmp_path / "run", data=moved, resume=True, **CPU)


def test_how_pictures_are_read_may_change_when_a_run_is_resumed(
    tiny: Make, tmp_path: Path, photos: tuple[Path, Path]
) -> None:
    bright, _ = photos
    train(on_photos(tiny, steps=1), tmp_path / "run", data=bright, **CPU)
    otherwise = on_photos(tiny, steps=2, options={"skip_unreadable": True, "memory": 0.5})
    train(otherwise, tmp_path / "run", data=bright, resume=True, **CPU)
    larger = on_photos(tiny, steps=3, options={"crop": 32})
    with pytest.raises(TrainingError, match="dataset-options"):
        train(larger, tmp_path / "run", data=bright, resume=True, **CPU)


def test_pictures_to_validate_with_that_cannot_be_read_end_a_run_before_its_first_step(
    tiny: Make, tmp_path: Path, photos: tuple[Path, Path]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    photos[0].rename(data / "train")
    (data / "validation").mkdir()
    Image.fromarray(np.zeros((40, 50), np.float32)).save(data / "validation" / "a.tif")
    with pytest.raises(OmegaError):
        train(on_photos(tiny, steps=2, validate_every=2), tmp_path / "run", data=data, **CPU)
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_a_row_of_someone_else_in_the_metrics_is_dropped(tiny: Make, tmp_path: Path) -> None:
    train(tiny(steps=2), tmp_path, **CPU)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("oops\n")
    train(tiny(steps=3), tmp_path, resume=True, **CPU)
    assert "oops" not in (tmp_path / "metrics.csv").read_text()


@pytest.mark.parametrize("change", ["other content", "other content of the same size", "missing", "new", "exchanged"])
def test_a_run_is_not_resumed_after_a_change_of_one_picture(
    tiny: Make, tmp_path: Path, photos: tuple[Path, Path], change: str
) -> None:
    folder, other = photos
    train(on_photos(tiny, steps=1), tmp_path / "run", data=folder, **CPU)
    first, second = folder / "0.bmp", folder / "1.bmp"
    before = first.read_bytes()
    if change == "other content":
        Image.new("RGB", (60, 60)).save(first)
    elif change == "other content of the same size":
        first.write_bytes((other / "0.bmp").read_bytes())
    elif change == "missing":
        first.unlink()
    elif change == "new":
        (folder / "12.bmp").write_bytes((other / "0.bmp").read_bytes())
    else:
        first.write_bytes(second.read_bytes())
        second.write_bytes(before)
    with pytest.raises(TrainingError, match="this run had other pictures"):
        train(on_photos(tiny, steps=2), tmp_path / "run", data=folder, resume=True, **CPU)


def test_a_run_that_was_moved_goes_on_with_copies_of_its_pictures(
    tiny: Make, tmp_path: Path, photos: tuple[Path, Path]
) -> None:
    bright, _ = photos
    train(on_photos(tiny, steps=4), tmp_path / "whole", data=bright, **CPU)
    train(on_photos(tiny, steps=2), tmp_path / "run", data=bright, **CPU)
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    copied = shutil.copytree(bright, tmp_path / "elsewhere" / "pictures", copy_function=shutil.copyfile)
    train(on_photos(tiny, steps=4), moved, data=copied, resume=True, **CPU)
    whole, parts = weights(tmp_path / "whole"), weights(moved)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_run_goes_on_with_other_pictures_if_asked_and_compares_no_losses_of_different_ones(
    tiny: Make, tmp_path: Path, photos: tuple[Path, Path]
) -> None:
    bright, dark = photos
    train(on_photos(tiny, steps=1), tmp_path, data=bright, **CPU)
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)
    best = next(each for each in state["callbacks"].values() if "loss" in each)
    best["loss"] = -1.0  # better than any other
    torch.save(state, tmp_path / "last.ckpt")
    train(on_photos(tiny, steps=2), tmp_path, data=dark, resume=True, changed_data=True, **CPU)
    log = (tmp_path / "train.log").read_text()
    assert "continues with other pictures than before: 11 of 11 training pictures differ" in log
    assert log.count("(best)") == 2
    train(on_photos(tiny, steps=3), tmp_path, data=dark, resume=True, **CPU)


def test_a_run_that_ends_between_checkpoint_and_model_is_finished_as_any_other(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tiny(), tmp_path / "whole", **CPU)

    def killed(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(validation, "export", killed)
        with pytest.raises(MemoryError):
            train(tiny(), tmp_path / "run", **CPU)
    with (tmp_path / "run" / "metrics.csv").open("a") as file:
        file.write("1")  # the beginning of a row
    model = train(tiny(), tmp_path / "run", resume=True, **CPU)
    assert read_model(model).fingerprint == read_model(whole).fingerprint
    assert rows(tmp_path / "run") == rows(tmp_path / "whole")


def test_metrics_that_cannot_be_written_are_one_clear_error(tiny: Make, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").mkdir(parents=True)
    (tmp_path / ".lock").touch()
    with pytest.raises(OutputError, match=r"cannot write .*metrics\.csv"):
        train(tiny(steps=1), tmp_path, **CPU)


def test_a_run_is_not_resumed_with_other_shares_of_its_folders(
    tiny: Make, tmp_path: Path, photos: tuple[Path, Path]
) -> None:
    bright, dark = photos
    train(on_photos(tiny, steps=1), tmp_path / "run", data={bright: 1.0, dark: 0.5}, **CPU)
    for other in ({bright: 0.5, dark: 1.0}, {dark: 0.5, bright: 1.0}):
        with pytest.raises(TrainingError, match="this run had other pictures"):
            train(on_photos(tiny, steps=2), tmp_path / "run", data=other, resume=True, **CPU)
    train(on_photos(tiny, steps=2), tmp_path / "run", data=[(bright, 2.0), dark], resume=True, **CPU)


@pytest.mark.parametrize("memory", [0.0, 1.0])
def test_a_run_is_the_same_whether_crops_are_cut_on_the_device_or_read(
    tiny: Make, tmp_path: Path, photos: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, memory: float
) -> None:
    options = {"scale_share": 0.0, "turns": True}
    monkeypatch.setattr(loader, "_has_room", lambda *_: True)
    train(on_photos(tiny, options=options, steps=7), tmp_path / "device", data=photos, **CPU)
    monkeypatch.setattr(loader, "_has_room", lambda *_: False)
    train(on_photos(tiny, options={**options, "memory": memory}, steps=3), tmp_path / "read", data=photos, **CPU)
    train(
        on_photos(tiny, options={**options, "memory": memory}, steps=7),
        tmp_path / "read",
        data=photos,
        resume=True,
        **CPU,
    )
    device, read = weights(tmp_path / "device"), weights(tmp_path / "read")
    assert all(torch.equal(device[name], read[name]) for name in device)


@pytest.mark.parametrize(
    ("settings", "machine", "error", "complaint"),
    [
        ({"batch_size": 100}, {}, RecipeError, "more than the 80"),
        ({}, {"precision": "7"}, TrainingError, "Precision '7' is invalid"),
        ({}, {"accelerator": "abacus"}, TrainingError, "abacus"),
    ],
)
def test_what_cannot_be_trained_leaves_nothing_behind(
    tiny: Make,
    tmp_path: Path,
    settings: dict[str, int],
    machine: dict[str, str],
    error: type[Exception],
    complaint: str,
) -> None:
    with pytest.raises(error, match=complaint):
        train(tiny(**settings), tmp_path / "run", **{**CPU, **machine})
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_a_number_stops_the_run(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tiny(steps=5), tmp_path, **CPU)
    good = (tmp_path / "last.ckpt").read_bytes()
    monkeypatch.setattr(CodecTask, "configure_optimizers", lambda task: torch.optim.SGD(task.parameters(), lr=1e30))
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) at step \d, samples"):
        train(tiny(), tmp_path / "other", **CPU)
    assert (tmp_path / "last.ckpt").read_bytes() == good


def test_weights_that_are_no_numbers_are_not_saved(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "validate", lambda *_: Validation(float("nan"), [], 0.0, 0.0))
    with pytest.raises(TrainingError, match=r"the loss is nan at the validation after step 5, samples \[\d+, "):
        train(tiny(), tmp_path, **CPU)
    assert not (tmp_path / "last.ckpt").exists()


def test_a_full_disk_is_one_clear_error(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match=r"cannot write .*last\.ckpt"):
        train(tiny(steps=1), tmp_path, **CPU)
    assert not list(tmp_path.glob(".*.part"))
    assert not (tmp_path / "last.ckpt").exists()


def test_the_best_model_is_kept_not_the_last(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(validation, "validate", lambda *_: Validation(next(losses), [], 0.0, 0.0))
    exported = []
    original = validation.export

    def export(task: CodecTask, path: Path) -> str:
        exported.append(task.trainer.global_step)
        return original(task, path)

    monkeypatch.setattr(validation, "export", export)
    train(tiny(validate_every=4), tmp_path, **CPU)
    assert exported == [4, 8]
    assert read_model(tmp_path / "model.safetensors").description.channels == 3


@pytest.mark.parametrize(
    ("settings", "dropped"),
    [({"channels": 6, "lambda_min": 0.5, "lambda_max": 0.5001}, True), ({"channels": 1}, False)],
    ids=["channels dropped", "none dropped"],
)
def test_a_run_that_is_finished_twice_leaves_the_same_model_and_the_same_metrics(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], dropped: bool
) -> None:
    """Its checkpoint has the best weights, which were not the last."""
    losses = iter([1.0, 2.0, 3.0])
    recipe = tiny(alphabet=16, validate_every=4, sort_channels=True, ema=0.9, **settings)
    with monkeypatch.context() as patch:
        patch.setattr(validation, "validate", lambda *_: Validation(next(losses), [], 0.0, 0.0))
        model = train(recipe, tmp_path, **CPU)
    once, before = read_model(model), rows(tmp_path)
    assert (once.description.channels < recipe.channels) == dropped
    assert [row["split"] for row in before].count("model") > 1
    model.unlink()
    assert read_model(train(recipe, tmp_path, resume=True, **CPU)).fingerprint == once.fingerprint
    assert rows(tmp_path) == before


@pytest.mark.parametrize("damage", [b"", b"hello", None], ids=["empty", "text", "cut short"])
def test_a_damaged_checkpoint_is_one_clear_error(tiny: Make, tmp_path: Path, damage: bytes | None) -> None:
    train(tiny(steps=1), tmp_path, **CPU)
    checkpoint = tmp_path / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:900] if damage is None else damage)
    with pytest.raises(TrainingError, match="damaged and cannot be resumed"):
        train(tiny(steps=2), tmp_path, resume=True, **CPU)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"coder": "rang"}, "Did you mean 'range'"),
        ({"alphabet": 5000}, "5000 symbols are more than the 4096"),
    ],
)
def test_what_would_fail_at_the_end_fails_at_the_start(
    tiny: Make, tmp_path: Path, settings: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ComponentError) as caught:
        train(tiny(**settings), tmp_path / "run", **CPU)
    assert complaint in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_symbols_without_probabilities_are_coded_raw_whatever_the_recipe_says(tiny: Make, tmp_path: Path) -> None:
    recipe = tiny(quantizer="identity", channels=4, channels_min=4, lambda_min=1.0, lambda_max=1.0, steps=1)
    assert read_model(train(recipe, tmp_path, **CPU)).description.coder == "omega-entropy/raw"


def test_a_second_signal_stops_at_once(tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)

    def twice(self: CodecTask, batch: Batch, index: int) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")

    monkeypatch.setattr(CodecTask, "training_step", twice)
    with pytest.raises(Interrupted, match="at once by SIGINT"):
        train(tiny(), tmp_path, **CPU)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_is_no_error_of_what_it_interrupts(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a model is finished: code that goes on after errors, as with the next picture, does not go on then."""
    original = model_writing.recount

    def recount(*arguments: Any) -> None:
        with suppress(Exception):
            signal.raise_signal(signal.SIGTERM)
        original(*arguments)

    monkeypatch.setattr(model_writing, "recount", recount)
    hook = sys.unraisablehook
    with pytest.raises(Interrupted, match="at once by SIGTERM") as caught:
        train(tiny(), tmp_path, **CPU)
    assert caught.value.status == 128 + signal.SIGTERM
    assert sys.unraisablehook is hook


@pytest.mark.parametrize("problem", ["signal", "memory"])
def test_processes_that_read_do_not_outlive_what_interrupts_their_start(
    monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    start = BaseProcess.start

    def started(process: BaseProcess) -> None:
        start(process)
        if problem == "signal":
            signal.raise_signal(signal.SIGTERM)
        else:
            raise OSError(errno.ENOMEM, "no memory")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BaseProcess, "start", started)
    images = BatchedImages(ArrayImages(np.zeros((8, 1, 4, 4), np.uint8)), 0)
    running: list[Any] = []
    with kept_signal_handlers():
        signal.signal(signal.SIGTERM, stop)
        with pytest.raises(KeyboardInterrupt if problem == "signal" else OSError):
            start_reading(reader(images, [[(0, 0)]] * 4, 2), running)
    assert len(running) == (problem == "signal")
    stop_reading(running)
    for child in active_children():
        child.join(20)
        assert not child.is_alive()


def test_a_model_can_be_read_by_others(tiny: Make, tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        assert train(tiny(steps=1), tmp_path, **CPU).stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(mask)


def subnormals_are_kept() -> bool:
    return bool((torch.full((4,), 2.0**-140) * 0.5).all())


def test_training_takes_numbers_that_processors_are_slow_with_for_zeros(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile = []
    original = CodecTask.training_step

    def training_step(self: CodecTask, batch: Batch, index: int) -> torch.Tensor:
        meanwhile.append(subnormals_are_kept())
        return original(self, batch, index)

    monkeypatch.setattr(CodecTask, "training_step", training_step)
    assert subnormals_are_kept()
    train(tiny(steps=2), tmp_path, **CPU)
    assert meanwhile == [False, False]
    assert subnormals_are_kept()


def test_models_have_no_weights_that_processors_are_slow_with(tiny: Make, tmp_path: Path) -> None:
    task = CodecTask(tiny())
    smallest = torch.finfo(torch.float32).tiny
    weight = next(task.architecture.parameters())
    with torch.no_grad():
        weight.view(-1)[:3] = torch.tensor([smallest / 2, -smallest / 2, smallest])
    export(task, tmp_path / "model.safetensors")
    name = next(name for name, _ in task.architecture.named_parameters())
    written = read_model(tmp_path / "model.safetensors").arrays[f"architecture.{name}"].ravel()
    assert written[:3].tolist() == [0, 0, smallest]
    assert (written[3:] == weight.detach().numpy().ravel()[3:]).all()


def test_a_run_needs_neither_standard_error_nor_room_for_its_log(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    (tmp_path / ".lock").touch()
    (tmp_path / "train.log").symlink_to("/dev/full")
    assert train(tiny(steps=1), tmp_path, **CPU).exists()
