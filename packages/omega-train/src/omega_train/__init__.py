"""Training of learned image codecs: data, recipes, a Lightning task and trainer."""

from typing import TYPE_CHECKING

from omega_core.lazy import lazily

if TYPE_CHECKING:
    from omega_train.recipe import Recipe as Recipe
    from omega_train.recipe import load_recipe as load_recipe
    from omega_train.recipe import recipe_names as recipe_names
    from omega_train.run import train as train

__version__ = "0.1.0"

__all__ = ["Recipe", "load_recipe", "recipe_names", "train"]

__getattr__ = lazily(
    __name__,
    {
        "Recipe": "omega_train.recipe",
        "load_recipe": "omega_train.recipe",
        "recipe_names": "omega_train.recipe",
        "train": "omega_train.run",
    },
)
