"""Shell completion of the names of models, recipes, components and kinds. No component is imported for it."""

from collections.abc import Callable, Iterable

Completion = Callable[[str], list[str]]
"""Maps the beginning of a word to possible words. An empty list lets the shell complete file names."""


def models(beginning: str) -> list[str]:
    """Names of bundled models."""
    from omega_core.plugins.registry import registry

    return _matching(beginning, (each.name for each in registry().models()))


def recipes(beginning: str) -> list[str]:
    """Names of recipes, if omega-train is installed."""
    try:
        import omega_train
    except ModuleNotFoundError:
        return []
    return _matching(beginning, omega_train.recipe_names())


def models_and_recipes(beginning: str) -> list[str]:
    """Names of bundled models and of recipes."""
    return models(beginning) + recipes(beginning)


def kinds(beginning: str) -> list[str]:
    """Kinds of components."""
    from omega_core.plugins.components import KINDS

    return _matching(beginning, KINDS)


def components(kind: str) -> Completion:
    """Return a function that completes the names of components of a kind."""

    def complete(beginning: str) -> list[str]:
        from omega_core.plugins.registry import registry

        return _matching(beginning, (each.name for each in registry().components(kind)))

    return complete


def several(complete: Completion) -> Completion:
    """Return a function that completes the last name of a comma-separated list. complete: completes one name."""

    def complete_last(beginning: str) -> list[str]:
        before, comma, last = beginning.rpartition(",")
        given = before.split(",")
        return [f"{before}{comma}{name}" for name in complete(last) if name not in given]

    return complete_last


def devices(beginning: str) -> list[str]:
    """Common device names. They may be unavailable on this machine: a check would need to import torch."""
    return _matching(beginning, ("auto", "cpu", "cuda", "mps", "xpu"))


def _matching(beginning: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(beginning)})
