"""Checks of components of every kind."""

import inspect
import subprocess
import sys
from typing import Any

from omega_core import contracts
from omega_core.plugins.options import NO_DEFAULT, Options
from omega_core.testing.checking import Checks, Subject, expect

checks: Checks[Subject] = Checks()


@checks.add
def plugin_imports_without_torch(subject: Subject) -> None:
    """The module of the entry point, which `omega --help` imports, does not import torch, lightning or matplotlib."""
    module = subject.plugin_module()
    program = f"import sys; before = set(sys.modules); import {module}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: S603
    expect(done.returncode == 0, f"importing {module} failed: {done.stderr.strip().splitlines()[-1:]}")
    heavy = {"torch", "lightning", "matplotlib"} & set(done.stdout.split())
    expect(not heavy, f"importing {module} imports {', '.join(sorted(heavy))}")


@checks.add
def target_is_of_its_kind(subject: Subject) -> None:
    """The target can be imported and derives from the contract of its kind. A trainer only needs the method `train`."""
    name = "BaselineCodec" if subject.kind == "codec" else subject.kind.capitalize()
    target, contract = subject.target(), getattr(contracts, name)
    expect(inspect.isclass(target), f"{target!r} is not a class")
    if subject.kind == "trainer":
        expect(callable(getattr(target, "train", None)), f"{target.__name__} has no method train")
        return
    expect(
        issubclass(target, contract), f"{target.__name__} does not derive from omega_core.contracts.{contract.__name__}"
    )
    left: frozenset[str] = getattr(target, "__abstractmethods__", frozenset())
    expect(not left, f"{target.__name__} does not implement {', '.join(sorted(left))}")


@checks.add
def can_be_made(subject: Subject) -> None:
    """It can be made with the sizes and options of the test; otherwise, checks that need an instance are skipped."""
    subject.make()


@checks.add
def options_can_be_typed(subject: Subject) -> None:
    """Each option has an annotation and a default of that type, so that recipes and commands can set and check it. No
    default is mutable, as all instances share it.
    """
    options = Options(subject.kind, subject.name, subject.target())
    for option in options.known.values():
        expect(option.type is not Any, f"the option {option.name} has no annotation that can be evaluated")
        if option.default is NO_DEFAULT:
            expect(option.name in subject.options, f"the option {option.name} has no default")
            continue
        shared = isinstance(option.default, (list, dict, set))
        expect(not shared, f"the default of {option.name} is a {type(option.default).__name__}: use a tuple or None")
        try:
            option.checked(option.default)
        except ValueError as problem:
            expect(False, f"the default of {option.name} {problem}")


@checks.add
def options_are_described(subject: Subject) -> None:
    """The docstring describes each option in a line `name: …`, which `omega list KIND NAME` shows."""
    options = Options(subject.kind, subject.name, subject.target())
    silent = [option.name for option in options.known.values() if not option.about]
    expect(not silent, f"it does not describe {', '.join(silent)}")
