"""The parameters that make the channels of Ω scalar quantizers, each along one direction of the latent.

    a[c, s] = gain[c]·slope[s]·(direction[c]·y) + bias[s]      table[c, s] = step[c]·point[s]·direction[c]

The cells (`omega_quant.scalar_cells`) determine slope, bias, point and grid of each symbol, in steps of 1.
"""

import torch
from torch import Tensor, nn

from omega_quant.scalar_cells import Cells


def scalar_directions(rows: int, latent_channels: int, *, along_latents: bool) -> Tensor:
    """Return directions (rows, D): unit vectors along the latents, or random orthogonal ones."""
    directions = torch.empty(rows, latent_channels)
    return nn.init.eye_(directions) if along_latents else nn.init.orthogonal_(directions)


def full_parameters(cells: Cells, gain: Tensor, step: Tensor, directions: Tensor) -> dict[str, Tensor]:
    """Return `weight` and `table` (C, S, D) and `bias` (C, S) of the full form of Ω.

    gain, step: (C,), the scale of each channel before and after quantization.
    directions: (C, D), orthonormal.
    """
    slopes, points = gain[:, None] * cells.slope.to(gain), step[:, None] * cells.point.to(step)
    return {
        "weight": slopes[:, :, None] * directions[:, None, :],
        "bias": cells.bias.to(gain),
        "table": points[:, :, None] * directions[:, None, :],
    }


def factored_parameters(cells: Cells, gain: Tensor, step: Tensor, directions: Tensor, rank: int) -> dict[str, Tensor]:
    """Return the parameters of the factored form of Ω.

    They are `direction` and `table_direction` (C, r, D), `slope`, `table_point` and `grid` (C, S, r), `bias` (C, S).

    directions: (C or more, D), orthonormal. The first coordinate of channel c is along direction c and is quantized.
        Its other coordinates are along the next directions, and have slopes of 0.
    rank: r. The other arguments are those of `full_parameters`.
    """
    count = len(gain)
    along = torch.stack([directions.roll(-k, 0)[:count] for k in range(rank)], dim=1)
    squared_length = along[:, :1].square().sum(dim=2)
    of_symbols = {
        "slope": gain[:, None] * cells.slope.to(gain),
        "table_point": step[:, None] * cells.point.to(step),
        "grid": cells.grid.to(gain) / gain[:, None] * squared_length,
    }
    padded = {name: nn.functional.pad(values[:, :, None], (0, rank - 1)) for name, values in of_symbols.items()}
    return {"direction": along, "table_direction": along, "bias": cells.bias.to(gain), **padded}
