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
        """Return a new module."""

    @abstractmethod
    def inputs(self, batch: int = 3) -> Tensor:
        """Return its inputs, always the same, with samples along the first dimension."""

    @abstractmethod
    def outputs(self, module: Any, inputs: Tensor) -> Outputs:
        """Return all its outputs, by name, with samples along the first dimension where there are samples."""

    def step(self, module: Any, inputs: Tensor) -> Outputs:
        """Return the outputs of a training step, in the form of `outputs`."""
        return self.outputs(module, inputs)

    def made(self, seed: int = 0) -> Any:
        """Return a new module in evaluation mode, always the same for a seed."""
        with seeded(seed):
            return self.make().eval()

    def trained(self, seed: int = 0) -> Any:
        """Return a module in evaluation mode after two training steps, with parameters other than the initial ones."""
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
    """In evaluation mode, the same input gives the same output."""
    module = subject.made()
    with torch.no_grad():
        first, second = subject.outputs(module, subject.inputs()), subject.outputs(module, subject.inputs())
    expect_same(first, second, "the second time", exactly=True)


@checks.add
def does_not_mix_samples(subject: ModuleSubject) -> None:
    """In evaluation mode, a sample alone (a batch of one) gives the same outputs as in a larger batch."""
    module, inputs = subject.made(), subject.inputs()
    with torch.no_grad():
        together = subject.outputs(module, inputs)
        alone = subject.outputs(module, inputs[1:2])
    shared = {name: value for name, value in together.items() if len(value) == len(inputs)}
    expect_same({name: value[1:2] for name, value in shared.items()}, alone, "alone")


@checks.add
def stays_on_the_device(subject: ModuleSubject) -> None:
    """Its outputs are on the device of its input: no tensor is created without a device."""
    module = subject.made().train()
    inputs = subject.inputs()
    with seeded(), torch.device("meta"):  # the device of all tensors that are created without one
        try:
            made = subject.outputs(module, inputs)
        except (RuntimeError, NotImplementedError) as problem:
            if "meta" not in str(problem):
                raise
            raise RuntimeError(f"a tensor was created without a device and met the input: {problem}") from problem
    elsewhere = [name for name, value in made.items() if value.device != inputs.device]
    expect(not elsewhere, f"not on the device of the input: {', '.join(elsewhere)}")


