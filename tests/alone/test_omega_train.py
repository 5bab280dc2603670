"""omega-train without the command."""

from importlib.metadata import distributions
from pathlib import Path

import omega_core
from omega_train import load_recipe, recipe_names, train


def test_it_brings_no_command() -> None:
    installed = {distribution.name for distribution in distributions()}
    assert not installed & {"omega-cli", "typer", "torchac"}


def test_recipes_are_in_the_wheel_and_train(tmp_path: Path) -> None:
    assert "mnist-omega-16" in recipe_names()
    few = {"training": 64, "validation": 32}
    recipe = load_recipe("glyphs-omega-8", {"steps": 2, "batch-size": 32, "dataset-options": few})
    assert omega_core.load_model(train(recipe, tmp_path / "run")).channels == 8
