"""The callbacks of a run, in the order in which Lightning calls them."""

from contextlib import nullcontext
from pathlib import Path

from lightning.pytorch import Callback

from omega_core.contracts.dataset import Dataset
from omega_train.callbacks.agreement import Agreement
from omega_train.callbacks.average import WeightAverage
from omega_train.callbacks.best import BestModel
from omega_train.callbacks.checkpoints import Checkpoints
from omega_train.callbacks.dead_symbols import DeadSymbols
from omega_train.callbacks.finish import Finish
from omega_train.callbacks.length import RunLength
from omega_train.callbacks.metrics import Metrics
from omega_train.callbacks.phases import PhaseChange
from omega_train.callbacks.progress import Progress
from omega_train.callbacks.same_data import SameData
from omega_train.callbacks.signals import StopSignals
from omega_train.callbacks.throughput import Throughput
from omega_train.callbacks.validation import Validator
from omega_train.pace import Pace
from omega_train.task import CodecTask


def run_callbacks(
    task: CodecTask,
    dataset: Dataset,
    folder: Path,
    *,
    epoch: int,
    workers: int,
    save_minutes: float,
    pace: Pace | None,
    counted: int | None,
) -> list[Callback]:
    """All callbacks of a run that trains a task on a data set.

    folder: of the run. epoch: how many steps are one. workers: processes that read pictures.
    save_minutes: see `Checkpoints`. pace: see `RunLength`. counted: see `Finish`.
    """
    recipe, model = task.recipe, folder / "model.safetensors"
    signals, length, best, throughput = StopSignals(), RunLength(pace), BestModel(), Throughput()
    progress = Progress(throughput, dataset.notes)
    metrics = Metrics(folder, epoch=epoch, throughput=throughput)
    average = WeightAverage(task, recipe.ema) if recipe.ema else None
    validator = Validator(
        model,
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
        SameData(dataset),  # before the other callbacks load their state
        Agreement(length, checkpoints, signals),  # a loss that is not a number goes no further
        throughput,
        progress,  # before what the step leads to is said
        metrics,
        length,
        *([average] if average else []),  # takes in the step before it is scored
        PhaseChange(dataset.train, workers=workers, average=average, best=best, progress=progress),
        *([DeadSymbols(recipe.reset_dead_every, progress)] if recipe.reset_dead_every else []),
        best,
        validator,
        checkpoints,  # what all of these have done is saved
        signals,  # once that is saved
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
