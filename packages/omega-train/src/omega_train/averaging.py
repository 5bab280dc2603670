"""An exponential moving average of the weights (Polyak and Juditsky 1992), which is often better than they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from omega_train.task import CodecTask


class Average:
    """Follows the weights of transforms and quantizer.

    decay: the share that it keeps at a step; less during the first, so that it does not hang on where they started.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"steps": self.steps, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.steps, self.weights = state["steps"], state["weights"]

    @torch.no_grad()
    def follow(self, task: CodecTask) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        decay = min(self.decay, self.steps / (self.steps + 10))
        for name, weight in _weights(task):
            if name in self.weights:
                self.weights[name] = self.weights[name].to(weight.device).lerp_(weight.detach(), 1 - decay)
            else:
                self.weights[name] = weight.detach().clone()

    def restart(self) -> None:
        """Forget what was averaged: weights begin anew."""
        self.steps, self.weights = 0, {}

    @contextmanager
    def instead(self, task: CodecTask) -> Iterator[None]:
        """Within it, the task has the average for its weights."""
        own = {name: weight.detach().clone() for name, weight in _weights(task)}
        self.replace(task)
        try:
            yield
        finally:
            self._give(task, own)

    def replace(self, task: CodecTask) -> None:
        """Make the average the weights of the task."""
        self._give(task, self.weights)

    @torch.no_grad()
    def _give(self, task: CodecTask, weights: dict[str, Tensor]) -> None:
        for name, weight in _weights(task):
            weight.copy_(weights[name])


def _weights(task: CodecTask) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in task.named_parameters():
        if not name.startswith("codec.prior.") or name.startswith("codec.prior.relaxation."):
            yield name, parameter
