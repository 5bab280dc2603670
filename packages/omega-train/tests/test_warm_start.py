"""Training that begins with what a model or another run has learned."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from omega_core.codec.model_file import read_model, write_model
from omega_core.errors import ModelFileError, OmegaError, TrainingError
from omega_train import train
from omega_train.checkpoint_reading import read_checkpoint, weights_of
from omega_train.recipe import Recipe
from omega_train.task import CodecTask
from omega_train.warm_start import warm_start

CPU = {"accelerator": "cpu", "devices": "1"}
Make = Callable[..., Recipe]


def state(folder: Path) -> dict[str, torch.Tensor]:
    """What the codec of a run has learned, and what else training keeps of the task."""
    return without_prefix(torch.load(folder / "last.ckpt", weights_only=True)["state_dict"])


def without_prefix(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix("codec."): tensor for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def run(tiny: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a moving average, whose model has 16 bits."""
    folder = tmp_path_factory.mktemp("before")
    train(tiny(ema=0.5, half_precision=True, reset_dead_every=5), folder, **CPU)
    return folder


def test_a_run_begins_with_the_weights_of_a_model(tiny: Make, run: Path, tmp_path: Path) -> None:
    """At a learning rate of next to nothing they are what it ends with; in 32 bits, as always."""
    model = run / "model.safetensors"
    train(tiny(steps=1, learning_rate=1e-12, weight_decay=0.0, seed=7), tmp_path / "run", init=model, **CPU)
    after, arrays = state(tmp_path / "run"), read_model(model).arrays
    given = {name: array for name, array in arrays.items() if not name.startswith("prior.")}
    assert len(given) > 10
    for name, array in given.items():
        assert array.dtype == np.float16
        assert after[name].dtype == torch.float32
        np.testing.assert_allclose(after[name].numpy(), array.astype(np.float32), atol=1e-9, err_msg=name)
    said = (tmp_path / "run" / "train.log").read_text()
    counted = f"{len(given)} of {len(given)} arrays"
    assert f"init: {counted} of model.safetensors loaded; not initialized from it: prior." in said


def test_a_run_begins_with_the_average_and_the_prior_of_another_run(tiny: Make, run: Path) -> None:
    task = CodecTask(tiny())
    said = warm_start(task, run)
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    saved = state(run)
    [average] = [without_prefix(each["average"]) for each in checkpoint["callbacks"].values() if "average" in each]
    own = task.codec.state_dict()
    assert average
    assert all(torch.equal(own[name], weights) for name, weights in average.items())
    assert any(not torch.equal(saved[name], weights) for name, weights in average.items())
    assert torch.equal(own["prior.seen.counts"], saved["prior.seen.counts"])
    assert own["prior.seen.counts"].sum() > 0
    assert said == f"init: {len(own)} of {len(own)} arrays of {run.name} loaded"


def test_a_run_without_an_average_gives_its_weights(tiny: Make, tmp_path: Path) -> None:
    train(tiny(steps=2), tmp_path, **CPU)
    task, saved = CodecTask(tiny()), state(tmp_path)
    warm_start(task, tmp_path)
    own = task.codec.state_dict()
    assert own.keys() == saved.keys() - {"chosen", "prefix_rates"}
    assert all(torch.equal(own[name], saved[name]) for name in own)


def test_what_does_not_fit_is_left_out_and_told(tiny: Make, run: Path) -> None:
    task = CodecTask(tiny(channels=5, prior="context", architecture_options={"mixing": 8}))
    before = {name: tensor.clone() for name, tensor in task.codec.state_dict().items()}
    said = warm_start(task, run)
    given = without_prefix(weights_of(read_checkpoint(run)))
    given = {name: given[name] for name in given.keys() - {"chosen", "prefix_rates"}}
    after = task.codec.state_dict()
    taken = {name for name in given if name in after and after[name].shape == given[name].shape}
    assert all(name.startswith("architecture.") or "table_bias" in name for name in taken)
    for name, tensor in after.items():
        assert torch.equal(tensor, given[name] if name in taken else before[name]), name
    assert said.startswith(f"init: {len(taken)} of {len(given)} arrays of {run.name} loaded; left out because their ")
    assert "quantizer.table (3, 8, 4) here (5, 8, 4)" in said
    assert "(+" in said
    assert "not initialized from it: architecture.gather" in said


def test_arrays_that_the_task_does_not_have_are_told(tiny: Make, run: Path) -> None:
    said = warm_start(CodecTask(tiny(quantizer="identity", channels=4, channels_min=4, lambda_min=0.999)), run)
    assert "left out because this recipe has no such names: quantizer." in said


