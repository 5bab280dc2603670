"""`omega info`: shows the contents of an `.omega` file or a model, without PyTorch."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from omega_cli import completions
from omega_cli.account import Account
from omega_cli.failures import reason_of
from omega_cli.input_files import STANDARD_INPUT, Input, find_files, input_argument, opened_input
from omega_cli.messages import say, say_json
from omega_cli.options import AsJson
from omega_core.errors import ModelFileError, OmegaError
from omega_core.locations import Location, Url
from omega_core.names import printable

if TYPE_CHECKING:
    from omega_core.codec.description import Description


def info(
    file: Annotated[
        Input,
        input_argument(
            "An .omega file, a model file or model name, a folder, or a URL; - reads standard input.",
            metavar="FILE",
            autocompletion=completions.models,
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show what an .omega file or a model contains; for a folder, a line for each file."""
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
    for name in ("recipe", "versions"):  # long; only in JSON
        facts.pop(name, None)
    lines = {name.replace("_", " "): value for name, value in _joined(facts).items()}
    width = max(len(name) for name in lines)
    for name, value in lines.items():
        say(f"{name:<{width}}  {_shown(value)}")
    if card:
        say(f"\n{card.strip()}")


def _named(given: Location) -> Location:
    """The file of a model that is given by its name or with a fingerprint; otherwise the path itself."""
    from omega_core.codec.model_names import model_path, split_fingerprint
    from omega_core.plugins.registry import registry

    if split_fingerprint(given)[1]:
        return model_path(given if isinstance(given, Url) else given.as_posix())
    if isinstance(given, Url) or given.exists() or given.suffix in (".omega", ".safetensors"):
        return given
    return model_path(given) if registry().models(given.as_posix()) else given


def about(file: Location) -> dict[str, Any]:
    """The contents of a file, a pack or a model. Raises OmegaError."""
    from omega_core.file_io import read_whole
    from omega_core.format.facts import describe
    from omega_core.format.header import MAGIC
    from omega_core.format.packs import is_pack, read_coded

    if file != STANDARD_INPUT:
        if file.is_dir():
            return _about_model(file)
        first = read_whole(file, first=len(MAGIC))
        if not (is_pack(first) or first == MAGIC or file.suffix.lower() == ".omega"):
            try:
                return _about_model(file)
            except ModelFileError as problem:
                if file.suffix.lower() == ".safetensors":
                    raise
                raise OmegaError(f"{file} is neither an .omega file nor a model.") from problem
    with opened_input(file) as stream:
        return describe(read_coded(stream))


def _about_folder(folder: Location, as_json: bool) -> None:
    """Print a line for each file, and an error for each file that cannot be read."""
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
            lines = _joined(facts)
            size = lines.get("size") or (f"{lines['pictures']} pictures" if "pictures" in lines else "")
            said = f"{size} {lines['mode']}, {lines['bytes']} bytes" if size else f"channels {lines['channels']}"
            mark = facts.get("model") or facts["fingerprint"][:8]
            say(f"{printable(name)}: {facts['kind']}, {said}, model {mark}")
    account.close(quiet=True)


def description_of(path: Location) -> "tuple[Description, str]":
    """The description and the fingerprint of a model, exported or not. Raises ModelFileError."""
    from omega_core.codec.model_file import read_description
    from omega_core.codec.onnx.loading import is_exported, read_coding

    if is_exported(path):
        contents = read_coding(path)
        return contents.description, contents.fingerprint
    return read_description(path)


def _about_model(path: Location) -> dict[str, Any]:
    description, fingerprint = description_of(path)
    values = asdict(description)
    components = ("architecture", "quantizer", "prior", "coder")
    return {
        "kind": "exported model" if path.is_dir() else "model",
        "about": description.text,
        "fingerprint": fingerprint,
        "fewest_channels": description.fewest_channels,
        "channels": description.channels,
        "symbols": description.alphabet,
        **{name: values[name] for name in ("latent_channels", *components, "recipe", "versions", "card")},
    }


def _joined(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts for people: sides and limits of a range in one text each."""
    found = {}
    for name, value in facts.items():
        if name == "width":
            found["size"] = f"{value}×{facts['height']}"
        elif name == "channels" and facts["fewest_channels"] < value:
            found["channels"] = f"{facts['fewest_channels']} to {value}"
        elif name not in ("height", "fewest_channels"):
            found[name] = value
    return found


def _shown(value: Any, nested: bool = False) -> str:
    if isinstance(value, dict) and set(value) == {"name", "options"}:
        return f"{value['name']} {_shown(value['options'])}".strip()
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_shown(inner, nested=True)}" for name, inner in value.items())
    if isinstance(value, list):
        items = ", ".join(map(_shown, value))
        return f"[{items}]" if nested else items
    return "none" if value is None else printable(str(value))
