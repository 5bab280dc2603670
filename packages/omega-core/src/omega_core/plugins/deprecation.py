"""Renamed arguments that still work, with a warning."""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from omega_core.errors import OmegaDeprecationWarning

Function = TypeVar("Function", bound=Callable[..., Any])


def renamed(old: str, new: str, *, since: str) -> Callable[[Function], Function]:
    """Decorate a function or `__init__` so that it also takes an argument under its former name, with a warning.

    old, new: the former name and the current one.
    since: the version that renamed the argument.

    This also works for options of components: recipes and model files with the former name remain valid.
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
    """Return (current name, version of the change) by former name, for the arguments of a function or class."""
    made_by = target.__init__ if inspect.isclass(target) else target
    return getattr(made_by, "renamed_arguments", {})


def warn_of(old: str, new: str, since: str, *, stacklevel: int) -> None:
    """Warn (OmegaDeprecationWarning) that `old` is replaced by `new` since a version of its distribution."""
    message = f"{old} is deprecated since version {since}; use {new}."
    warnings.warn(message, OmegaDeprecationWarning, stacklevel=stacklevel + 1)