def test_a_model_may_hold_what_only_training_needs(tiny: Make, run: Path, tmp_path: Path) -> None:
    """Of a part's submodule `relaxation`, of which a recipe without a relaxed phase has none."""
    file = read_model(run / "model.safetensors")
    task = CodecTask(tiny())
    extra = {
        "relaxation.prior.seen": np.full(3, 7.0, np.float16),
        "relaxation.quantizer.other": np.zeros(3, np.float32),
    }
    path = tmp_path / "model.safetensors"
    write_model(path, file.description, {**file.arrays, **extra})
    assert task.prior is not None
    task.prior.relaxation = torch.nn.Module()
    task.prior.relaxation.seen = torch.nn.Parameter(torch.zeros(3))
    said = warm_start(task, path)
    assert (task.codec.state_dict()["prior.relaxation.seen"] == 7).all()
    assert "no such names: quantizer.relaxation.other (3,)" in said


def test_a_run_that_began_with_a_model_is_resumed_without_it(tiny: Make, run: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.safetensors"
    source.write_bytes((run / "model.safetensors").read_bytes())
    train(tiny(), tmp_path / "once", init=source, **CPU)
    train(tiny(steps=7), tmp_path / "parts", init=source, **CPU)
    source.unlink()
    train(tiny(), tmp_path / "parts", resume=True, **CPU)
    once, parts = state(tmp_path / "once"), state(tmp_path / "parts")
    assert all(torch.equal(once[name], parts[name]) for name in once)
    without = tmp_path / "without"
    train(tiny(), without, **CPU)
    assert not torch.equal(state(without)["quantizer.table"], once["quantizer.table"])


def test_a_recipe_that_names_what_to_begin_with_is_resumed_without_it(tiny: Make, run: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.safetensors"
    source.write_bytes((run / "model.safetensors").read_bytes())
    options = {"init": str(source)}
    train(tiny(steps=2, trainer_options=options), tmp_path / "run", **CPU)
    source.unlink()
    train(tiny(steps=3, trainer_options=options), tmp_path / "run", resume=True, **CPU)
    assert (tmp_path / "run" / "train.log").read_text().count("init: ") == 1


def test_a_resumed_run_takes_no_other_weights(tiny: Make, run: Path) -> None:
    with pytest.raises(TrainingError, match="leave out --init or --resume"):
        train(tiny(), run, init=run, resume=True, **CPU)


@pytest.mark.parametrize(
    ("make", "error", "complaint"),
    [
        (lambda path: path, ModelFileError, "there is no model"),
        (lambda path: path.write_bytes(b"nothing"), ModelFileError, "is not a model"),
        (lambda path: path.mkdir(), TrainingError, "is not a run folder, or has no checkpoint yet"),
        (lambda path: (path.mkdir(), (path / "last.ckpt").write_bytes(b"")), TrainingError, "is damaged, or no"),
        (lambda path: (path.mkdir(), torch.save([1], path / "last.ckpt")), TrainingError, "is damaged, or no"),
    ],
    ids=["nothing", "text", "a folder", "an empty checkpoint", "another checkpoint"],
)
def test_what_is_neither_a_model_nor_a_run_is_named(
    tiny: Make, tmp_path: Path, make: Callable[[Path], object], error: type[OmegaError], complaint: str
) -> None:
    source = tmp_path / "source.safetensors"
    make(source)
    with pytest.raises(error, match=complaint):
        train(tiny(), tmp_path / "run", init=source, **CPU)
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_that_would_run_code_is_refused(tiny: Make, tmp_path: Path) -> None:
    class Dangerous:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    torch.save({"state_dict": Dangerous()}, tmp_path / "last.ckpt")
    with pytest.raises(TrainingError, match="is damaged, or not the checkpoint"):
        warm_start(CodecTask(tiny()), tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_source_that_fits_nowhere_is_an_error(tiny: Make, run: Path, tmp_path: Path) -> None:
    file = read_model(run / "model.safetensors")
    path = tmp_path / "model.safetensors"
    write_model(path, file.description, {"other.weight": np.zeros(3, np.float32)})
    with pytest.raises(TrainingError, match=r"no array of .* fits this recipe"):
        warm_start(CodecTask(tiny()), path)


def test_it_is_said_that_a_prior_starts_from_scratch(tiny: Make, run: Path) -> None:
    assert "the prior starts from scratch" in warm_start(CodecTask(tiny()), run / "model.safetensors")
    assert "starts from scratch" not in warm_start(CodecTask(tiny()), run)
