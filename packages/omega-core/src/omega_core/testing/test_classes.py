"""Test classes for pytest that run the checks.

    from omega_core.testing import QuantizerContract

    class TestMine(QuantizerContract):
        name = "mine"

The fields of the subject (`omega_core.testing.QuantizerSubject` and so on) are set as attributes. Checks that a
component need not pass are skipped with `exempt = {"name_of_the_check": "the reason"}`; pytest shows the reason.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any, ClassVar

from omega_core.testing.checking import GATES, Check, Checks, Subject, Unclaimed, checked_exemptions


def checks_of(kind: str) -> Checks[Any]:
    """Return the checks of a kind."""
    return import_module(f"omega_core.testing.{kind}s").checks


class _Contract:
    """Adds a method `test_…` for every check of a kind to each class that derives from one of those below."""

    kind: ClassVar[str]
    subject_class: ClassVar[type[Subject]]
    exempt: ClassVar[Mapping[str, str]] = {}
    _closed: ClassVar[str]

    def __init_subclass__(cls, *, kind: str = "", **others: Any) -> None:
        super().__init_subclass__(**others)
        if kind:
            cls.kind = kind
            cls.subject_class = getattr(import_module(f"omega_core.testing.{kind}s"), f"{kind.capitalize()}Subject")
        checks = checks_of(cls.kind)
        checked_exemptions(checks, cls.exempt)
        known = ["exempt", *(entry.name for entry in fields(cls.subject_class))]
        for name in vars(cls):
            if name not in known and (near := difflib.get_close_matches(name, known, n=1, cutoff=0.8)):
                raise ValueError(f"{cls.__name__} has the unknown attribute {name!r}. Did you mean {near[0]!r}?")
        for check in checks:
            setattr(cls, f"test_{check.name}", _test(check))

    @classmethod
    def closed_gate(cls) -> str:
        """Return the first of the `GATES` that fails, or ""; they run once for each class."""
        if "_closed" not in vars(cls):
            cls._closed = next(iter(checks_of(cls.kind).closed_gate(cls.subject(), cls.exempt)), "")
        return cls._closed

    @classmethod
    def subject(cls) -> Any:
        """Return the subject, from the attributes of this class."""
        names = [entry.name for entry in fields(cls.subject_class) if entry.name != "kind"]
        return cls.subject_class(**{name: getattr(cls, name) for name in names if hasattr(cls, name)})


def _test(check: Check[Any]) -> Callable[[Any], None]:
    def test(self: Any) -> None:
        import pytest

        if check.name in self.exempt:
            pytest.skip(f"{check.name}: exempt: {self.exempt[check.name]}")
        if (check.needs_gates or check.name in GATES) and self.closed_gate() not in ("", check.name):
            pytest.skip(f"{check.name}: skipped because {self.closed_gate()} fails")
        try:
            check(self.subject())
        except Unclaimed as reason:
            pytest.skip(f"{check.name}: {reason}")

    test.__doc__ = check.asks
    test.__name__ = f"test_{check.name}"
    return test


class ArchitectureContract(_Contract, kind="architecture"):
    """Tests of the contract of architectures: derive from it, and set `name`."""


class QuantizerContract(_Contract, kind="quantizer"):
    """Tests of the contract of quantizers: derive from it, and set `name`."""


class PriorContract(_Contract, kind="prior"):
    """Tests of the contract of priors: derive from it, and set `name`."""


class CoderContract(_Contract, kind="coder"):
    """Tests of the contract of coders: derive from it, and set `name`."""


class DatasetContract(_Contract, kind="dataset"):
    """Tests of the contract of datasets: derive from it, and set `name` and, if it needs a folder, `data`."""


class TrainerContract(_Contract, kind="trainer"):
    """Tests of the contract of trainers: derive from it, and set `name` and `recipe`."""


class CodecContract(_Contract, kind="codec"):
    """Tests of the contract of codecs: derive from it, and set `name`."""
