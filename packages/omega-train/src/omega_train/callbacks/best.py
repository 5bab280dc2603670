"""The best model of a run so far."""

import math
from typing import Any

from lightning.pytorch import Callback
from torch import Tensor

from omega_train.task import CodecTask


class BestModel(Callback):
    """Keeps the lowest validation loss, and all weights that it was measured with, including those of the prior.

    loss: infinite before the first validation.
    weights: as in `CodecTask.state_dict()`, on the CPU; empty in a relaxed phase, before the quantizer is fitted.
    """

    def __init__(self) -> None:
        self.loss = math.inf
        self.weights: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"loss": self.loss, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.loss, self.weights = state_dict["loss"], state_dict["weights"]

    def offer(self, task: CodecTask, loss: float) -> bool:
        """Keep the weights of a task if its validation loss is the lowest so far; return whether it is."""
        if loss >= self.loss:
            return False
        self.loss = loss
        if task.fitted:
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in task.state_dict().items()}
        return True

    def forget(self) -> None:
        """Drop loss and weights, which are not comparable with those of the phase that begins."""
        self.loss, self.weights = math.inf, {}
