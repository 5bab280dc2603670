"""The order of the symbols of `context`: those that are expected to reduce the error most per bit come first."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from omega_core.coding.integer_net import MAX_LEVEL, ROOT_KIND, ZERO_KIND
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

_WIDEST = 60.0  # limit of the absolute log2 of slopes
_MAX_CLASSES = 29  # maximum number of classes, one for each half octave; with more, ranks would not fit 16 bits
_HALF_GAIN = 1 / 12  # squared error that refining a number removes, relative to changing a number from 0 to 1


@torch.no_grad()
def probabilities(net: ContextNet) -> Tensor:
    """The probabilities (TABLES, S), float64, of the network itself for the scores in the middle of each table."""
    return log_odds_of_tables(*(each.double() for each in (net.offset, net.slope, net.lean))).softmax(dim=1)


def log_odds_of_tables(offset: Tensor, slope: Tensor, lean: Tensor) -> Tensor:
    """The logarithms (TABLES, S) of probabilities, up to a constant, for the scores in the middle of each table.

    offset, slope, lean: (KINDS, S), of a `ContextNet`.
    """
    kind, part, side = (torch.from_numpy(each).to(offset.device) for each in parts_of_tables())
    first = (part + 0.5 - FIRST_BEFORE) * 2.0 ** (FIRST_BITS - SCORE_BITS)
    second = (side - SECOND_PARTS // 2) * 2.0 ** (SECOND_BITS - SCORE_BITS)
    return offset[kind] + first[:, None] * slope[kind] + second[:, None] * lean[kind]


def symbol_order(net: ContextNet) -> SymbolOrder:
    """Return the order of coding for symbols whose tables a network selects."""
    classes, slopes = (each.cpu().numpy() for each in _slopes(net))
    slopes = slopes[: classes.max() + 1]
    ranks = np.empty(slopes.size, np.int64)
    ranks[np.argsort(-slopes.reshape(-1), kind="stable")] = np.arange(slopes.size)
    return SymbolOrder(classes, ranks.reshape(slopes.shape), np.array(net.latest_groups))


@torch.no_grad()
def indices_of(net: ContextNet, statistics: SymbolStatistics) -> Tensor:
    """The indices (B, C, h, w), int64, of symbols in the order of coding, from the predictions of a network for them.

    They are nearly those in files, for which the network is rounded, and symbols with equal slopes are sorted by table.
    """
    channels, height, width = statistics.kinds.shape[1:]
    classes, slopes = _slopes(net)
    octaves = (
        slopes.log2().clamp(-_WIDEST, _WIDEST).float().flatten()[classes[:, None, None] * TABLES + _tables(statistics)]
    )
    # sort by step, and within a step by falling slope
    device = octaves.device
    bounds, latest = (torch.tensor(each, device=device) for each in (net.group_bounds, net.latest_groups))
    group = torch.bucketize(torch.arange(channels, device=device), bounds, right=True) - 1
    own, late = (2 * group)[:, None, None] + ~first_half(height, width).to(device), (2 * latest + 1)[:, None, None]
    key = torch.where(statistics.fresh, own, late) - octaves / (2.5 * _WIDEST)
    order = key.flatten(1).argsort(dim=1, stable=True)
    indices = torch.arange(order.shape[1], device=device).expand(order.shape)
    return torch.empty_like(order).scatter(1, order, indices).view(statistics.kinds.shape)


def _tables(statistics: SymbolStatistics) -> Tensor:
    """The tables (B, C, h, w) that the scores of a network select, as in `NetArithmetic`."""
    part = (statistics.first * 2.0 ** (SCORE_BITS - FIRST_BITS)).floor() + FIRST_BEFORE
    part = part.clamp(0, FIRST_PARTS - 1).long()
    middle = SECOND_PARTS // 2
    side = (statistics.second * 2.0 ** (SCORE_BITS - SECOND_BITS) + 0.5).floor().clamp(-middle, middle).long() + middle
    start = statistics.kinds * FIRST_PARTS + (statistics.kinds > ZERO_KIND) * (FIRST_PARTS * (SECOND_PARTS - 1))
    return start + torch.where(statistics.fresh, part * SECOND_PARTS + side, part)


@torch.no_grad()
def _slopes(net: ContextNet) -> tuple[Tensor, Tensor]:
    """The class (C,) of each channel, and the slopes (_MAX_CLASSES, TABLES) of symbols in each class and table.

    A slope is the squared error that a symbol is expected to remove, per bit.
    """
    steps = (2 * net.sizes.clamp_min(1e-9).log2()).round().long()  # in half octaves
    classes = (steps.max() - steps).clamp_max(_MAX_CLASSES - 1)
    chances = probabilities(net)
    levels = net.levels[MAX_LEVEL].double()
    kind = torch.from_numpy(parts_of_tables()[0]).to(levels.device)
    changes = (chances * levels.square()).sum(dim=1)  # relative to changing a number from 0 to 1
    fresh = (kind == ZERO_KIND) | (kind == ROOT_KIND)
    bits = -(chances * chances.clamp_min(1e-300).log2()).sum(dim=1)
    of_table = torch.where(fresh, changes, _HALF_GAIN) / bits.clamp_min(1e-6)
    of_class = 2.0 ** ((steps.max() - torch.arange(_MAX_CLASSES, device=levels.device)).double() / 2)
    return classes, of_class[:, None] * of_table
