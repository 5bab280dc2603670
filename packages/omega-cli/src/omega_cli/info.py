"""`omega info`: what is in an `.omega` file or a model, without torch."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer


def info(
    file: Annotated[Path, typer.Argument(help="An .omega file or a model.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what is in an .omega file or a model."""
    from omega_core.container import MAGIC
    from omega_core.files import read_whole

    data = read_whole(file, first=len(MAGIC))
    facts = _about_file(read_whole(file)) if data == MAGIC else _about_model(file)
    if as_json:
        typer.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {_shown(value)}")


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
