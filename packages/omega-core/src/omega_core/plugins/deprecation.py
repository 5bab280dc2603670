"""Renamed arguments that still work, with a warning."""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from omega_core.errors import OmegaDeprecationWarning

Function = TypeVar("Function", bound=Callable[..., Any])


def renamed(old: str, new: str, *, since: str) -> Callable[[Function], Function]:
    """Let a function or `__init__` take its argument `new` under its former name `old` too, with a warning.

    since: the version that gave the former name up.

    Options of components are covered: recipes and model files that have the former name go on working.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def taking_both(*arguments: Any, **named: Any) -> Any:
            if old in named:
                if new in named:
                    raise TypeError(f"{old} is the former name of {new}: both were given")
                warn_of(old, new, since, stacklevel=2)
                named[new] = named.pop(old)
            return function(*arguments, **named)

        others = getattr(function, "renamed_arguments", {})
        taking_both.renamed_arguments = {**others, old: (new, since)}  # type: ignore[attr-defined]
        return taking_both  # type: ignore[return-value]

    return decorate


def renamed_arguments(target: Any) -> Mapping[str, tuple[str, str]]:
    """The former names of a function's or class's arguments: the new one, and the version that changed it."""
    made_by = target.__init__ if inspect.isclass(target) else target
    found: Mapping[str, tuple[str, str]] = getattr(made_by, "renamed_arguments", {})
    return found


def warn_of(old: str, new: str, since: str, *, stacklevel: int) -> None:
    """Warn (OmegaDeprecationWarning) of the use of something that was given up."""
    message = f"{old} is deprecated since omega-core {since}; use {new}."
    warnings.warn(message, OmegaDeprecationWarning, stacklevel=stacklevel + 1)
