"""The integers that symbols of nested dead-zone quantizers stand for, and their cells.

Each latent has at most one channel in each stage. The symbols of these channels give it a number, which each stage
refines: 0 for the cell around 0, n or −n for the n-th cell on either side. Each stage halves the cells of the stage
before (`omega_quant.scalar_cells`). A digit is a symbol minus S/2 − 1, so that symbol S/2 − 1 has the digit 0.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from omega_core.coding.tables import MISSING


def zero_symbol(alphabet: int) -> int:
    """Return the symbol whose digit is 0. alphabet: S."""
    return alphabet // 2 - 1


def refined(before: Tensor, digit: Tensor) -> Tensor:
    """Return the numbers after digits of a stage, given the numbers `before`.

    If a number is 0, the digit is the new number. Otherwise 2 selects the lower half of its cell, and 3 the upper half.
    """
    half = torch.where(before > 0, digit == 3, digit == 2) * before.sign()
    return torch.where(before == 0, digit, 2 * before + half)


def parents(stages: Sequence[int], latents: Sequence[int]) -> list[int]:
    """Return the channel that each channel refines: the one of the same latent in the stage before, or −1.

    stages, latents: the stage and the latent of each channel.
    """
    channel_of = {pair: c for c, pair in enumerate(zip(stages, latents, strict=True))}
    return [channel_of.get((stage - 1, latent), -1) for stage, latent in zip(stages, latents, strict=True)]


def children(channels_of_stages: Sequence[Sequence[int]], latents: Sequence[int]) -> list[int]:
    """Return, for each of C channels, the channel of the same latent in the next stage that has one, or C without one.

    latents: the latent of each channel.
    """
    found = [len(latents)] * len(latents)
    next_of: dict[int, int] = {}
    for channels in reversed(channels_of_stages):
        for c in channels:
            found[c] = next_of.get(latents[c], len(latents))
        next_of.update((latents[c], c) for c in channels)
    return found


def cells_of_latents(
    symbols: Tensor, channels_of_stages: Sequence[Tensor], axes: Tensor, steps: Tensor, latents: int, alphabet: int
) -> tuple[Tensor, Tensor]:
    """Return the lower and the upper ends (B, D, h, w) of the cells that symbols (B, n, h, w) of n channels select.

    symbols: `MISSING` where unknown.
    axes, steps: (C,), the latent of each channel and the width of its cells. Ends are infinite if no symbol is known.
    latents, alphabet: D and S.
    """
    batch, channels, height, width = symbols.shape
    symbols = symbols.short()  # 16-bit integers take a third of the time
    numbers = symbols.new_zeros(batch, latents, height, width)
    last = torch.full_like(numbers, -1)  # the last known channel of each latent
    for members in channels_of_stages:
        here = members[members < channels]
        of_stage, own = axes[here], symbols.index_select(1, here)
        before, known = numbers.index_select(1, of_stage), own != MISSING
        numbers.index_copy_(1, of_stage, torch.where(known, refined(before, own - zero_symbol(alphabet)), before))
        of_here = here.to(last.dtype)[:, None, None]
        last.index_copy_(1, of_stage, torch.where(known, of_here, last.index_select(1, of_stage)))
    sizes = torch.cat([steps, torch.full_like(steps[:1], torch.inf)])[last.long()]
    lower = torch.where(numbers > 0, numbers, numbers - 1) * sizes
    return lower, torch.where(numbers < 0, numbers, numbers + 1) * sizes
