"""`omega info`: what is in an `.omega` file or a model, without torch."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_cli import completions
from omega_cli.account import Account
from omega_cli.failures import reason_of
from omega_cli.input_files import STANDARD_INPUT, Input, find_files, input_place, opened_input
from omega_cli.messages import say, say_json
from omega_cli.options import AsJson
from omega_core.names import printable
from omega_core.places import Place, Url

if TYPE_CHECKING:
    from omega_core.codec.description import Description


def info(
    file: Annotated[
        Input,
        typer.Argument(
            parser=input_place,
            metavar="FILE",
            autocompletion=completions.models,
            help="An .omega file or a model, or a folder of them, or a URL; a model by its name; - for standard input.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show what is in an .omega file or a model, or in all those of a folder."""
    if file != STANDARD_INPUT:
        file = _named(file)
    if file.is_dir():
        from omega_core.codec.onnx.loading import is_exported

        if not is_exported(file):
            _about_folder(file, as_json)
            return
    facts = about(file)
    if as_json:
        say_json(facts)
        return
    card = facts.pop("card", "")
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        say(f"{name:<{width}}  {_shown(value)}")
    if card:
        say(f"\n{card.strip()}")


def _named(given: Place) -> Place:
    """The file of a model that is named, or whose fingerprint is given; else what is given, be it there or not."""
    from omega_core.codec.model_names import model_path, split_fingerprint
    from omega_core.plugins.registry import registry

    if split_fingerprint(given)[1]:
        return model_path(given)
    if isinstance(given, Url) or given.exists() or given.suffix in (".omega", ".safetensors"):
        return given
    return model_path(given) if registry().models(given.as_posix()) else given


def about(file: Place) -> dict[str, Any]:
    """What is in a file, a pack or a model. Raises OmegaError."""
    from omega_core.file_io import read_whole
    from omega_core.format.facts import describe
    from omega_core.format.header import MAGIC
    from omega_core.format.packs import is_pack, read_coded

    if file != STANDARD_INPUT:
        if file.is_dir():
            return _about_model(file)
        first = read_whole(file, first=len(MAGIC))
        if not (is_pack(first) or first == MAGIC or file.suffix.lower() == ".omega"):
            return _about_model(file)
    with opened_input(file) as stream:
        return describe(read_coded(stream))


def _about_folder(folder: Place, as_json: bool) -> None:
    """A row for each file; one that cannot be read is named, and does not stop the others."""
    account = Account()
    rows = {}
    for found in find_files([folder], lambda path: path.suffix.lower() in (".omega", ".safetensors"), account):
        try:
            rows[str(found.relative)] = about(found.source)
            account.done.add(str(found.source))
        except Exception as problem:
            account.fail(found.source, reason_of(problem))
    if as_json:
        say_json(rows)
    else:
        for name, facts in rows.items():
            size = facts["size"] if "size" in facts else f"{facts['pictures']} pictures" if "pictures" in facts else ""
            said = f"{size} {facts['mode']}, {facts['bytes']} bytes" if size else f"channels {facts['channels']}"
            mark = facts.get("model") or facts["fingerprint"][:8]
            say(f"{printable(name)}: {facts['kind']}, {said}, model {mark}")
    account.close(quiet=True)


def description_of(path: Place) -> "tuple[Description, str]":
    """The description and the fingerprint of a model, exported or not. Raises ModelFileError."""
    from omega_core.codec.model_file import read_description
    from omega_core.codec.onnx.loading import is_exported, read_coding

    if is_exported(path):
        contents = read_coding(path)
        return contents.description, contents.fingerprint
    return read_description(path)


def _about_model(path: Place) -> dict[str, Any]:
    description, fingerprint = description_of(path)
    values = asdict(description)
    fewest = description.channels_min + 1 if description.adaptive else description.channels
    return {
        "kind": "exported model" if path.is_dir() else "model",
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
        "card": values["card"],
    }


def _shown(value: Any, nested: bool = False) -> str:
    if isinstance(value, dict) and set(value) == {"name", "options"}:
        return f"{value['name']} {_shown(value['options'])}".strip()
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_shown(inner, nested=True)}" for name, inner in value.items())
    if isinstance(value, list):
        items = ", ".join(map(_shown, value))
        return f"[{items}]" if nested else items
    return "none" if value is None else printable(str(value))
