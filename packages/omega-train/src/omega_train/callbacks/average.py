"""An exponential moving average of the weights (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from omega_train.callbacks.base import RunCallback
from omega_train.data.batches import Batch
from omega_train.task import CodecTask

_Tensors = tuple[Tensor, ...] | list[Tensor]


class WeightAverage(RunCallback):
    """Averages the weights of transforms and quantizer, with torch's `AveragedModel`.

    Weights of the prior are left out, because they are fitted to the symbols of the current weights; the `relaxation`
    of a prior is averaged. Lightning's `WeightAveraging` would average all weights.

    task: the task whose weights are averaged.
    decay: the factor, in (0, 1), of the old average in each update; it is smaller in the first steps, so that the
        influence of the initial weights vanishes quickly.
    """

    def __init__(self, task: CodecTask, decay: float) -> None:
        self.decay = decay
        self._own = {
            name: parameter
            for name, parameter in task.named_parameters()
            if not name.startswith("codec.prior.") or name.startswith("codec.prior.relaxation.")
        }
        self._parameters = nn.ParameterList(self._own.values())
        self._average = AveragedModel(self._parameters, multi_avg_fn=self._update)

    @property
    def steps(self) -> int:
        """The number of updates since the start of the average; there is one after each step."""
        return int(self._average.n_averaged)

    def state_dict(self) -> dict[str, Any]:
        """The state for a checkpoint: the average, with names as in `CodecTask.state_dict()`."""
        return {"steps": self.steps, "average": {name: averaged.detach() for name, _, averaged in self._pairs()}}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._average.n_averaged.fill_(state_dict["steps"])
        for name, _, averaged in self._pairs():
            averaged.copy_(state_dict["average"][name])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._average.to(pl_module.device)

    def after_step(self, trainer: Trainer, task: CodecTask, batch: Batch) -> None:
        self.update()

    def update(self) -> None:
        """Update the average with the current weights."""
        self._average.update_parameters(self._parameters)

    def restart(self) -> None:
        """Start a new average: the next update sets it to the current weights."""
        self._average.n_averaged.zero_()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A context in which the weights of the task are the average."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def replace(self) -> None:
        """Set the weights of the task to the average."""
        for _, own, averaged in self._pairs():
            own.copy_(averaged)

    @torch.no_grad()
    def _swap(self) -> None:
        for _, own, averaged in self._pairs():
            before = own.clone()
            own.copy_(averaged)
            averaged.copy_(before)

    def _pairs(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """The name, the parameter of the task, and the average of each parameter."""
        for (name, own), averaged in zip(self._own.items(), self._average.module.parameters(), strict=True):
            yield name, own, averaged

    @torch.no_grad()
    def _update(self, averaged: _Tensors, own: _Tensors, steps: Tensor | int) -> None:
        """Update averages in place; `AveragedModel` calls this from the second update on. steps: updates so far."""
        decay = min(self.decay, (int(steps) + 1) / (int(steps) + 11))
        torch._foreach_lerp_(averaged, own, 1 - decay)
