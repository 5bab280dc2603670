"""The model file at the end of a run."""

from pathlib import Path
from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_core.contracts.dataset import Dataset
from omega_train.callbacks.average import WeightAverage
from omega_train.callbacks.best import BestModel
from omega_train.callbacks.metrics import Metrics
from omega_train.callbacks.progress import Progress
from omega_train.callbacks.validation import curve
from omega_train.model_writing import complete
from omega_train.task import CodecTask
from omega_train.validation import validate


class Finish(Callback):
    """Completes and writes the best model after the last step, or the last model if all steps are relaxed.

    It starts from the state of the checkpoint, so that finishing a run again writes the same model. Nothing is
    written before the first validation. Raises OutputError, and TrainingError for weights that exceed half precision.

    model: the path of the model file.
    dataset: its training images are for the prior and the order of channels, its validation images for final scores.
    workers: the number of processes that read pictures.
    counted: the maximum number of pictures over which the prior is counted; None for all.
    average: the moving average of the weights, if there is one.
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
        task = cast(CodecTask, pl_module)
        if task.fitted:
            if not self.best.weights:
                return
            task.load_state_dict(self.best.weights)
        elif self.average and self.average.steps:
            self.average.replace()
        result = complete(task, self.model, self.dataset.train, self.workers, self.counted)
        if result:
            found = validate(task, self.dataset.validation, self.workers)
            self.metrics.add_validation(found, "model", trainer.global_step)
            self.progress.say(f"{result}; validation loss {found.loss:.5f}; {curve(found.scores)}")
