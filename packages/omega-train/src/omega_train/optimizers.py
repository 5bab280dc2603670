"""Optimizers: Adam, or Muon for the weights that are matrices and Adam for all others.

Muon: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; with weight decay as in Liu et al.
2025, "Muon is Scalable for LLM Training", arXiv 2502.16982.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from omega_core.codec.devices import is_quick
from omega_train.recipe import Recipe

MATRIX_LEARNING_RATE = 0.01
"""The default learning rate of Muon."""
MIN_INPUTS = 32
"""The minimum number of inputs of a weight that Muon trains: matrices with few singular values gain little from it."""

_MOMENTUM = 0.95
_STEPS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def build_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a recipe for the trainable parameters of a model.

    recipe: determines the optimizer, learning rates and weight decay. model: the codec.

    The quantizer's learning rate applies to the quantizer and to the prior without its relaxation, the learning rate of
    matrices to those that Muon trains. Parameters of one dimension, such as temperatures, have no weight decay.
    """
    matrices = set(matrices_of(model)) if recipe.optimizer == "muon" else set()
    rate, own = recipe.learning_rate, recipe.quantizer_learning_rate
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            of_symbols = name.startswith(("quantizer.", "prior.")) and not name.startswith("prior.relaxation.")
            lr = own if own is not None and of_symbols else rate
            if name in matrices:
                lr = recipe.matrix_learning_rate or MATRIX_LEARNING_RATE
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((name in matrices, lr, decay), []).append(parameter)
    # matrices come last, because the learning rate of the first group is logged
    settings = [
        {"params": groups[key], "lr": key[1], "weight_decay": key[2], "matrices": key[0]}
        for key in sorted(groups, key=lambda key: key[0])
    ]
    return Muon(settings) if recipe.optimizer == "muon" else torch.optim.Adam(settings)


def follow_schedule(schedule: torch.optim.lr_scheduler.LambdaLR) -> None:
    """Set the learning rates of a schedule for its current step: a checkpoint may be from a run of another length."""
    groups = schedule.optimizer.param_groups
    for group, rate, factor in zip(groups, schedule.base_lrs, schedule.lr_lambdas, strict=True):
        group["lr"] = rate * factor(schedule.last_epoch)


def matrices_of(model: nn.Module) -> Iterator[str]:
    """The names of the parameters that Muon trains: weights of linear layers and of convolutions of any size.

    The weight (out, in, k, k) of a convolution is the matrix (out, in·k·k). Left out are depthwise and other grouped
    convolutions, weights of fewer than 32 inputs, and the quantizer, whose tables hold points rather than directions.
    """
    for prefix, module in model.named_modules():
        if isinstance(module, nn.Linear):
            inputs, groups = module.in_features, 1
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            inputs, groups = module.in_channels, module.groups
        else:
            continue
        name = f"{prefix}.weight"
        if groups == 1 and min(inputs, module.weight[0].numel()) >= MIN_INPUTS and not name.startswith("quantizer."):
            yield name


class Muon(torch.optim.Optimizer):
    """Orthogonalized momentum for groups whose "matrices" is true; Adam for the others.

    A parameter (out, …) is a matrix with a row for each output. Weight decay of matrices is decoupled from the
    gradient; that of the others is added to the gradient, as in torch's Adam.

    groups: groups of parameters, each with "lr", "weight_decay" and "matrices".
    """

    def __init__(self, groups: Iterable[dict[str, Any]]) -> None:
        super().__init__(groups, {"lr": MATRIX_LEARNING_RATE, "weight_decay": 0.0, "matrices": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update the parameters that have gradients.

        closure: computes the gradients and returns the loss. Without a closure, the result is None instead of the loss.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            (self._step_matrices if group["matrices"] else self._step_others)(parameters, group)
        return loss

    def _step_matrices(self, parameters: Sequence[Tensor], group: Mapping[str, Any]) -> None:
        updates = []
        for parameter in parameters:
            assert parameter.grad is not None  # noqa: S101 (for mypy)
            state = self.state[parameter]
            if not state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            momentum = state["momentum_buffer"].lerp_(parameter.grad, 1 - _MOMENTUM)
            updates.append(parameter.grad.lerp(momentum, _MOMENTUM).flatten(1))  # Nesterov momentum
        for parameter, update in zip(parameters, _all_orthogonal(updates), strict=True):
            rows, columns = update.shape
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(update.view(parameter.shape), alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)

    def _step_others(self, parameters: list[Tensor], group: Mapping[str, Any]) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        adam(
            parameters,
            [parameter.grad for parameter in parameters if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=1e-8,
            maximize=False,
        )


def _all_orthogonal(matrices: Sequence[Tensor]) -> list[Tensor]:
    """`orthogonal` for matrices of any shapes; matrices of one shape or its transpose are stacked."""
    # matrices with fewer rows need fewer products
    wide = [matrix.T if matrix.shape[0] > matrix.shape[1] else matrix for matrix in matrices]
    indices: dict[torch.Size, list[int]] = {}
    for index, matrix in enumerate(wide):
        indices.setdefault(matrix.shape, []).append(index)
    results = list(matrices)
    for together in indices.values():
        stack_NRC = torch.stack([wide[index] for index in together])
        for index, made in zip(together, orthogonal(stack_NRC), strict=True):
            results[index] = made if made.shape == matrices[index].shape else made.T.contiguous()
    return results


def orthogonal(stack_NRC: Tensor) -> Tensor:
    """Approximately U·Vᵀ of each matrix U·S·Vᵀ in a stack (N, R, C), R ≤ C, with singular values from 0.7 to 1.2.

    Five Newton–Schulz steps (an odd polynomial) in `quick_precision`. The result has the shape and dtype of the stack.
    """
    a, b, c = _COEFFICIENTS
    x = stack_NRC / stack_NRC.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)  # the norm bounds the singular values
    x = x.to(quick_precision(x.device))
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    made: Tensor = x.to(stack_NRC.dtype)
    return made


def quick_precision(device: torch.device) -> torch.dtype:
    """bfloat16 if a device multiplies its matrices faster (`omega_core.codec.devices.is_quick`), otherwise float32."""
    return torch.bfloat16 if is_quick(device, torch.bfloat16) else torch.float32
