"""The models and codecs of an evaluation, by their names in tables and files."""

from collections.abc import Sequence
from pathlib import Path

from omega_cli.options import LazyCodec, LazyModel, parsed_options
from omega_core.errors import OmegaError
from omega_core.locations import location_of
from omega_core.names import as_text


def models_by_name(paths: Sequence[str], max_pixels: int | None, device: str, quiet: bool) -> dict[str, LazyModel]:
    """Models by name: the stem of the file, or the name of its folder if the file is called model.safetensors."""
    from omega_core.codec.model_names import split_fingerprint

    locations = [location_of(split_fingerprint(path)[0]).resolve() for path in paths]
    if twice := next(
        (path for path, location in zip(paths, locations, strict=True) if locations.count(location) > 1), None
    ):
        raise OmegaError(f"the model {twice} is given twice.")
    short = [
        as_text(Path(location.parent.name if location.stem == "model" else location.stem)) for location in locations
    ]
    long = [as_text(Path(str(location.parent / location.stem).replace("://", "/"))) for location in locations]
    names = [
        name if short.count(name) == 1 else other.strip("/").replace(":", "").replace("/", "-")
        for name, other in zip(short, long, strict=True)
    ]
    return {name: LazyModel(path, max_pixels, device, quiet=quiet) for name, path in zip(names, paths, strict=True)}


def with_coders(models: dict[str, LazyModel], coders: Sequence[str]) -> dict[str, tuple[LazyModel, str | None]]:
    """Each model with each coder, named MODEL-CODER; or with its own coder if there are no coders."""
    if not coders:
        return {name: (model, None) for name, model in models.items()}
    if twice := next((coder for coder in coders if coders.count(coder) > 1), None):
        raise OmegaError(f"the coder {twice} is given twice.")
    return {f"{name}-{coder.replace('/', '-')}": (model, coder) for name, model in models.items() for coder in coders}


def codecs_by_name(names: Sequence[str], texts: Sequence[str]) -> dict[str, LazyCodec]:
    """Baseline codecs by their names in tables and files, in which a hyphen replaces the slash.

    names: bare or qualified names of codecs. texts: options such as "webp.method=4".

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
