"""What a shell completes: names of models, recipes, components and kinds. No component is imported for that."""

from collections.abc import Callable, Iterable

Completion = Callable[[str], list[str]]
"""From the beginning of a word to the words that it can become; none where files are meant, which shells know."""


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
    """Names of either."""
    return models(beginning) + recipes(beginning)


def kinds(beginning: str) -> list[str]:
    """Kinds of components."""
    from omega_core.plugins.components import KINDS

    return _matching(beginning, KINDS)


def components(kind: str) -> Completion:
    """Return what completes names of components. kind: of them."""

    def complete(beginning: str) -> list[str]:
        from omega_core.plugins.registry import registry

        return _matching(beginning, (each.name for each in registry().components(kind)))

    return complete


def several(complete: Completion) -> Completion:
    """Return what completes the last of several names with commas between them. complete: completes one."""

    def complete_last(beginning: str) -> list[str]:
        before, comma, last = beginning.rpartition(",")
        given = before.split(",")
        return [f"{before}{comma}{name}" for name in complete(last) if name not in given]

    return complete_last


def devices(beginning: str) -> list[str]:
    """Names of devices, whether this machine has them or not: only torch knows."""
    return _matching(beginning, ("auto", "cpu", "cuda", "mps", "xpu"))


def _matching(beginning: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(beginning)})
