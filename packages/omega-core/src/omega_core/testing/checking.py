"""Subjects, checks, and the messages of failures."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from omega_core.plugins.registry import Registered, import_component, make, registry

GATES = ("target_is_of_its_kind", "can_be_made", "has_the_sizes_asked_for", "gives_the_shapes_of_the_contract")
"""The checks that run first, as far as a kind has them: if one fails, later ones would fail for the same reason."""
_ALWAYS = frozenset({"plugin_imports_without_torch", "options_can_be_typed", "options_are_described"})
"""The checks that need no instance of the component."""

AnySubject = TypeVar("AnySubject", bound="Subject")


class ContractError(AssertionError):
    """A component violates its contract. The message states what the contract requires and what was found."""


class Unclaimed(Exception):
    """The check is about something optional that this component does not claim to do."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A component to check.

    kind, name: its kind and name among the installed plugins; the name is bare or qualified.
    options: the options with which it is made.
    registered: the component itself, instead of looking up the name.
    module: the plugin module. Default: that of the installed plugin.
    """

    kind: str = ""
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    registered: Registered | None = None
    module: str = ""

    def found(self) -> Registered:
        """Return the registered component. Raises ComponentError."""
        return self.registered or registry().find(self.kind, self.name)

    def make(self) -> Any:
        """Return an instance, made as the codec makes it. Raises ComponentError."""
        return self.made_with()

    def plugin_module(self) -> str:
        """Return the plugin module that registers it."""
        if self.module:
            return self.module
        found = self.found()
        return next(plugin.module for plugin in registry().plugins if found in plugin.components)

    def target(self) -> Any:
        """Return its class. Raises ComponentError."""
        return import_component(self.found())

    def made_with(self, **given: Any) -> Any:
        """Return an instance, made as the codec makes it, with required arguments. Raises ComponentError."""
        return make(self.kind, self.name, self.target(), self.options, **given)


class Check(Generic[AnySubject]):
    """A check of a subject. The docstring of its function states what the contract requires."""

    def __init__(self, function: Callable[[AnySubject], None]) -> None:
        self.function = function
        self.name: str = function.__name__
        self.asks = " ".join((function.__doc__ or "").split())
        self.needs_gates = self.name not in (*_ALWAYS, *GATES)

    def __call__(self, subject: AnySubject) -> None:
        """Run the check. Raises ContractError, also for errors of the component itself, and Unclaimed."""
        try:
            self.function(subject)
        except Unclaimed:
            raise
        except Exception as problem:  # a component may raise anything
            is_finding = isinstance(problem, _Seen)
            seen = str(problem) if is_finding else f"{type(problem).__name__}: {problem}"
            asked = f"{subject.kind} {subject.name}, {self.name}. The contract requires: {self.asks}"
            raise ContractError(f"{asked} Found: {seen}") from (None if is_finding else problem)


class Checks(Generic[AnySubject]):
    """The checks of a kind, by name, in order."""

    def __init__(self, *others: "Checks[Any]") -> None:
        self.by_name: dict[str, Check[Any]] = {name: check for each in others for name, check in each.by_name.items()}

    def __iter__(self) -> Iterator[Check[Any]]:
        return iter(self.by_name.values())

    def add(self, function: Callable[[AnySubject], None]) -> Check[AnySubject]:
        """Add a function as a check, and return the check."""
        check = Check(function)
        self.by_name[check.name] = check
        return check

    def failures(self, subject: AnySubject, exempt: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the checks that fail, each with its message.

        exempt: checks to skip, each with the reason. Raises ValueError for an unknown check or a missing reason.
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
        """Return the first of the `GATES` that fails, with its message, or nothing. exempt: as for `failures`."""
        for name in GATES:
            if name in self.by_name and name not in exempt:
                try:
                    self.by_name[name](subject)
                except ContractError as failure:
                    return {name: str(failure)}
        return {}


def checked_exemptions(checks: Checks[Any], exempt: Mapping[str, str]) -> Mapping[str, str]:
    """Return the exemptions. Raises ValueError for an unknown check or a missing reason."""
    for name, reason in exempt.items():
        if name not in checks.by_name:
            raise ValueError(f"there is no check {name!r}; the checks are {', '.join(checks.by_name)}")
        if not str(reason).strip():
            raise ValueError(f"an exemption from {name} needs a reason")
    return exempt


class _Seen(Exception):
    """The component does not fulfill the contract. The message states what was found."""


def expect(holds: object, seen: str) -> None:
    """Fail the check with the message `seen` unless the condition holds."""
    if not holds:
        raise _Seen(seen)


def need(claimed: bool, what: str) -> None:
    """Skip the check unless the component claims to do `what`."""
    if not claimed:
        raise Unclaimed(f"it does not claim to {what}")


def raises(error: type[Exception], action: Callable[[], object]) -> bool:
    """Whether an action raises an error of the given type; other errors propagate."""
    try:
        action()
    except error:
        return True
    return False
