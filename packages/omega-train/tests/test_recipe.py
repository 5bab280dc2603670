import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from omega_core.errors import ComponentError, RecipeError, TrainingError
from omega_core.plugins.registry import build
from omega_train import train
from omega_train.recipe import Recipe, load_recipe, recipe_names

PUBLISHED = [
    ("mnist-omega-8", "omega", (0, 8), (0.95, 0.999)),
    ("mnist-omega-16", "omega", (0, 16), (0.95, 0.999)),
    ("mnist-omega-32", "omega", (0, 32), (0.95, 0.999)),
    ("mnist-integer-8", "integer", (0, 8), (0.95, 0.999)),
    ("mnist-integer-16", "integer", (0, 16), (0.95, 0.999)),
    ("mnist-integer-32", "integer", (0, 32), (0.95, 0.999)),
    ("mnist-omega-16-lambda0.9-0.999", "omega", (0, 16), (0.9, 0.999)),
    ("mnist-omega-16-lambda0.85-0.9", "omega", (0, 16), (0.85, 0.9)),
    ("mnist-omega-16-min8-lambda0.95-0.999", "omega", (8, 16), (0.95, 0.999)),
    ("mnist-omega-16-min8-lambda0.9-0.999", "omega", (8, 16), (0.9, 0.999)),
    ("mnist-omega-16-min8-lambda0.85-0.9", "omega", (8, 16), (0.85, 0.9)),
    ("mnist-integer-16-min8-lambda0.9-0.999", "integer", (8, 16), (0.9, 0.999)),
]


@pytest.mark.parametrize(("name", "quantizer", "channels", "weights"), PUBLISHED)
def test_a_shipped_recipe_has_the_published_settings(
    name: str, quantizer: str, channels: tuple[int, int], weights: tuple[float, float]
) -> None:
    recipe = load_recipe(name)
    assert (recipe.quantizer, recipe.alphabet, recipe.batch_size, recipe.epochs) == (quantizer, 256, 512, 1000)
    assert (recipe.channels_min, recipe.channels) == channels
    assert (recipe.lambda_min, recipe.lambda_max) == weights
    assert (recipe.learning_rate, recipe.weight_decay) == (1e-3, 1e-5)
    assert recipe.latent_channels == (32 if quantizer == "omega" else recipe.channels)


PHOTOS = [
    ("openimages-omega-480", "omega", (0, 480), (0.95, 0.999)),
    ("openimages-integer-480", "integer", (0, 480), (0.95, 0.999)),
    ("openimages-integer-960", "integer", (0, 960), (0.95, 0.999)),
    ("openimages-omega-480-variable", "omega", (480, 480), (0.99, 0.99)),
    ("openimages-omega-480-fixed", "omega", (480, 480), (1.0, 1.0)),
]


