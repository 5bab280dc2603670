"""The transitions between the phases of training."""

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from omega_core.contracts.dataset import Images
from omega_train.callbacks.average import WeightAverage
from omega_train.callbacks.best import BestModel
from omega_train.callbacks.progress import Progress
from omega_train.phases import Phase
from omega_train.quantizer_fitting import fit_quantizer
from omega_train.task import CodecTask

AVERAGED = (Phase.DECODER, Phase.PRIOR)
"""The phases that start from the average of the weights, because files hold the symbols of the average."""


class PhaseChange(Callback):
    """Fits the quantizer at the end of the relaxed phase, and replaces weights by their average between phases.

    The replacement is done at the end of the relaxed phase, and at the start of the decoder and the prior phase.

    The best model is reset at the start of the prior phase. This phase lowers the bits of files, but its loss, in which
    the lowest rates have the largest weight, can be higher: another order of coding gives other first symbols.

    images: the training images for `fit_quantizer`. workers: the number of processes that read them.
    average: the moving average of the weights, if there is one.
    """

    def __init__(
        self, images: Images, *, workers: int, average: WeightAverage | None, best: BestModel, progress: Progress
    ) -> None:
        self.images, self.workers = images, workers
        self.average, self.best, self.progress = average, best, progress
        self.phase = ""  # the phase of the last step, which is stored because the length of a resumed run may differ

    def state_dict(self) -> dict[str, Any]:
        return {"phase": self.phase}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.phase = state_dict["phase"]

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        task, step = cast(CodecTask, pl_module), trainer.global_step
        phase = task.phase(step)
        begins, relaxed_ends = phase.value != self.phase, task.needs_fit(step)
        if self.average and self.average.steps and (relaxed_ends or (begins and phase in AVERAGED)):
            self.average.replace()
        self.phase = phase.value
        if begins and phase is Phase.PRIOR:
            self.best.forget()
        if relaxed_ends:
            result = fit_quantizer(task, self.images, self.workers)
            if self.average:
                self.average.restart()
            self.best.forget()
            self.progress.report(step, result)
