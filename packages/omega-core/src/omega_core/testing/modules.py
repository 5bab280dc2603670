"""Checks of components that are torch modules: architectures, quantizers and priors."""

import copy
import pickle
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from omega_core.testing import common
from omega_core.testing.checking import Checks, Subject, expect
from omega_core.testing.simulated_device import elsewhere

Outputs = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class ModuleSubject(Subject):
    """A component that is a torch module."""

    @abstractmethod
    def make(self) -> nn.Module:
        """A new one."""

    @abstractmethod
    def inputs(self, batch: int = 3) -> Tensor:
        """What it takes, always the same: samples along the first dimension."""

    @abstractmethod
    def outputs(self, module: Any, inputs: Tensor) -> Outputs:
        """All that it makes of inputs, by name: samples along the first dimension, where there are samples."""

    def step(self, module: Any, inputs: Tensor) -> Outputs:
        """What a step of training makes of inputs, as `outputs` has it."""
        return self.outputs(module, inputs)

    def made(self, seed: int = 0) -> Any:
        """A new one in evaluation mode, always the same for a seed."""
        with seeded(seed):
            return self.make().eval()

    def trained(self, seed: int = 0) -> Any:
        """One in evaluation mode after two steps of training, with other parameters than it begins with."""
        module = self.made(seed)
        with seeded(seed), torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
            for _ in range(2):
                self.step(module.train(), self.inputs())
        return module.eval()


checks: Checks[ModuleSubject] = Checks(common.checks)


@checks.add
def does_the_same_every_time(subject: ModuleSubject) -> None:
    """In evaluation mode the same input gives the same output."""
    module = subject.made()
    with torch.no_grad():
        first, second = subject.outputs(module, subject.inputs()), subject.outputs(module, subject.inputs())
    expect_same(first, second, "the second time", exactly=True)


@checks.add
def does_not_mix_samples(subject: ModuleSubject) -> None:
    """In evaluation mode a sample alone gives what it gives in a batch, which may be of one."""
    module, inputs = subject.made(), subject.inputs()
    with torch.no_grad():
        together = subject.outputs(module, inputs)
        alone = subject.outputs(module, inputs[1:2])
    shared = {name: value for name, value in together.items() if len(value) == len(inputs)}
    expect_same({name: value[1:2] for name, value in shared.items()}, alone, "alone")


@checks.add
def stays_on_the_device(subject: ModuleSubject) -> None:
    """What it makes lies where its input does: no tensor is made inside without saying on which device."""
    module = subject.made().train()
    inputs = subject.inputs()
    with seeded(), torch.device("meta"):  # where now everything lands that is not told where to be
        try:
            made = subject.outputs(module, inputs)
        except (RuntimeError, NotImplementedError) as problem:
            if "meta" not in str(problem):
                raise
            raise RuntimeError(f"a tensor was made without a device, and met the input: {problem}") from problem
    elsewhere = [name for name, value in made.items() if value.device != inputs.device]
    expect(not elsewhere, f"{', '.join(elsewhere)} did not lie on the device of the input")


@checks.add
def works_on_another_device(subject: ModuleSubject) -> None:
    """Moved by `.to(device)`, it does there what it does on the CPU, and trains: no tensor of it stays behind, and none
    that it makes lies elsewhere.
    """
    module = subject.made()
    with torch.no_grad():
        wanted = subject.outputs(module, subject.inputs())
    with seeded(), elsewhere() as device, _naming_state(module):
        module.to(device)
        inputs = subject.inputs().to(device)
        with torch.no_grad():
            made = subject.outputs(module, inputs)
        left = [name for name, value in made.items() if value.device != device]
        expect(not left, f"{', '.join(left)} did not lie on the device of the input")
        trained = subject.step(module.train(), inputs).values()
        losses = [value.float().sum() for value in trained if value.requires_grad]
        if losses:
            torch.autograd.backward(torch.stack(losses).sum())
        there = {name: value.cpu() for name, value in made.items()}
    expect_same(wanted, there, "on another device")


@checks.add
def state_dict_holds_everything(subject: ModuleSubject) -> None:
    """All that it has learned is in its parameters and buffers: another one that loads them, after some steps of
    training, does the same.
    """
    one, other = subject.trained(0), subject.made(1)
    other.load_state_dict(one.state_dict())
    with torch.no_grad(), _naming_state(one, subject.made(0)):
        expect_same(subject.outputs(one, subject.inputs()), subject.outputs(other, subject.inputs()), "after loading")


@checks.add
def can_be_made_without_memory(subject: ModuleSubject) -> None:
    """It can be made on the device "meta", without computing with its numbers, as a model's file has them."""
    one = subject.made()
    with torch.device("meta"):
        empty = subject.make().eval()
    empty.load_state_dict(copy.deepcopy(one.state_dict()), assign=True)
    here = [name for name, value in [*empty.named_parameters(), *empty.named_buffers()] if value.is_meta]
    expect(not here, f"{', '.join(here)} are in no state_dict, and would be lost")
    with torch.no_grad(), _naming_state(one):
        expect_same(subject.outputs(one, subject.inputs()), subject.outputs(empty, subject.inputs()), "after loading")


