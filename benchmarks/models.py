"""Untrained models, where no trained one has the wanted sizes.

Their transforms and their quantizers take as long as after training. Their entropy coding may be faster: an untrained
prior `context` has one table for each channel, and does not evaluate its net. What a photo costs is therefore measured
with the bundled `compact`.
"""

from pathlib import Path

import torch

from omega_train.model_writing import export
from omega_train.recipe import load_recipe
from omega_train.task import CodecTask


def untrained(folder: Path, recipe: str, **changes: object) -> Path:
    """A model file of a recipe, with tables counted on noise. changes: settings, by the names of `load_recipe`."""
    path = folder / f"{recipe}{''.join(f'-{value}' for value in changes.values())}.safetensors"
    if not path.exists():
        task = CodecTask(load_recipe(recipe, changes)).eval()
        size = task.architecture.image_size or (128, 128)
        with torch.inference_mode():
            symbols = task.codec.encode_symbols(torch.rand(1, task.codec.colors, *size))
        if task.prior is not None and task.prior.observes:
            task.prior.recount()
            task.prior.observe(symbols, torch.tensor([task.recipe.channels]))
        export(task, path)
    return path
