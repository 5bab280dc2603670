"""`omega models`: what models, and the recipes that make them, consist of and cost."""

from contextlib import nullcontext, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omega_cli import completions
from omega_cli.info import description_of
from omega_cli.listing import print_table
from omega_cli.messages import say_json, say_warning
from omega_cli.options import AsJson, omega_train_for
from omega_core.errors import ComponentError, ModelFileError, OmegaError
from omega_core.places import Url, place_of

if TYPE_CHECKING:
    from omega_core.codec.complexity import Cost


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", autocompletion=completions.models_and_recipes, help="Models or recipes."),
    ] = None,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="Count parameters, and operations for a pixel, of each part.")
    ] = False,
    size: Annotated[
        str | None,
        typer.Option(help="Width×height, such as 768x512, to count operations for; implies --parameters."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List models, and the recipes that make others: all that are installed, if none is named."""
    sides = _sides(size)
    rows: list[dict[str, Any]] = []
    for entry in _named(names) if names else _all():
        facts = _costs(entry, sides) if parameters or sides else [_about(entry)]
        rows += [{"model": entry.name, "is": entry.what, **each} for each in facts]
    if as_json:
        say_json(rows)
    else:
        print_table([{key: _cell(key, value) for key, value in row.items()} for row in rows])


@dataclass(frozen=True)
class Entry:
    """A model, which may be an exported one, or a recipe where it has no path."""

    name: str
    path: Path | None = None

    @property
    def what(self) -> str:
        """Of these."""
        if self.path is None:
            return "recipe"
        return "exported model" if self.path.is_dir() else "model"


def _all() -> list[Entry]:
    """The bundled models, and the recipes if omega-train is installed."""
    from omega_core.plugins.registry import registry

    bundled = []
    for each in registry().models():
        try:
            bundled.append(Entry(each.name, each.path()))
        except ModelFileError as problem:
            say_warning(str(problem))
    if find_spec("omega_train") is None and bundled:
        return bundled
    with omega_train_for("the list of recipes"):
        import omega_train
    return bundled + [Entry(name) for name in omega_train.recipe_names()]


def _named(names: list[str]) -> list[Entry]:
    """What has these names; a model and a recipe, where both have one. What nobody knows is taken for a recipe."""
    from omega_core.codec.model_names import model_path, split_fingerprint
    from omega_core.codec.onnx.loading import is_exported
    from omega_core.plugins.registry import registry

    found = []
    for name in names:
        bare, fingerprint = split_fingerprint(name)
        place = place_of(bare)
        if is_exported(place):
            found.append(Entry(name, place))
            continue
        if fingerprint or isinstance(place, Url) or place.suffix == ".safetensors":
            found.append(Entry(name, model_path(name)))
            continue
        known = registry().models(name)
        if known:
            found.append(Entry(name, registry().find_model(name).path()))
        with suppress(ComponentError) if known else nullcontext(), omega_train_for("a recipe"):
            import omega_train

            if not known or name in omega_train.recipe_names():
                found.append(Entry(name))
    return found


def _about(entry: Entry) -> dict[str, Any]:
    """What a recipe or a model is."""
    if entry.path is not None:
        description, fingerprint = description_of(entry.path)
        prior = description.prior.name if description.prior else "none"
        return _row(description.architecture.name, description.quantizer.name, prior, description, fingerprint)
    with omega_train_for("a recipe"):
        import omega_train
    recipe = omega_train.load_recipe(entry.name)
    return _row(recipe.architecture, recipe.quantizer, recipe.prior, recipe)


def _row(architecture: str, quantizer: str, prior: str, source: Any, fingerprint: str = "") -> dict[str, Any]:
    least = source.channels_min
    channels = f"{least}:{source.channels}" if least < source.channels else str(source.channels)
    components = {"architecture": architecture, "quantizer": quantizer, "prior": prior}
    sizes = {"D": source.latent_channels, "channels": channels, "symbols": source.alphabet}
    return {**components, **sizes, "fingerprint": fingerprint}


def _costs(entry: Entry, size: tuple[int, int] | None) -> list[dict[str, Any]]:
    """What the parts of a recipe or a model cost. Raises ModelFileError for an exported model."""
    from omega_core.codec.complexity import costs

    if entry.path is not None:
        from omega_core.codec.model_parts import load_parts
        from omega_core.codec.onnx.loading import is_exported

        if is_exported(entry.path):
            raise ModelFileError(f"{entry.path} is for onnxruntime: count the parts of the model that it was made of.")
        parts = load_parts(entry.path)
        return _with_sum(costs(parts.codec, parts.prior, size))
    with omega_train_for("a recipe"):
        import omega_train
        from omega_train.task import CodecTask
    return _with_sum(costs(CodecTask(omega_train.load_recipe(entry.name)).eval().codec, size=size))


def _with_sum(parts: "list[Cost]") -> list[dict[str, Any]]:
    """The parts, and all together, as rows."""
    rows = [(part.part, part.parameters, part.kmac_per_pixel) for part in parts]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    return [{"part": name, "parameters": count, "kMAC per pixel": round(kmac, 3)} for name, count, kmac in rows]


def _cell(key: str, value: Any) -> str:
    if key == "fingerprint":
        return str(value[:8])
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


def _sides(text: str | None) -> tuple[int, int] | None:
    """(H, W) of "768x512". Raises OmegaError."""
    if text is None:
        return None
    try:
        width, height = (int(part) for part in text.lower().replace("×", "x").split("x"))
    except ValueError as problem:
        raise OmegaError(f"--size takes width and height such as 768x512, not {text!r}.") from problem
    if min(width, height) < 1:
        raise OmegaError(f"--size takes sides of at least 1 pixel, not {text!r}.")
    return height, width
