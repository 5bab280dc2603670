"""One run at a time in a folder, and nothing in it that a run replaces without being asked."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from omega_core.codec.model_file import read_model
from omega_core.errors import OutputError, RecipeError, TrainingError
from omega_train import export_run, train
from omega_train.callbacks.signals import Interrupted
from omega_train.recipe import Recipe
from omega_train.run_folder import LOCK, claimed
from omega_train.task import CodecTask

CPU = {"accelerator": "cpu", "devices": "1"}
Make = Callable[..., Recipe]

HOLD = """
import sys, time
from pathlib import Path
from omega_train.run_folder import claimed

with claimed(Path(sys.argv[1]), resume=False):
    print("claimed", flush=True)
    time.sleep(60)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


class LockOfWindows(FileLock):
    """A lock whose file disappears when it is released, and cannot be deleted before."""

    def release(self, force: bool = False) -> None:
        held = self.is_locked
        super().release(force)
        if held:
            Path(self.lock_file).unlink()


def stopped_run(folder: Path, content: str | None) -> None:
    with claimed(folder, resume=False):
        if content is not None:
            (folder / content).touch()
        raise RecipeError("there is no such data")


@pytest.mark.parametrize("content", [None, "metrics.csv"])
def test_on_windows_an_error_is_reported_and_only_an_unused_folder_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    monkeypatch.setattr("omega_train.run_folder.FileLock", LockOfWindows)
    monkeypatch.setattr("sys.platform", "win32")
    folder = tmp_path / "above" / "run"
    with pytest.raises(RecipeError):
        stopped_run(folder, content)
    if content is None:
        assert not folder.parent.exists()
    else:
        with claimed(folder, resume=False):  # it is known as the folder of a run that stopped early
            assert (folder / content).exists()


def test_a_folder_in_which_a_run_goes_on_is_refused_until_that_process_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        with pytest.raises(TrainingError, match="another process trains"), claimed(folder, resume=False):
            pass
        process.kill()
        process.wait()
    with claimed(folder, resume=False):
        assert [path.name for path in folder.iterdir()] == [LOCK]


def test_a_second_run_is_refused_at_any_moment_of_the_first_which_goes_on(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny(seed=1), tmp_path / "alone", **CPU)
    original, refused = CodecTask.training_step, []

    def training_step(self: CodecTask, *arguments: object) -> object:
        for resume in (False, True)[: 1 + (tmp_path / "run" / "last.ckpt").exists()]:
            with pytest.raises(TrainingError) as caught:
                train(tiny(seed=2), tmp_path / "run", resume=resume, **CPU)
            refused.append(caught.value)
        return original(self, *arguments)

    monkeypatch.setattr(CodecTask, "training_step", training_step)
    train(tiny(seed=1), tmp_path / "run", **CPU)
    assert len(refused) > 12
    one, other = (read_model(tmp_path / name / "model.safetensors").fingerprint for name in ("alone", "run"))
    assert one == other


def test_a_run_that_is_resumed_writes_alone_and_a_model_of_it_can_be_exported(tiny: Make, tmp_path: Path) -> None:
    train(tiny(steps=5), tmp_path / "run", **CPU)
    with claimed(tmp_path / "run", resume=True):
        with pytest.raises(TrainingError, match="another process trains"):
            train(tiny(steps=6), tmp_path / "run", resume=True, **CPU)
        assert export_run(tmp_path / "run", tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["metrics.csv", "recipe.toml", "train.log", "model.safetensors", "last.ckpt"])
def test_a_file_of_somebody_else_is_not_replaced(tiny: Make, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(TrainingError):
        train(tiny(steps=1), tmp_path, **CPU)
    assert contents(tmp_path) == {name: b"mine", LOCK: b""} or contents(tmp_path) == {name: b"mine"}


def test_files_with_other_names_may_be_there(tiny: Make, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    train(tiny(steps=1), tmp_path, **CPU)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_one_error(tiny: Make, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    for folder in (tmp_path / "run", tmp_path / "run" / "inner"):
        with pytest.raises(OutputError):
            train(tiny(steps=1), folder, **CPU)
    assert contents(tmp_path) == {"run": b"mine"}


def test_a_run_that_ended_before_its_first_checkpoint_begins_again(
    tiny: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise Interrupted("stopped", signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(CodecTask, "training_step", stop)
        with pytest.raises(Interrupted):
            train(tiny(steps=1), tmp_path, **CPU)
    assert (tmp_path / "recipe.toml").exists()
    (tmp_path / ".last.ckpt.abc.part").write_text("half of a checkpoint")
    train(tiny(steps=1), tmp_path, **CPU)
    assert not list(tmp_path.glob("*.part"))


def test_folders_that_were_made_for_a_run_that_cannot_begin_are_removed(tiny: Make, tmp_path: Path) -> None:
    with pytest.raises(RecipeError):
        train(tiny(batch_size=100), tmp_path / "a" / "b", **CPU)
    assert not list(tmp_path.iterdir())