@pytest.mark.parametrize(("name", "quantizer", "channels", "weights"), PHOTOS)
def test_a_shipped_recipe_for_photos_has_the_published_settings(
    name: str, quantizer: str, channels: tuple[int, int], weights: tuple[float, float]
) -> None:
    recipe = load_recipe(name)
    assert (recipe.quantizer, recipe.alphabet, recipe.batch_size, recipe.epochs) == (quantizer, 32, 32, 10)
    assert (recipe.channels_min, recipe.channels) == channels
    assert (recipe.lambda_min, recipe.lambda_max) == weights
    assert (recipe.learning_rate, recipe.weight_decay) == (1e-4, 1e-5)
    assert recipe.latent_channels == recipe.channels
    assert recipe.dataset_options == {"crop": 256, "scale_min": 0.75, "scale_max": 0.95}


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_survives_being_written(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.description
    (tmp_path / "again.toml").write_text(recipe.to_toml())
    assert load_recipe(str(tmp_path / "again.toml")) == recipe
    assert "_" not in recipe.to_toml()


def test_another_component_takes_the_description_away() -> None:
    described = load_recipe("mnist-omega-8")
    assert load_recipe("mnist-omega-8", {"quantizer": "omega", "steps": 3}).description == described.description
    qualified = load_recipe("mnist-omega-8", {"quantizer": "omega-quant/omega"})
    assert (qualified.description, qualified.quantizer_options) == (described.description, described.quantizer_options)
    assert load_recipe("mnist-omega-8", {"dataset": "glyphs"}).description == described.description
    assert load_recipe("mnist-omega-8", {"prior": "regression"}).description == ""
    assert load_recipe("mnist-omega-8", {"channels": "0:16"}).description == ""
    assert load_recipe("mnist-omega-8", {"prior": "regression", "description": "mine"}).description == "mine"


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"channels": "9:3"}, "the minimum has to be from 0 to the maximum"),
        ({"channels": "many"}, "such as 16 or 0:16"),
        ({"channels": "1:2:3"}, "such as 16 or 0:16"),
        ({"channels": 16}, "one rate has one lambda"),
        ({"channels": 0}, "channels has to be from 1 to 65536"),
        ({"channels": 10**30}, "channels has to be from 1 to 65536"),
        ({"lambda": "0.9:1.2"}, "λ has to be from 0 to 1"),
        ({"lambda": "0.9:0.8"}, "λ has to be from 0 to 1, and the minimum"),
        ({"lambda": "nan"}, "λ has to be from 0 to 1"),
        ({"epochs": 3, "steps": 3}, "either epochs or steps"),
        ({"steps": 0}, "steps has to be at least 1"),
        ({"batch-size": "large"}, "batch-size has to be an integer, not 'large'"),
        ({"batch-size": True}, "batch-size has to be an integer"),
        ({"learning-rate": -1.0}, "learning-rate has to be above 0"),
        ({"learning-rate": math.inf}, "learning-rate has to be a number, not inf"),
        ({"weight-decay": math.inf}, "weight-decay has to be a number, not inf"),
        ({"learning-rate": 10**400}, "the number for learning-rate is too large"),
        ({"draw-exponent": 0.0}, "draw-exponent has to be above 0"),
        ({"schedule": "linear"}, "schedule is one of constant, cosine, not 'linear'"),
        ({"warmup": -1}, "warmup cannot be negative"),
        ({"gradient-clip": 0}, "gradient-clip has to be above 0"),
        ({"ema": 1.0}, "ema has to be at least 0 and below 1"),
        ({"decoder-share": -0.1}, "decoder-share has to be at least 0 and below 1"),
        ({"rate-warmup": 1.0}, "rate-warmup has to be at least 0 and below 1"),
        ({"quantizer-learning-rate": -1.0}, "quantizer-learning-rate cannot be negative"),
        ({"reset-dead-every": 0}, "reset-dead-every has to be at least 1"),
        ({"sort-channels": 1}, "sort-channels has to be true or false, not 1"),
        ({"seed": -1}, "seed is a number from 0"),
        ({"batchsize": 3}, "Did you mean 'batch-size'?"),
        ({"quantizer-options": 3}, "quantizer-options has to be a table"),
    ],
)
def test_a_setting_that_cannot_be_is_named(overrides: dict[str, Any], complaint: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("mnist-omega-8", overrides)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("setting", ["optimizer", "schedule", "seed", "ema", "batch_size"])
def test_a_setting_that_is_not_optional_cannot_be_none(setting: str) -> None:
    recipe = load_recipe("mnist-omega-8")
    with pytest.raises(RecipeError, match=f"{setting.replace('_', '-')} .*None"):
        replace(recipe, **{setting: None})
    assert replace(recipe, gradient_clip=None).gradient_clip is None


def test_a_misspelt_recipe_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe("compact-omga")
    assert str(caught.value) == (
        "there is no recipe 'compact-omga'. Did you mean 'compact-omega'? `omega models --recipes` lists all."
    )
    with pytest.raises(RecipeError, match=f"there is no recipe 'x'. Recipes: {', '.join(recipe_names())}; or give"):
        load_recipe("x")


def test_a_recipe_that_is_not_toml_or_not_there_is_named(tmp_path: Path) -> None:
    for text in ("channels = ", "seed = " + "1" * 5000, "a = " + "[" * 3000):
        (tmp_path / "bad.toml").write_text(text)
        with pytest.raises(RecipeError, match=r"bad\.toml is not TOML"):
            load_recipe(str(tmp_path / "bad.toml"))
    with pytest.raises(RecipeError, match=r"cannot read the recipe .*none\.toml"):
        load_recipe(str(tmp_path / "none.toml"))


def test_steps_replace_epochs_and_none_replaces_nothing() -> None:
    recipe = load_recipe("mnist-omega-8", {"steps": 7, "seed": None})
    assert (recipe.steps, recipe.epochs, recipe.seed) == (7, None, 42)


def test_another_component_does_not_inherit_options(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('steps = 1\nquantizer = "omega"\n[quantizer-options]\nstart = "scalar"\n')
    assert load_recipe(str(path)).quantizer_options == {"start": "scalar"}
    assert load_recipe(str(path), {"quantizer": "integer"}).quantizer_options == {}


def test_another_optimizer_does_not_inherit_the_learning_rate_of_matrices(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('steps = 1\noptimizer = "muon"\nmatrix-learning-rate = 0.02\n')
    changed = load_recipe(str(path), {"optimizer": "adam"})
    assert (changed.optimizer, changed.matrix_learning_rate) == ("adam", None)
    assert load_recipe(str(path), {"optimizer": "muon"}).matrix_learning_rate == 0.02
    with pytest.raises(RecipeError, match="matrix-learning-rate"):
        load_recipe(str(path), {"optimizer": "adam", "matrix-learning-rate": 0.01})


def test_a_recipe_from_python_is_checked_too(tiny: Callable[..., Recipe]) -> None:
    with pytest.raises(RecipeError, match="the minimum has to be from 0"):
        tiny(channels_min=9)


def test_options_from_the_command_are_added_to_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('quantizer = "omega"\nsteps = 1\n[quantizer-options]\nstart = "scalar"\ntemperature = 3\n')
    changed = load_recipe(str(path), {"quantizer-options": {"temperature": 5.0, "temperature-growth": 2.0}})
    assert changed.quantizer_options == {"start": "scalar", "temperature": 5.0, "temperature_growth": 2.0}
    other = load_recipe(str(path), {"quantizer": "integer", "quantizer-options": {"levels": 3}})
    assert other.quantizer_options == {"levels": 3}


def test_none_survives_being_written(tmp_path: Path, tiny: Callable[..., Recipe]) -> None:
    recipe = tiny(quantizer_options={"temperature": None})
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    again = load_recipe(str(tmp_path / "recipe.toml"))
    assert again.quantizer_options == recipe.quantizer_options == {"temperature": "none"}
    assert build("quantizer", "omega", again.quantizer_options, latent_channels=2, channels=2, alphabet=4)


def test_options_from_python_become_those_that_are_read_again(tmp_path: Path, tiny: Callable[..., Recipe]) -> None:
    recipe = tiny(quantizer_options={"stages": (1, 2)})
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    assert load_recipe(str(tmp_path / "recipe.toml")) == recipe


def test_options_of_the_trainer_can_be_in_a_recipe(tiny: Callable[..., Recipe], tmp_path: Path) -> None:
    with pytest.raises(
        ComponentError, match="the option workers of the trainer 'lightning' has to be none or an integer"
    ):
        train(tiny(trainer_options={"workers": "many"}), tmp_path / "run")
    with pytest.raises(TrainingError, match="workers have to be 0 or more, not -1"):
        train(tiny(trainer_options={"workers": 2}), tmp_path / "run", workers=-1)


def test_a_recipe_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("steps = 7\n", "utf-8")
    plain = load_recipe(str(path))
    for encoding in ("utf-8-sig", "utf-16"):  # PowerShell redirects output in the latter
        path.write_text("steps = 7\n", encoding, newline="\r\n")
        assert load_recipe(str(path)) == plain
