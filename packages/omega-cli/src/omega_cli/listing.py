"""`omega list` and `omega plugins`: what is installed, without importing it."""

import json
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def list_components(
    kind: Annotated[str | None, typer.Argument(help="Only this kind, such as quantizer.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the components that can be named: architectures, quantizers, priors and so on."""
    from omega_core.components import KINDS
    from omega_core.errors import ComponentError
    from omega_core.registry import registry

    if kind is not None and kind not in KINDS:
        raise ComponentError(f"there is no kind of component {kind!r}; the kinds are {', '.join(KINDS)}.")
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
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        print_table(rows)
        _warn_of_failures()


def list_plugins(as_json: AsJson = False) -> None:
    """List the plugins that are installed, with what they bring or why they failed."""
    from omega_core.registry import registry

    rows: list[dict[str, Any]] = [
        {
            "plugin": plugin.distribution,
            "version": plugin.version,
            "module": plugin.module,
            "status": plugin.error or ("left out by OMEGA_PLUGINS" if plugin.left_out else "ok"),
            "components": [f"{c.kind} {c.component.name}" for c in plugin.components],
        }
        for plugin in registry().plugins
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        print_table([{**row, "components": ", ".join(row["components"])} for row in rows])


def print_table(rows: list[dict[str, str]]) -> None:
    """Rows with the same keys, these above them."""
    if not rows:
        return
    widths = [max(len(row[name]) for row in [*rows, {name: name}]) for name in rows[0]]
    for row in [dict(zip(rows[0], rows[0], strict=True)), *rows]:
        typer.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row.values(), widths, strict=True)).rstrip())


def _warn_of_failures() -> None:
    from omega_core.registry import registry

    for plugin in registry().plugins:
        if plugin.error:
            typer.echo(f"warning: the plugin {plugin.distribution} failed to load: {plugin.error}", err=True)
