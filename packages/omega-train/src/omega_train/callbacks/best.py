"""The best model of a run so far."""

import math
from typing import Any

from lightning.pytorch import Callback
from torch import Tensor

from omega_train.task import CodecTask


class BestModel(Callback):
    """Keeps what validated best: its loss, and all of its weights, those of its prior among them.

    loss: infinite until there is one.
    weights: as `CodecTask.state_dict()` has them, on the CPU. None in a relaxed phase, from which nothing can be coded.
    """

    def __init__(self) -> None:
        self.loss = math.inf
        self.weights: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"loss": self.loss, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.loss, self.weights = state_dict["loss"], state_dict["weights"]

    def offer(self, task: CodecTask, loss: float) -> bool:
        """Keep the task as it is if its loss in validation is the least so far, and say whether it is."""
        if loss >= self.loss:
            return False
        self.loss = loss
        if task.fitted:
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in task.state_dict().items()}
        return True

    def restore(self, task: CodecTask) -> None:
        """Give a task the best weights."""
        task.load_state_dict(self.weights)

    def forget(self) -> None:
        """Begin anew: what was best so far had another quantizer."""
        self.loss, self.weights = math.inf, {}
