"""`omega models`: lists models and recipes, with their components, parameters and operations."""

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
from omega_core.locations import Url, location_of

if TYPE_CHECKING:
    from omega_core.codec.complexity import Cost


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", autocompletion=completions.models_and_recipes, help="Models or recipes to show."
        ),
    ] = None,
    recipes: Annotated[
        bool, typer.Option("--recipes", help="List the recipes for `omega train` instead of the models.")
    ] = False,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="Count the parameters and the operations per pixel of each part.")
    ] = False,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT",
            help="Count the operations for pictures of this size, such as 768x512. Implies --parameters.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the installed models and their purpose, or show models and recipes by name.

    With --json alone, the list has all models and all recipes.
    """
    sides = _sides(size)
    counted = parameters or sides is not None
    if names and recipes:
        raise OmegaError("--recipes lists all recipes: leave it out, or the names.")
    entries = _named(names) if names else _all(models=not recipes, recipes=recipes or as_json)
    rows: list[dict[str, Any]] = []
    for entry in entries:
        facts = _costs(entry, sides) if counted else [_about(entry)]
        rows += [{"model": entry.name, "type": entry.type, **each} for each in facts]
    if as_json:
        say_json(rows)
    elif names or recipes or counted:
        print_table([{key: _cell(key, row[key]) for key in row if key != "summary"} for row in rows])
    else:
        print_table([{"model": row["model"], **_in_short(row)} for row in rows])


@dataclass(frozen=True)
class Entry:
    """A model, perhaps an exported one, or a recipe, which has no path. summary: its purpose, if it is known."""

    name: str
    path: Path | None = None
    summary: str = ""

    @property
    def type(self) -> str:
        """The word for the type of the entry."""
        if self.path is None:
            return "recipe"
        return "exported model" if self.path.is_dir() else "model"


def _all(*, models: bool, recipes: bool) -> list[Entry]:
    """All installed models and recipes. With `models`, recipes are left out if omega-train is not installed."""
    from omega_core.plugins.registry import registry

    found = []
    for each in registry().models() if models else ():
        try:
            found.append(Entry(each.name, each.path(), each.summary))
        except ModelFileError as problem:
            say_warning(str(problem))
    if not recipes or (found and find_spec("omega_train") is None):
        return found
    with omega_train_for("the list of recipes"):
        import omega_train
    return found + [Entry(name) for name in omega_train.recipe_names()]


def _named(names: list[str]) -> list[Entry]:
    """The models and recipes with these names, both if both exist. Unknown names are treated as recipes."""
    from omega_core.codec.model_names import model_path, split_fingerprint
    from omega_core.codec.onnx.loading import is_exported
    from omega_core.plugins.registry import registry

    found = []
    for name in names:
        bare, fingerprint = split_fingerprint(name)
        location = location_of(bare)
        if is_exported(location):
            found.append(Entry(name, location))
            continue
        if fingerprint or isinstance(location, Url) or location.suffix == ".safetensors":
            found.append(Entry(name, model_path(name)))
            continue
        known = registry().models(name)
        if known:
            model = registry().find_model(name)
            found.append(Entry(name, model.path(), model.summary))
        with suppress(ComponentError) if known else nullcontext(), omega_train_for("a recipe"):
            import omega_train

            if not known or name in omega_train.recipe_names():
                found.append(Entry(name))
    return found


def _about(entry: Entry) -> dict[str, Any]:
    """The components and sizes of a recipe or a model."""
    if entry.path is not None:
        description, fingerprint = description_of(entry.path)
        prior = description.prior.name if description.prior else "none"
        row = _row(description.architecture.name, description.quantizer.name, prior, description, fingerprint)
        return {**row, "summary": entry.summary or description.text}
    with omega_train_for("a recipe"):
        import omega_train
    recipe = omega_train.load_recipe(entry.name)
    return {**_row(recipe.architecture, recipe.quantizer, recipe.prior, recipe), "summary": recipe.description}


def _row(architecture: str, quantizer: str, prior: str, source: Any, fingerprint: str = "") -> dict[str, Any]:
    least = source.channels_min
    channels = f"{least}:{source.channels}" if least < source.channels else str(source.channels)
    components = {"architecture": architecture, "quantizer": quantizer, "prior": prior}
    sizes = {"latent_channels": source.latent_channels, "channels": channels, "symbols": source.alphabet}
    return {**components, **sizes, "fingerprint": fingerprint}


def _in_short(row: dict[str, Any]) -> dict[str, str]:
    """The columns of a row for the list of models."""
    least, colon, most = row["channels"].partition(":")
    channels = f"{int(least) + 1} to {most}" if colon else least
    return {"channels": channels, "fingerprint": row["fingerprint"][:8], "for": row["summary"]}


def _costs(entry: Entry, size: tuple[int, int] | None) -> list[dict[str, Any]]:
    """The parameters and operations of the parts of a recipe or a model. Raises ModelFileError for exported models."""
    from omega_core.codec.complexity import costs

    if entry.path is not None:
        from omega_core.codec.model_parts import load_parts
        from omega_core.codec.onnx.loading import is_exported

        if is_exported(entry.path):
            raise ModelFileError(
                f"{entry.path} is an exported model: count the parts of the model from which it was exported."
            )
        parts = load_parts(entry.path)
        return _with_sum(costs(parts.codec, parts.prior, size))
    with omega_train_for("a recipe"):
        import omega_train
        from omega_train.task import CodecTask
    return _with_sum(costs(CodecTask(omega_train.load_recipe(entry.name)).eval().codec, size=size))


def _with_sum(parts: "list[Cost]") -> list[dict[str, Any]]:
    """A row for each part, and one for their sum."""
    rows = [(part.part, part.parameters, part.kmac_per_pixel) for part in parts]
    rows.append(("all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    return [{"part": name, "parameters": count, "kmac_per_pixel": round(kmac, 3)} for name, count, kmac in rows]


def _cell(key: str, value: Any) -> str:
    if key == "fingerprint":
        return str(value[:8])
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


def _sides(text: str | None) -> tuple[int, int] | None:
    """Parse "768x512" as (H, W). Raises OmegaError."""
    if text is None:
        return None
    try:
        width, height = (int(part) for part in text.lower().replace("×", "x").split("x"))
    except ValueError as problem:
        raise OmegaError(f"--size takes width and height such as 768x512, not {text!r}.") from problem
    if min(width, height) < 1:
        raise OmegaError(f"--size takes sides of at least 1 pixel, not {text!r}.")
    return height, width
