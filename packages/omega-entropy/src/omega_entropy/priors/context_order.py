"""The order of the symbols of the prior `context`: first what is expected to reduce the error most for its bits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from omega_core.coding.integer_net import MOST_LEVEL, ROOT_KIND, ZERO_KIND
from omega_core.coding.net_arithmetic import (
    FIRST_BEFORE,
    FIRST_BITS,
    FIRST_PARTS,
    SECOND_BITS,
    SECOND_PARTS,
    TABLES,
    parts_of_tables,
)
from omega_core.coding.symbol_order import SymbolOrder
from omega_entropy.priors.context_net import ContextNet, SymbolStatistics, first_half
from omega_entropy.priors.context_rounding import SCORE_BITS

_WIDEST = 60.0  # octaves of slopes, up and down, within a step
_MOST_CLASSES = 29  # of half an octave; with more, ranks would not fit 16 bits
_HALF_GAIN = 1 / 12  # squared error that the half of a cell removes, in that of a number which becomes different from 0


@torch.no_grad()
def probabilities(net: ContextNet) -> Tensor:
    """The probabilities (TABLES, S), float64, that the net itself has in the middle of each table."""
    return log_odds_of_tables(*(each.double() for each in (net.offset, net.slope, net.lean))).softmax(dim=1)


def log_odds_of_tables(offset: Tensor, slope: Tensor, lean: Tensor) -> Tensor:
    """The logarithms (TABLES, S) of probabilities, but for a constant, in the middle of each table.

    offset, slope, lean: (KINDS, S), of a `ContextNet`.
    """
    kind, part, side = (torch.from_numpy(each).to(offset.device) for each in parts_of_tables())
    first = (part + 0.5 - FIRST_BEFORE) * 2.0 ** (FIRST_BITS - SCORE_BITS)
    second = (side - SECOND_PARTS // 2) * 2.0 ** (SECOND_BITS - SCORE_BITS)
    return offset[kind] + first[:, None] * slope[kind] + second[:, None] * lean[kind]


def symbol_order(net: ContextNet) -> SymbolOrder:
    """Return the order in which symbols are coded whose tables a net chooses."""
    classes, slopes = (each.cpu().numpy() for each in _slopes(net))
    slopes = slopes[: classes.max() + 1]
    ranks = np.empty(slopes.size, np.int64)
    ranks[np.argsort(-slopes.reshape(-1), kind="stable")] = np.arange(slopes.size)
    return SymbolOrder(classes, ranks.reshape(slopes.shape), np.array(net.latest_groups))


@torch.no_grad()
def places_of(net: ContextNet, statistics: SymbolStatistics) -> Tensor:
    """The places (B, C, h, w) in the order of coding, int64, of symbols of which a net says this.

    They are nearly those in files, for which the net is rounded, and where symbols with equal slopes are by table.
    """
    channels, height, width = statistics.kinds.shape[1:]
    classes, slopes = _slopes(net)
    octaves = (
        slopes.log2().clamp(-_WIDEST, _WIDEST).float().flatten()[classes[:, None, None] * TABLES + _tables(statistics)]
    )
    # the step of each symbol, and within a step the falling order of slopes
    device = octaves.device
    bounds, latest = (torch.tensor(each, device=device) for each in (net.group_bounds, net.latest_groups))
    group = torch.bucketize(torch.arange(channels, device=device), bounds, right=True) - 1
    own, late = (2 * group)[:, None, None] + ~first_half(height, width).to(device), (2 * latest + 1)[:, None, None]
    key = torch.where(statistics.fresh, own, late) - octaves / (2.5 * _WIDEST)
    order = key.flatten(1).argsort(dim=1, stable=True)
    places = torch.arange(order.shape[1], device=device).expand(order.shape)
    return torch.empty_like(order).scatter(1, order, places).view(statistics.kinds.shape)


def _tables(statistics: SymbolStatistics) -> Tensor:
    """The tables (B, C, h, w) that the scores of a net tell, as `NetArithmetic` finds them."""
    part = (statistics.first * 2.0 ** (SCORE_BITS - FIRST_BITS)).floor() + FIRST_BEFORE
    part = part.clamp(0, FIRST_PARTS - 1).long()
    middle = SECOND_PARTS // 2
    side = (statistics.second * 2.0 ** (SCORE_BITS - SECOND_BITS) + 0.5).floor().clamp(-middle, middle).long() + middle
    start = statistics.kinds * FIRST_PARTS + (statistics.kinds > ZERO_KIND) * (FIRST_PARTS * (SECOND_PARTS - 1))
    return start + torch.where(statistics.fresh, part * SECOND_PARTS + side, part)


@torch.no_grad()
def _slopes(net: ContextNet) -> tuple[Tensor, Tensor]:
    """The class (C,) of each channel, and the squared error for each bit that symbols are expected to remove.

    The latter is of each class and table (_MOST_CLASSES, TABLES).
    """
    steps = (2 * net.sizes.clamp_min(1e-9).log2()).round().long()  # of half an octave
    classes = (steps.max() - steps).clamp_max(_MOST_CLASSES - 1)
    chances = probabilities(net)
    levels = net.levels[MOST_LEVEL].double()
    kind = torch.from_numpy(parts_of_tables()[0]).to(levels.device)
    changes = (chances * levels.square()).sum(dim=1)  # a change of a number by 1 removes 1
    fresh = (kind == ZERO_KIND) | (kind == ROOT_KIND)
    bits = -(chances * chances.clamp_min(1e-300).log2()).sum(dim=1)
    of_table = torch.where(fresh, changes, _HALF_GAIN) / bits.clamp_min(1e-6)
    of_class = 2.0 ** ((steps.max() - torch.arange(_MOST_CLASSES, device=levels.device)).double() / 2)
    return classes, of_class[:, None] * of_table