@checks.add
def can_be_pickled(subject: ModuleSubject) -> None:
    """It can be pickled, as processes of training do, and is the same afterwards."""
    one = subject.made()
    other = pickle.loads(pickle.dumps(one))  # noqa: S301 (its own bytes)
    with torch.no_grad():
        expect_same(
            subject.outputs(one, subject.inputs()),
            subject.outputs(other, subject.inputs()),
            "once unpickled",
            exactly=True,
        )


@contextmanager
def _naming_state(module: nn.Module, fresh: nn.Module | None = None) -> Iterator[None]:
    """Add to a failure what a module keeps in no parameter or buffer.

    fresh: the module as it begins, from which numbers may differ.
    """
    try:
        yield
    except Exception as problem:
        if names := unregistered(module, fresh):
            expect(False, f"{problem}; in no parameter or buffer, and so neither saved nor moved: {', '.join(names)}")
        raise


def unregistered(module: nn.Module, fresh: nn.Module | None = None) -> list[str]:
    """The attributes of a module that hold tensors or modules, and are neither parameters nor buffers nor submodules.

    fresh: if given, numbers that differ from its are named, too.
    """
    of_torch, before = vars(nn.Module()), dict((fresh or module).named_modules())
    found = []
    for name, each in module.named_modules():
        known = vars(before[name]) if name in before else {}
        for attribute, value in vars(each).items():
            changed = isinstance(value, (int, float)) and known.get(attribute) != value
            if attribute not in (*of_torch, "training") and (changed or _holds_tensors(value)):
                found.append(f"{name}.{attribute}".removeprefix("."))
    return found


def _holds_tensors(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple, set)) else ()
    return isinstance(value, (Tensor, nn.Module)) or any(map(_holds_tensors, inner))


@contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """torch's random numbers from a seed, and afterwards as if nothing had been drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def expect_same(wanted: Outputs, got: Outputs, when: str, *, exactly: bool = False) -> None:
    """Expect the same tensors, or numbers that differ by no more than rounding does."""
    for name, value in wanted.items():
        if name not in got:
            continue
        value, other = value.detach(), got[name].detach()
        expect(value.shape == other.shape, f"{name} {tuple(value.shape)} is {tuple(other.shape)} {when}")
        if exactly or not value.is_floating_point():
            expect(torch.equal(value, other), f"{name} differs {when}: {_difference(value, other)}")
        else:
            close = torch.allclose(value, other, rtol=1e-4, atol=1e-5 * float(value.abs().max().nan_to_num(1)) + 1e-8)
            expect(close, f"{name} differs {when}: {_difference(value, other)}")


def _difference(value: Tensor, other: Tensor) -> str:
    difference = (value.double() - other.double()).abs()
    return f"by up to {float(difference.max()):.3g}, in {float((difference > 0).double().mean()):.0%} of all numbers"


def expect_gradients(parts: Mapping[str, Tensor], to: Mapping[str, Tensor]) -> None:
    """Expect that the sum of each part has finite gradients, and that each of `to` gets some that are not all 0."""
    total = torch.stack([part.double().square().sum() for part in parts.values()]).sum()
    expect(total.requires_grad, f"no gradient at all comes from {' and '.join(parts)}")
    gradients = torch.autograd.grad(total, list(to.values()), allow_unused=True)
    for (name, _), gradient in zip(to.items(), gradients, strict=True):
        expect(gradient is None or bool(gradient.isfinite().all()), f"the gradient of {name} is not finite")
        reached = gradient is not None and bool(gradient.abs().sum() > 0)
        expect(reached, f"no gradient comes from {' and '.join(parts)} to {name}")


def expect_derivative(function: Any, at: Tensor, name: str) -> None:
    """Expect that the gradient of a function of a float64 tensor is what finite differences say, along a direction.

    Where the function has a kink between the points, they say nothing: there the nearer ones decide.
    """
    direction = torch.randn(at.shape, dtype=at.dtype, generator=torch.Generator().manual_seed(5))
    weights: Tensor | None = None

    def projected(point: Tensor) -> Tensor:
        nonlocal weights
        value = function(point)
        if weights is None:
            weights = torch.randn(value.shape, dtype=value.dtype, generator=torch.Generator().manual_seed(6))
        return (value * weights).sum()

    point = at.clone().requires_grad_()
    value = projected(point)
    expect(value.requires_grad, f"{name} has no gradient")
    (gradient,) = torch.autograd.grad(value, point)
    claimed = float((gradient * direction).sum())
    found = []
    with torch.no_grad():
        for step in (1e-4, 1e-5, 1e-6):
            difference = projected(at + step * direction) - projected(at - step * direction)
            found.append(float(difference) / (2 * step))
    error = min(abs(each - claimed) / max(abs(each), abs(claimed), 1e-6) for each in found)
    expect(
        error < 1e-3,
        f"along a direction the gradient of {name} is {claimed:.6g}, the difference quotient {found[1]:.6g}",
    )
