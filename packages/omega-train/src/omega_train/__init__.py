"""Training of learned image codecs: data, recipes, a Lightning task and trainer."""

from typing import TYPE_CHECKING

from omega_core.lazy import lazily

if TYPE_CHECKING:
    from omega_train.data.loader import batches_of as batches_of
    from omega_train.model_writing import save as save
    from omega_train.quantizer_fitting import fit_quantizer as fit_quantizer
    from omega_train.recipe import Recipe as Recipe
    from omega_train.recipe import load_recipe as load_recipe
    from omega_train.recipe import recipe_names as recipe_names
    from omega_train.run import train as train
    from omega_train.run_export import export_run as export_run
    from omega_train.task import CodecTask as CodecTask

__version__: str

__getattr__, __dir__, __all__ = lazily(__name__)
