"""Checks of the options of codecs, and of the optional libraries of codecs and metrics."""

from importlib import import_module
from typing import Any

from omega_core.errors import ComponentError


def library(module: str, needed_by: str, install: str) -> Any:
    """Import an optional module.

    needed_by: the component that needs it, for messages, such as "codec jxl".
    install: the package to install if it is missing, such as "omega-train[jxl]".

    Raises ComponentError if the import fails.
    """
    try:
        return import_module(module)
    except (ImportError, OSError) as problem:  # OSError if a shared library cannot be loaded
        raise ComponentError(
            f"the {needed_by} needs the module {module}, which could not be imported ({problem}). Install {install}."
        ) from problem


def check_range(codec: str, option: str, value: int, lowest: int, highest: int) -> None:
    """Raise ComponentError unless the value of an option is within its range, both ends included."""
    if not lowest <= value <= highest:
        raise ComponentError(
            f"the option {option} of the codec {codec} has to be from {lowest} to {highest}, not {value}."
        )
