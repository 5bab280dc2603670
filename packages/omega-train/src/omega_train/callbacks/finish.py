"""The model that a run ends with."""

from pathlib import Path
from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_core.contracts.dataset import Dataset
from omega_train.callbacks.average import WeightAverage
from omega_train.callbacks.best import BestModel
from omega_train.callbacks.metrics import Metrics
from omega_train.callbacks.progress import Progress
from omega_train.callbacks.validation import curve
from omega_train.export import complete
from omega_train.task import CodecTask
from omega_train.validation import validate


class Finish(Callback):
    """Completes the best model after the last step, and writes it; of a run that was relaxed to its end, the last one.

    It starts from what the checkpoint has. So a run that is finished a second time leaves the same model.

    model: the path of the file. workers: processes that read pictures.
    counted: pictures at the most that the prior is counted over; all if None.
    """

    def __init__(
        self,
        model: Path,
        dataset: Dataset,
        *,
        workers: int,
        counted: int | None,
        average: WeightAverage | None,
        best: BestModel,
        metrics: Metrics,
        progress: Progress,
    ) -> None:
        self.model, self.dataset, self.workers, self.counted = model, dataset, workers, counted
        self.average, self.best, self.metrics, self.progress = average, best, metrics, progress

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finish, unless nothing was validated yet.

        Raises OutputError, and TrainingError for weights that half precision cannot hold.
        """
        task = cast(CodecTask, pl_module)
        if task.fitted:
            if not self.best.weights:
                return
            self.best.restore(task)
        elif self.average and self.average.steps:
            self.average.replace()
        said = complete(task, self.model, self.dataset.train, self.workers, self.counted)
        if said:
            found = validate(task, self.dataset.validation, self.workers)
            self.metrics.add_validation(found, "model", trainer.global_step)
            self.progress.say(f"{said}; validation loss {found.loss:.5f}; {curve(found.scores)}")
