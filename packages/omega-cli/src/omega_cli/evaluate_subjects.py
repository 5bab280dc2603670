"""The models and codecs of an evaluation, by the names that they have in its tables and files."""

from collections.abc import Sequence
from pathlib import Path

from omega_cli.options import LazyCodec, LazyModel, parsed_options
from omega_core.errors import OmegaError
from omega_core.names import as_text
from omega_core.places import place_of


def models_by_name(paths: Sequence[str], max_pixels: int | None, device: str, quiet: bool) -> dict[str, LazyModel]:
    """Models by their names: those of their files, or of their folders where a file is called model.safetensors."""
    from omega_core.codec.model_names import split_fingerprint

    places = [place_of(split_fingerprint(path)[0]).resolve() for path in paths]
    if twice := next((path for path, place in zip(paths, places, strict=True) if places.count(place) > 1), None):
        raise OmegaError(f"the model {twice} is given twice.")
    short = [as_text(Path(place.parent.name if place.stem == "model" else place.stem)) for place in places]
    long = [as_text(Path(str(place.parent / place.stem).replace("://", "/"))) for place in places]
    names = [
        name if short.count(name) == 1 else other.strip("/").replace("/", "-")
        for name, other in zip(short, long, strict=True)
    ]
    return {name: LazyModel(path, max_pixels, device, quiet=quiet) for name, path in zip(names, paths, strict=True)}


def with_coders(models: dict[str, LazyModel], coders: Sequence[str]) -> dict[str, tuple[LazyModel, str | None]]:
    """Each model with each coder, whose name is then a part of the model's; with its own coder if none is given."""
    if not coders:
        return {name: (model, None) for name, model in models.items()}
    if twice := next((coder for coder in coders if coders.count(coder) > 1), None):
        raise OmegaError(f"the coder {twice} is given twice.")
    return {f"{name}-{coder.replace('/', '-')}": (model, coder) for name, model in models.items() for coder in coders}


def codecs_by_name(names: Sequence[str], texts: Sequence[str]) -> dict[str, LazyCodec]:
    """Codecs to compare with by their names in tables and files, which have a hyphen for the slash.

    names: of codecs, bare or qualified. texts: options such as "webp.method=4".

    Raises OmegaError for unknown codecs and options, and for a codec that is given twice.
    """
    from omega_core.plugins.registry import registry

    qualified = {name: registry().find("codec", name).qualified_name for name in names}
    if twice := next((name for i, name in enumerate(names) if qualified[name] in map(qualified.get, names[:i])), None):
        raise OmegaError(f"the codec {twice} is given twice.")
    options: dict[str, list[str]] = {each: [] for each in qualified.values()}
    for text in texts:
        name, dot, option = text.partition(".")
        if not dot or "=" in name or "=" not in option:
            raise OmegaError(f"--codec-option takes NAME.OPTION=VALUE, such as webp.method=4, not {text!r}.")
        meant = registry().find("codec", name).qualified_name
        if meant not in options:
            raise OmegaError(f"--codec-option {text} is for a codec that --against does not name.")
        options[meant].append(option)
    return {
        name.replace("/", "-"): LazyCodec(name, parsed_options("codec", name, options[each]))
        for name, each in qualified.items()
    }
