"""Untrained models and pictures to measure: times do not depend on weights."""

from pathlib import Path

import torch
from PIL import Image

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


def photo(width: int, height: int) -> Image.Image:
    """A picture with as much contrast in each octave of frequency as photos have (Field 1987), the same every time.

    Codecs take about as many bits per pixel as for a photo of 768×512, whatever its size.
    """
    random = torch.Generator().manual_seed(1)
    pixels = torch.zeros(1, 3, height, width)
    for octave in range(1, 9):
        size = (1 + (height >> octave), 1 + (width >> octave))
        coarse = torch.rand(1, 1, *size, generator=random) + 0.3 * torch.rand(1, 3, *size, generator=random)
        pixels += torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    pixels -= pixels.min()
    return Image.fromarray((255 * pixels[0] / pixels.max()).byte().permute(1, 2, 0).numpy())
