"""Generates reference.md from the docstrings of hooks, contracts and checks: `python docs/reference.py`.

tests/test_reference.py fails if the page does not match the docstrings.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cached_property
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from omega_core.coding import tables
from omega_core.plugins import hookspecs
from omega_core.plugins.components import KINDS, BundledModel, Component
from omega_core.plugins.options import GIVEN
from omega_core.testing import checks_of
from omega_train import Recipe

PAGE = Path(__file__).parent / "reference.md"
CONTRACTS = {
    "architecture": ("Architecture", "LocalArchitecture"),
    "quantizer": ("Quantizer", "Quantized", "Refinement"),
    "prior": ("Prior", "FrozenPrior"),
    "coder": ("Coder", "Decoder"),
    "dataset": ("Dataset", "Images"),
    "trainer": ("Trainer",),
    "codec": ("BaselineCodec",),
}

FUNCTIONS = {
    "omega_core.contracts": ("implements",),
    "omega_core.contracts.coder": ("check_symbols",),
    "omega_core.plugins.deprecation": ("renamed",),
    "omega_core.testing": ("failures",),
    "omega_train": ("CodecTask", "batches_of", "save", "CodecTask.training_step"),
}
"""Functions for authors of plugins, by the module from which they are imported."""


def page() -> str:
    """The whole page."""
    parts = [
        "# Hooks, contracts and checks\n",
        "Generated from docstrings by `python docs/reference.py`. Begin with [plugins.md](plugins.md).\n",
        f"## What a hook returns\n\n`omega_core.Component`\n\n{_text(Component)}\n",
    ]
    return "\n".join([*parts, *(_kind(kind) for kind in KINDS), _models(), _helpers()])


def _kind(kind: str) -> str:
    hook = f"omega_register_{kind}s"
    given = ", ".join(f"`{name}`" for name in sorted(GIVEN[kind]))
    made = f"Created with {given}; other arguments are options." if given else "Created with its options only."
    if kind == "coder":
        made = "Created without arguments: it has no options."
    lines = [
        f"## {kind.capitalize()}\n",
        f"Hook `{hook}() -> Iterable[Component]`: {inspect.getdoc(getattr(hookspecs, hook))}\n",
        f"{made}\n",
    ]
    module = import_module(f"omega_core.contracts.{kind}")
    lines += [_contract(module, name) for name in CONTRACTS[kind]]
    lines.append(f"### What the kit checks: `omega_core.testing.{kind.capitalize()}Contract`\n")
    subject = getattr(import_module(f"omega_core.testing.{kind}s"), f"{kind.capitalize()}Subject")
    lines.append(f"Attributes of the test class: {_text(subject)}\n")
    lines.append("| check | requirement |\n| --- | --- |")
    lines.append("\n".join(f"| `{check.name}` | {check.asks} |" for check in checks_of(kind)) + "\n")
    return "\n".join(lines)


def _models() -> str:
    hook = hookspecs.omega_register_models
    return (
        f"## Model\n\nHook `omega_register_models() -> Iterable[BundledModel]`: {inspect.getdoc(hook)}\n\n"
        f"### `omega_core.BundledModel`\n\n{_text(BundledModel)}\n"
    )


def _helpers() -> str:
    """The objects that components receive, and functions that their authors can use."""
    lines = ["## Helpers\n"]
    lines += [_contract(tables, name) for name in ("Tables", "Step", "FrozenTables")]
    for module, names in FUNCTIONS.items():
        lines.append(f"### `{module}`\n")
        lines += [*(_method(name, attrgetter(name)(import_module(module))) for name in names), ""]
    lines.append(f"### Settings of recipes: `omega_train.Recipe`\n\n{_text(Recipe)}\n")
    return "\n".join(lines)


def _contract(module: ModuleType, name: str) -> str:
    contract = getattr(module, name)
    lines = [f"### `{module.__name__}.{name}`\n", _text(contract), ""]
    if not is_dataclass(contract):
        lines += [f"- `{attribute}`" + (f": {told}" if told else "") for attribute, told in _attributes(contract)]
    for member, defined in vars(contract).items():
        function = getattr(defined, "__func__", defined)  # of a class method
        if member.startswith("_") or not inspect.getdoc(defined):
            continue
        if isinstance(function, property | cached_property):
            lines.append(f"- `{member}`: {_text(function)}")
        elif inspect.isroutine(function):
            lines.append(_method(member, function))
    return "\n".join(lines) + "\n"


def _method(name: str, function: object) -> str:
    needed = " **Required.**" if getattr(function, "__isabstractmethod__", False) else ""
    text = textwrap.indent(_text(function), "  ").strip()
    return f"- `{name}{_signature(function)}`:{needed} {text}"


def _signature(function: Any) -> str:
    """The signature as written in the source; for a class, that of `__init__`."""
    made_by = function.__init__ if inspect.isclass(function) else function
    [written] = ast.parse(textwrap.dedent(inspect.getsource(made_by))).body
    assert isinstance(written, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101 (for mypy)
    result = f" -> {ast.unparse(written.returns)}" if written.returns and not inspect.isclass(function) else ""
    return f"({ast.unparse(written.args)}){result}".replace("'", "")


def _attributes(contract: type) -> Iterator[tuple[str, str]]:
    """The annotated attributes of a class, each with the docstring below it."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(contract))).body
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for entry, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name):
            told = ""
            if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
                told = " ".join(str(following.value.value).split())
            declared = f"{entry.target.id}: {ast.unparse(entry.annotation)}"
            yield declared + (f" = {ast.unparse(entry.value)}" if entry.value else ""), told


def _text(thing: object) -> str:
    """A docstring with its entries `name: …` as a list."""
    lines = []
    for line in (inspect.getdoc(thing) or "").splitlines():
        name, colon, rest = line.partition(": ")
        entry = colon and all(part.isidentifier() for part in name.split(", ")) and not line.startswith(" ")
        lines.append(f"- `{name}`: {rest}" if entry else line)
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
