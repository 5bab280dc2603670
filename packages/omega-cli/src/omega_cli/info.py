"""`omega info`: what is in an `.omega` file or a model, without torch."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from omega_cli.jobs import exit_status, files
from omega_core.errors import OmegaError


def info(
    file: Annotated[Path, typer.Argument(help="An .omega file or a model, or a folder of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is in an .omega file or a model, or in all those of a folder."""
    if file.is_dir():
        _about_folder(file, as_json)
        return
    facts = _about(file)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {_shown(value)}")


def _about(file: Path) -> dict[str, Any]:
    from omega_core.container import MAGIC
    from omega_core.files import read_whole

    data = read_whole(file, first=len(MAGIC))
    return _about_file(read_whole(file)) if data == MAGIC else _about_model(file)


def _about_folder(folder: Path, as_json: bool) -> None:
    """A row for each file; one that cannot be read is named, and does not stop the others."""
    found = files(folder, lambda path: path.suffix in (".omega", ".safetensors"))
    rows, failed = {}, 0
    for file in found:
        try:
            rows[str(file.relative_to(folder))] = _about(file)
        except OmegaError as problem:
            typer.echo(f"error: {file}: {problem}", err=True)
            failed += 1
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        for name, facts in rows.items():
            size = f"{facts['size']} {facts['mode']}, {facts['bytes']} bytes, " if facts["kind"] == "file" else ""
            mark = facts.get("model") or facts["fingerprint"][:8]
            typer.echo(f"{name}: {facts['kind']}, {size}channels {facts['channels']}, model {mark}")
    exit_status(failed, len(found))


def _about_file(data: bytes) -> dict[str, Any]:
    from omega_core.container import unpack

    container = unpack(data)
    pixels = container.width * container.height
    return {
        "kind": "file",
        "size": f"{container.width}×{container.height}",
        "mode": container.mode,
        "model": container.fingerprint.hex(),
        "coder": container.coder,
        "channels": container.channels,
        "bytes": len(data),
        "stream bytes": len(container.stream),
        "bpp": round(8 * len(data) / pixels, 4),
        "cuts": {str(channels): size for channels, size in container.cuts.items()},
    }


def _about_model(path: Path) -> dict[str, Any]:
    from omega_core.modelfile import read_description

    description, fingerprint = read_description(path)
    values = asdict(description)
    fewest = description.channels_min + 1 if description.adaptive else description.channels
    return {
        "kind": "model",
        "fingerprint": fingerprint,
        "about": values["text"],
        "architecture": values["architecture"],
        "quantizer": values["quantizer"],
        "prior": values["prior"],
        "coder": values["coder"],
        "latent channels": values["latent_channels"],
        "channels": f"{fewest} to {description.channels}" if description.adaptive else str(description.channels),
        "symbols": values["alphabet"],
        "recipe": values["recipe"],
        "versions": values["versions"],
    }


def _shown(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"name", "options"}:
        return f"{value['name']} {_shown(value['options'])}".strip()
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_shown(inner)}" for name, inner in value.items())
    return "none" if value is None else str(value)
