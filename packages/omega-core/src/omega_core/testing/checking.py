"""Subjects, checks, and the messages of failures."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from omega_core.plugins.registry import Registered, import_component, make, registry

GATES = ("target_is_of_its_kind", "can_be_made", "has_the_sizes_asked_for", "gives_the_shapes_of_the_contract")
"""Checks, as far as a kind has them, of which each needs those before, and without which others only fail likewise."""
_ALWAYS = frozenset({"plugin_imports_without_torch", "options_can_be_typed", "options_are_described"})
"""The checks that need no instance."""

AnySubject = TypeVar("AnySubject", bound="Subject")


class ContractError(AssertionError):
    """A component does not do what its contract asks: the message says what that is, and what was seen."""


class Unclaimed(Exception):
    """The check is about something that the contract leaves open and this component does not claim to do."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A component that is to be checked.

    kind, name: by which it is found among the installed plugins, bare or qualified.
    options: with which it is made.
    registered: what to check instead of looking for the name.
    module: the plugin module; that of the installed plugin if empty.
    """

    kind: str = ""
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    registered: Registered | None = None
    module: str = ""

    def found(self) -> Registered:
        """The component among those that are registered. Raises ComponentError."""
        return self.registered or registry().find(self.kind, self.name)

    def make(self) -> Any:
        """An instance, as the codec makes it. Raises ComponentError."""
        return self.made_with()

    def plugin_module(self) -> str:
        """The module that registers it."""
        if self.module:
            return self.module
        found = self.found()
        return next(plugin.module for plugin in registry().plugins if found in plugin.components)

    def target(self) -> Any:
        """Its class. Raises ComponentError."""
        return import_component(self.found())

    def made_with(self, **given: Any) -> Any:
        """An instance, made as the codec makes it. Raises ComponentError."""
        return make(self.kind, self.name, self.target(), self.options, **given)


class Check(Generic[AnySubject]):
    """A function of a subject that raises ContractError, and whose docstring says what the contract asks."""

    def __init__(self, function: Callable[[AnySubject], None]) -> None:
        self.function = function
        self.name: str = function.__name__
        self.asks = " ".join((function.__doc__ or "").split())
        self.needs_gates = self.name not in (*_ALWAYS, *GATES)

    def __call__(self, subject: AnySubject) -> None:
        """Check. Raises ContractError, also for whatever the component raises itself; Unclaimed."""
        try:
            self.function(subject)
        except Unclaimed:
            raise
        except Exception as problem:  # whatever a stranger's component raises
            told = isinstance(problem, _Seen)
            seen = str(problem) if told else f"{type(problem).__name__}: {problem}"
            asked = f"{subject.kind} {subject.name}, {self.name}. The contract asks: {self.asks}"
            raise ContractError(f"{asked} Seen: {seen}") from (None if told else problem)


class Checks(Generic[AnySubject]):
    """The checks of a kind, by name, in order."""

    def __init__(self, *others: "Checks[Any]") -> None:
        self.by_name: dict[str, Check[Any]] = {name: check for each in others for name, check in each.by_name.items()}

    def __iter__(self) -> Iterator[Check[Any]]:
        return iter(self.by_name.values())

    def add(self, function: Callable[[AnySubject], None]) -> Check[AnySubject]:
        """Make a check of a function."""
        check = Check(function)
        self.by_name[check.name] = check
        return check

    def failures(self, subject: AnySubject, exempt: Mapping[str, str] | None = None) -> dict[str, str]:
        """The checks that fail, and what each says.

        exempt: checks that are left out, each with the reason. Raises ValueError for one without, or that there is not.
        """
        exempt = checked_exemptions(self, exempt or {})
        closed = self.closed_gate(subject, exempt)
        failed = dict(closed)
        for check in self:
            try:
                if check.name not in (*exempt, *GATES) and not (check.needs_gates and closed):
                    check(subject)
            except Unclaimed:
                continue
            except ContractError as failure:
                failed[check.name] = str(failure)
        return failed

    def closed_gate(self, subject: AnySubject, exempt: Mapping[str, str]) -> dict[str, str]:
        """The first of the `GATES` that fails, and what it says; empty if none does. exempt: as for `failures`."""
        for name in GATES:
            if name in self.by_name and name not in exempt:
                try:
                    self.by_name[name](subject)
                except ContractError as failure:
                    return {name: str(failure)}
        return {}


def checked_exemptions(checks: Checks[Any], exempt: Mapping[str, str]) -> Mapping[str, str]:
    """The exemptions. Raises ValueError for one without a reason, or from a check that there is not."""
    for name, reason in exempt.items():
        if name not in checks.by_name:
            raise ValueError(f"there is no check {name!r} to be exempt from; there are {', '.join(checks.by_name)}")
        if not str(reason).strip():
            raise ValueError(f"an exemption from {name} needs a reason")
    return exempt


class _Seen(Exception):
    """What was seen instead of what the contract asks."""


def expect(holds: object, seen: str) -> None:
    """Say what was seen, unless the condition holds."""
    if not holds:
        raise _Seen(seen)


def need(claimed: bool, what: str) -> None:
    """Leave a check out where the component does not claim what it is about."""
    if not claimed:
        raise Unclaimed(f"it does not claim to {what}")


def raises(error: type[Exception], action: Callable[[], object]) -> bool:
    """Whether an action raises an error of a type; others are let through."""
    try:
        action()
    except error:
        return True
    return False
