"""What a shell completes."""

import sys

import pytest

from omega_cli import completions
from omega_core.plugins.components import KINDS
from omega_core.plugins.registry import registry


def test_a_beginning_is_completed_to_the_names_that_have_it() -> None:
    assert completions.models("mnist-i") == ["mnist-integer-16"]
    assert completions.kinds("co") == ["codec", "coder"]
    assert completions.kinds("") == sorted(KINDS)
    assert completions.devices("c") == ["cpu", "cuda"]
    assert completions.models("./") == [], "a path, which shells know"


@pytest.mark.parametrize("kind", KINDS)
def test_all_components_of_a_kind_are_known(kind: str) -> None:
    assert completions.components(kind)("") == sorted({each.name for each in registry().components(kind)})


def test_recipes_are_known_where_omega_train_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "omega_train", None)
    assert completions.recipes("") == []
    assert completions.models_and_recipes("comp") == ["compact", "compact-screen", "compact-small"]


@pytest.mark.parametrize(
    ("beginning", "words"),
    [
        ("", ["fixed", "range", "raw"]),
        ("ra", ["range", "raw"]),
        ("fixed,", ["fixed,range", "fixed,raw"]),
        ("fixed,ran", ["fixed,range"]),
        ("raw,range,f", ["raw,range,fixed"]),
        ("fixed,fi", []),
    ],
)
def test_the_last_of_several_names_is_completed(beginning: str, words: list[str]) -> None:
    complete = completions.several(lambda start: [name for name in ("fixed", "range", "raw") if name.startswith(start)])
    assert complete(beginning) == words
