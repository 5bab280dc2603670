"""Pictures to measure with. Without omega-train, so that a process in which memory is measured can import it."""

import torch
from PIL import Image


def photo(width: int, height: int) -> Image.Image:
    """A picture with as much contrast in each octave of frequency as photos have (Field 1987), the same every time.

    Codecs take about as many bits per pixel as for a photo of 768×512, whatever its size.

    Making it takes many times its memory, so it is made in another process than the one in which memory is measured.
    """
    random = torch.Generator().manual_seed(1)
    pixels = torch.zeros(1, 3, height, width)
    for octave in range(1, 9):
        size = (1 + (height >> octave), 1 + (width >> octave))
        coarse = torch.rand(1, 1, *size, generator=random) + 0.3 * torch.rand(1, 3, *size, generator=random)
        pixels += torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    pixels -= pixels.min()
    return Image.fromarray((255 * pixels[0] / pixels.max()).byte().permute(1, 2, 0).numpy())
