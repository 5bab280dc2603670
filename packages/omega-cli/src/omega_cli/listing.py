"""`omega list` and `omega plugins`: installed components and plugins. Only a component shown in full is imported."""

import shutil
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_cli import completions
from omega_cli.messages import say, say_json, say_warning
from omega_cli.options import AsJson

if TYPE_CHECKING:
    from omega_core.plugins.registry import Plugin

_NARROW = 30
"""The smallest useful width of a column with text."""


def _names(context: typer.Context, beginning: str) -> list[str]:
    """Complete the name of a component of the given kind."""
    return completions.components(context.params["kind"])(beginning)


def list_components(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="KIND", autocompletion=completions.kinds, help="Only this kind, such as quantizer."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", autocompletion=_names, help="A component to describe with its options."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the installed components: architectures, quantizers, priors, coders, datasets, trainers and codecs."""
    from omega_core.plugins.registry import registry

    if kind is not None and name is not None:
        _show_in_full(kind, name, as_json)
        return
    found = registry().components(kind)
    bare = [(c.kind, c.component.name) for c in found]
    rows = [
        {
            "kind": c.kind,
            "name": c.component.name if bare.count((c.kind, c.component.name)) == 1 else c.qualified_name,
            "from": c.distribution,
            "summary": c.component.summary,
        }
        for c in found
    ]
    if as_json:
        say_json(rows)
    else:
        print_table(rows)
        _warn_of_failures()


def _show_in_full(kind: str, name: str, as_json: bool) -> None:
    """Print a component with its options. The component is imported."""
    import inspect

    from omega_core.plugins.options import NO_DEFAULT, Options, type_name
    from omega_core.plugins.registry import import_component, registry

    found = registry().find(kind, name)
    target = import_component(found)
    options = [
        {
            "option": option.key,
            "type": type_name(option.type),
            "default": "" if option.default is NO_DEFAULT else option.default,
            "required": option.default is NO_DEFAULT,
            "about": option.about,
        }
        for option in Options(kind, name, target).known.values()
    ]
    facts = {
        "kind": kind,
        "name": found.component.name,
        "from": found.distribution,
        "version": next((p.version for p in registry().plugins if found in p.components), ""),
        "target": found.component.target,
        "summary": found.component.summary,
    }
    about = inspect.getdoc(target) or ""
    if as_json:
        say_json({**facts, "about": about, "options": options})
        return
    for fact, value in facts.items():
        say("\n".join(_wrapped(f"{fact:<8} {value}", indent=9)))
    say("\n" + "\n".join(line for text in about.splitlines() for line in _wrapped(text)) + "\n")
    if not options:
        say("no options")
    rows = [{**option, "default": _default(option)} for option in options]
    print_table([{key: str(value) for key, value in row.items() if key != "required"} for row in rows])


def _default(option: dict[str, Any]) -> str:
    """The default value of an option, as it would be written on the command line."""
    value = option["default"]
    if option["required"]:
        return "required"
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def list_plugins(as_json: AsJson = False) -> None:
    """List the installed plugins with their components, and the reasons for errors and warnings."""
    from omega_core.plugins.registry import registry
    from omega_core.plugins.versions import core_range

    rows: list[dict[str, Any]] = [
        {
            "plugin": plugin.distribution,
            "version": plugin.version,
            "module": plugin.module,
            "made_for": f"omega-core {core_range(plugin.distribution) or ''}".strip(),
            "status": _status(plugin),
            "components": [f"{c.kind} {c.name}" for c in plugin.components]
            + [f"model {m.name}" for m in plugin.models],
        }
        for plugin in registry().plugins
    ]
    if as_json:
        say_json(rows)
    else:
        print_table([{**row, "components": ", ".join(row["components"])} for row in rows])


def _status(plugin: "Plugin") -> str:
    if plugin.left_out:
        return "left out by OMEGA_PLUGINS"
    nothing = "" if plugin.error or plugin.components or plugin.models else "its hooks return nothing"
    return "; ".join(filter(None, [plugin.error, nothing, plugin.out_of_range, *plugin.remarks])) or "ok"


def print_table(rows: list[dict[str, str]]) -> None:
    """Print rows with the same keys as a table whose head has the keys, with spaces for underscores.

    In a terminal, long text in the last column is wrapped, or moved below its row if little width is left for it.
    """
    if not rows:
        return
    *widths, longest = (max(len(row[name]) for row in [*rows, {name: name}]) for name in rows[0])
    start = sum(width + 2 for width in widths)
    room = _terminal_width() - start
    below = longest > _NARROW and room < _NARROW
    head = {name: name.replace("_", " ") for name in rows[0]}
    for row in [head, *rows]:
        *cells, last = row.values()
        line = "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True))
        if below:
            lines = [line, *(() if row is head else _wrapped(f"    {last}"))]
        else:
            first, *more = _wrapped(last, width=max(room, _NARROW))
            lines = [line + first, *(" " * start + each for each in more)]
        say("\n".join(each.rstrip() for each in lines))


def _wrapped(line: str, *, width: int | None = None, indent: int | None = None) -> list[str]:
    """Wrap a line between words.

    width: the width of all lines; None is that of the terminal.
    indent: the indentation of further lines; None is that of the line.
    """
    return textwrap.wrap(
        line,
        _terminal_width() if width is None else width,
        subsequent_indent=" " * (len(line) - len(line.lstrip()) if indent is None else indent),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


def _terminal_width() -> int:
    """Columns of the terminal, or of the environment variable COLUMNS; practically unlimited without either."""
    return shutil.get_terminal_size((1 << 16, 24)).columns


def _warn_of_failures() -> None:
    from omega_core.plugins.registry import registry

    for plugin in registry().plugins:
        if plugin.error:
            say_warning(f"the plugin {plugin.distribution} failed to load: {plugin.error}")
        for remark in plugin.remarks:
            say_warning(f"the plugin {plugin.distribution}: {remark}")
