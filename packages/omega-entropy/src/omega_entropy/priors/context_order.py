"""The order of the symbols of the prior `context`: first what is expected to reduce the error most for its bits."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from omega_core.coding.integer_net import KINDS, MOST_LEVEL, ROOT_KIND, ZERO_KIND
from omega_core.coding.net_arithmetic import (
    FIRST_BEFORE,
    FIRST_BITS,
    FIRST_PARTS,
    SECOND_BITS,
    SECOND_PARTS,
)
from omega_core.coding.symbol_order import SymbolOrder
from omega_entropy.priors.context_net import ContextNet
from omega_entropy.priors.context_rounding import SCORE_BITS

_MOST_CLASSES = 29  # of half an octave; with more, ranks would not fit 16 bits
_HALF_GAIN = 1 / 12  # squared error that the half of a cell removes, in that of a number which becomes different from 0


@torch.no_grad()
def probabilities(net: ContextNet) -> NDArray[np.float64]:
    """The probabilities (TABLES, S) that the net itself has in the middle of each table."""
    kind = torch.arange(KINDS).repeat_interleave(FIRST_PARTS * SECOND_PARTS)
    part = torch.arange(FIRST_PARTS).repeat_interleave(SECOND_PARTS).repeat(KINDS)
    lean = torch.arange(SECOND_PARTS).repeat(KINDS * FIRST_PARTS) - SECOND_PARTS // 2
    first = (part + 0.5 - FIRST_BEFORE) * 2.0 ** (FIRST_BITS - SCORE_BITS)
    second = lean * 2.0 ** (SECOND_BITS - SCORE_BITS)
    offset, slope, lean_of = (each.detach().cpu().double()[kind] for each in (net.offset, net.slope, net.lean))
    logits = offset + first[:, None] * slope + second[:, None] * lean_of
    found: NDArray[np.float64] = logits.softmax(dim=1).numpy()
    return found


def symbol_order(net: ContextNet) -> SymbolOrder:
    """Return the order in which symbols are coded whose tables a net chooses."""
    sizes = np.maximum(net.sizes.cpu().numpy(), 1e-9)
    steps = np.rint(2 * np.log2(sizes)).astype(np.int64)  # of half an octave
    classes = np.minimum(steps.max() - steps, _MOST_CLASSES - 1)
    of_class = 2.0 ** ((steps.max() - np.arange(classes.max() + 1)) / 2)
    slopes = of_class[:, None] * _slopes(net)
    ranks = np.empty(slopes.size, np.int64)
    ranks[np.argsort(-slopes.reshape(-1), kind="stable")] = np.arange(slopes.size)
    return SymbolOrder(classes, ranks.reshape(slopes.shape), np.array(net.latest_groups))


def _slopes(net: ContextNet) -> NDArray[np.float64]:
    """The squared error that a symbol of each table (TABLES,) is expected to remove for each bit.

    A change of a number by 1 removes 1.
    """
    chances = probabilities(net)
    levels = net.levels[MOST_LEVEL].cpu().numpy()
    kind = np.arange(KINDS).repeat(FIRST_PARTS * SECOND_PARTS)
    changes = (chances * levels.astype(np.float64) ** 2).sum(axis=1)
    fresh = (kind == ZERO_KIND) | (kind == ROOT_KIND)
    bits = -(chances * np.log2(np.maximum(chances, 1e-300))).sum(axis=1)
    found: NDArray[np.float64] = np.where(fresh, changes, _HALF_GAIN) / np.maximum(bits, 1e-6)
    return found
