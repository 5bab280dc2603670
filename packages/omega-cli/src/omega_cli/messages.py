"""Printing of messages, with control characters escaped so that they cannot affect the terminal."""

import json
from typing import Any

import typer

from omega_core.names import printable


def say(text: str = "", *, err: bool = False) -> None:
    """Print text of any number of lines.

    text: control characters in it, other than line feeds and tabs, are escaped.
    err: whether to print to standard error.
    """
    typer.echo(printable(text, keep="\n\t"), err=err)


def say_json(value: Any) -> None:
    """Print a value as JSON; objects that JSON cannot represent become text."""
    say(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def say_error(message: str) -> None:
    """Print an error as one line to standard error."""
    typer.echo(f"error: {printable(message)}", err=True)


def say_warning(message: str) -> None:
    """Print a warning as one line to standard error."""
    typer.echo(f"warning: {printable(message)}", err=True)


def many(count: int, unit: str) -> str:
    """Format a count with its unit, such as "1 picture" or "2 pictures"."""
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