@checks.add
def works_on_another_device(subject: ModuleSubject) -> None:
    """After `.to(device)`, it gives the same outputs there as on the CPU, and can be trained. All its tensors move with
    it, and all tensors that it creates are on that device.
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
        expect(not left, f"not on the device of the input: {', '.join(left)}")
        trained = subject.step(module.train(), inputs).values()
        losses = [value.float().sum() for value in trained if value.requires_grad]
        if losses:
            torch.autograd.backward(torch.stack(losses).sum())
        there = {name: value.cpu() for name, value in made.items()}
    expect_same(wanted, there, "on another device")


@checks.add
def state_dict_holds_everything(subject: ModuleSubject) -> None:
    """All that it has learned is in its parameters and buffers: another instance that loads them, after some training
    steps, gives the same outputs.
    """
    one, other = subject.trained(0), subject.made(1)
    other.load_state_dict(one.state_dict())
    with torch.no_grad(), _naming_state(one, subject.made(0)):
        expect_same(subject.outputs(one, subject.inputs()), subject.outputs(other, subject.inputs()), "after loading")


@checks.add
def can_be_made_without_memory(subject: ModuleSubject) -> None:
    """It can be made on the device "meta", without using its values, which are loaded from a model file later."""
    one = subject.made()
    with torch.device("meta"):
        empty = subject.make().eval()
    empty.load_state_dict(copy.deepcopy(one.state_dict()), assign=True)
    here = [name for name, value in [*empty.named_parameters(), *empty.named_buffers()] if value.is_meta]
    expect(not here, f"not in the state_dict, and therefore lost: {', '.join(here)}")
    with torch.no_grad(), _naming_state(one):
        expect_same(subject.outputs(one, subject.inputs()), subject.outputs(empty, subject.inputs()), "after loading")


@checks.add
def can_be_pickled(subject: ModuleSubject) -> None:
    """It can be pickled, as for worker processes of training, and is the same afterwards."""
    one = subject.made()
    other = pickle.loads(pickle.dumps(one))  # noqa: S301 (its own bytes)
    with torch.no_grad():
        expect_same(
            subject.outputs(one, subject.inputs()),
            subject.outputs(other, subject.inputs()),
            "after unpickling",
            exactly=True,
        )


@contextmanager
def _naming_state(module: nn.Module, fresh: nn.Module | None = None) -> Iterator[None]:
    """Add to a failure the attributes of a module that are neither parameters nor buffers but should be.

    fresh: a new module, to find numbers that have changed.
    """
    try:
        yield
    except Exception as problem:
        if names := unregistered(module, fresh):
            expect(False, f"{problem}; not parameters or buffers, and so neither saved nor moved: {', '.join(names)}")
        raise


def unregistered(module: nn.Module, fresh: nn.Module | None = None) -> list[str]:
    """Return the attributes of a module that hold tensors or modules but are not parameters, buffers or submodules.

    fresh: a new module; numbers that differ from its numbers are included, too.
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
    """A context in which torch's random numbers follow from a seed; their previous state is restored at its end."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def expect_same(wanted: Outputs, got: Outputs, when: str, *, exactly: bool = False) -> None:
    """Expect the same tensors; floating-point numbers may differ by rounding errors unless `exactly`."""
    for name, value in wanted.items():
        if name not in got:
            continue
        value, other = value.detach(), got[name].detach()
        expect(value.shape == other.shape, f"{name} is {tuple(other.shape)} {when}, not {tuple(value.shape)}")
        if exactly or not value.is_floating_point():
            expect(torch.equal(value, other), f"{name} differs {when}: {_difference(value, other)}")
        else:
            close = torch.allclose(value, other, rtol=1e-4, atol=1e-5 * float(value.abs().max().nan_to_num(1)) + 1e-8)
            expect(close, f"{name} differs {when}: {_difference(value, other)}")


def _difference(value: Tensor, other: Tensor) -> str:
    difference = (value.double() - other.double()).abs()
    return f"by up to {float(difference.max()):.3g}, in {float((difference > 0).double().mean()):.0%} of all values"


def expect_gradients(parts: Mapping[str, Tensor], to: Mapping[str, Tensor]) -> None:
    """Expect that the sum of squares of all parts has a finite, nonzero gradient with respect to each of `to`."""
    total = torch.stack([part.double().square().sum() for part in parts.values()]).sum()
    expect(total.requires_grad, f"{' and '.join(parts)} give no gradient at all")
    gradients = torch.autograd.grad(total, list(to.values()), allow_unused=True)
    for (name, _), gradient in zip(to.items(), gradients, strict=True):
        expect(gradient is None or bool(gradient.isfinite().all()), f"the gradient of {name} is not finite")
        reached = gradient is not None and bool(gradient.abs().sum() > 0)
        expect(reached, f"{name} gets no gradient from {' and '.join(parts)}")


def expect_derivative(function: Any, at: Tensor, name: str) -> None:
    """Expect that the gradient of a function of a float64 tensor agrees with finite differences along a direction.

    One of several distances between the points has to agree, as there may be a kink of the function between them.
    """
    direction = torch.randn(at.shape, dtype=at.dtype, generator=torch.Generator().manual_seed(5))
    point = at.clone().requires_grad_()
    value = function(point)
    expect(value.requires_grad, f"{name} has no gradient")
    weights = torch.randn(value.shape, dtype=value.dtype, generator=torch.Generator().manual_seed(6))
    (gradient,) = torch.autograd.grad(value, point, weights)
    claimed = float((gradient * direction).sum())
    found = []
    with torch.no_grad():
        for step in (1e-4, 1e-5, 1e-6):
            difference = function(at + step * direction) - function(at - step * direction)
            found.append(float((difference * weights).sum()) / (2 * step))
    error = min(abs(each - claimed) / max(abs(each), abs(claimed), 1e-6) for each in found)
    expect(
        error < 1e-3,
        f"along a direction, the gradient of {name} is {claimed:.6g}, the difference quotient {found[1]:.6g}",
    )
