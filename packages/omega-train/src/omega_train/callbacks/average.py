"""An exponential moving average of the weights (Polyak and Juditsky 1992), which is often better than they are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from omega_train.task import CodecTask

_Tensors = tuple[Tensor, ...] | list[Tensor]


class WeightAverage(Callback):
    """Follows the weights of transforms and quantizer, on torch's `AveragedModel`.

    Not those of priors, whose density has to be that of the symbols of the current weights, but for those that only the
    relaxed phase has. Lightning's `WeightAveraging` would follow all.

    task: whose weights it follows.
    decay: the share that it keeps at a step; less during the first, so that it does not hang on where they started.
    """

    def __init__(self, task: CodecTask, decay: float) -> None:
        self.decay = decay
        self._own = dict(_followed(task))
        self._parameters = nn.ParameterList(self._own.values())
        self._average = AveragedModel(self._parameters, multi_avg_fn=self._update)

    @property
    def steps(self) -> int:
        """How many steps it has followed."""
        return int(self._average.n_averaged)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the average, named as in `CodecTask.state_dict()`."""
        return {"steps": self.steps, "average": {name: averaged.detach() for name, _, averaged in self._pairs()}}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self._average.n_averaged.fill_(state_dict["steps"])
        for name, _, averaged in self._pairs():
            averaged.copy_(state_dict["average"][name])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Follow the weights to their device."""
        self._average.to(pl_module.device)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take in the weights after a step."""
        self.update()

    def update(self) -> None:
        """Take in the weights as they are."""
        self._average.update_parameters(self._parameters)

    def restart(self) -> None:
        """Forget what was averaged: weights begin anew."""
        self._average.n_averaged.zero_()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it, the task has the average for its weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def replace(self) -> None:
        """Make the average the weights of the task."""
        for _, own, averaged in self._pairs():
            own.copy_(averaged)

    @torch.no_grad()
    def _swap(self) -> None:
        for _, own, averaged in self._pairs():
            before = own.clone()
            own.copy_(averaged)
            averaged.copy_(before)

    def _pairs(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Each weight: its name, the task's, and the average."""
        for (name, own), averaged in zip(self._own.items(), self._average.module.parameters(), strict=True):
            yield name, own, averaged

    @torch.no_grad()
    def _update(self, averaged: _Tensors, own: _Tensors, steps: Tensor | int) -> None:
        """Move averages towards the weights, as torch asks for it from the second step on; `steps` came before."""
        decay = min(self.decay, (int(steps) + 1) / (int(steps) + 11))
        torch._foreach_lerp_(averaged, own, 1 - decay)


def _followed(task: CodecTask) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in task.named_parameters():
        if not name.startswith("codec.prior.") or name.startswith("codec.prior.relaxation."):
            yield name, parameter
