"""The callbacks of a run, in the order in which Lightning calls them."""

from contextlib import nullcontext
from pathlib import Path

from lightning.pytorch import Callback

from omega_core.contracts.dataset import Dataset
from omega_train.callbacks.average import WeightAverage
from omega_train.callbacks.best import BestModel
from omega_train.callbacks.checkpoints import Checkpoints
from omega_train.callbacks.dead_symbols import DeadSymbols
from omega_train.callbacks.final_model import Finish
from omega_train.callbacks.metrics import Metrics
from omega_train.callbacks.phases import PhaseChange
from omega_train.callbacks.progress import Progress
from omega_train.callbacks.run_length import RunLength
from omega_train.callbacks.same_data import SameData
from omega_train.callbacks.shared_state import Agreement
from omega_train.callbacks.signals import StopSignals
from omega_train.callbacks.throughput import Throughput
from omega_train.callbacks.validation import BestModelFile, Validator
from omega_train.task import CodecTask
from omega_train.time_limit import TimeLimit


def run_callbacks(
    task: CodecTask,
    dataset: Dataset,
    folder: Path,
    *,
    epoch: int,
    workers: int,
    save_minutes: float,
    time_limit: TimeLimit | None,
    counted: int | None,
    changed_data: bool,
) -> list[Callback]:
    """The callbacks of a run that trains a task on a dataset, in the order of their calls.

    folder: the run folder. epoch: the number of steps in an epoch. workers: the number of processes that read pictures.
    save_minutes: see `Checkpoints`. time_limit: see `RunLength`. counted: see `Finish`.
    changed_data: see `SameData`.
    """
    recipe, model = task.recipe, folder / "model.safetensors"
    signals, length, best, throughput = StopSignals(), RunLength(time_limit), BestModel(), Throughput()
    progress = Progress(throughput, dataset.notes)
    metrics = Metrics(folder, epoch=epoch, throughput=throughput)
    average = WeightAverage(task, recipe.ema) if recipe.ema else None
    validator = Validator(
        dataset.validation,
        every=recipe.validate_every or epoch,
        workers=workers,
        averaged=average.applied if average else nullcontext,
        best=best,
        metrics=metrics,
        progress=progress,
        throughput=throughput,
    )
    checkpoints = Checkpoints(folder / "last.ckpt", save_minutes=save_minutes, validator=validator, signals=signals)
    return [
        SameData(dataset, changed=changed_data, best=best),  # it comes before the other callbacks load their state
        Agreement(length, checkpoints, signals),  # a loss that is not finite ends the run before the others act
        throughput,
        progress,  # it comes before the callbacks that log lines about the step
        metrics,
        length,
        *([average] if average else []),  # it comes before the validation of the average
        PhaseChange(dataset.train, workers=workers, average=average, best=best, progress=progress),
        *([DeadSymbols(recipe.reset_dead_every, progress)] if recipe.reset_dead_every else []),
        best,
        validator,
        checkpoints,  # it saves the state of all callbacks above
        BestModelFile(model, validator),
        signals,  # it stops the run after the checkpoint
        Finish(
            model,
            dataset,
            workers=workers,
            counted=counted,
            average=average,
            best=best,
            metrics=metrics,
            progress=progress,
        ),
    ]
