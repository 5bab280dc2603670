"""The inverse of `omega_entropy.priors.context_rounding`: makes a trainable network from the integers of a model file.

The file contains shifts, but not the units of activations that they follow from. Different units can have the same
shifts; here they are about as large as after training. The layer after the scores is fitted to the tables of the file.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from omega_core.coding.context_tables import ContextTables
from omega_core.coding.integer_net import KINDS, LARGEST, IntegerNet
from omega_core.coding.net_arithmetic import parts_of_tables
from omega_core.coding.tables import TOTAL, Integers
from omega_entropy.priors.context_net import RANGES, ContextNet, Group
from omega_entropy.priors.context_order import log_odds_of_tables
from omega_entropy.priors.context_rounding import LAYERS, LOCAL_SCALES, OUTPUTS, SCORE_UNIT

_UNIT = -4
"""The unit of activations, as a power of two: 127 units are about 8."""
_FIT_STEPS = 200


def fits(net: ContextNet, integers: IntegerNet) -> bool:
    """Whether a network has the sizes of one in integers, and at least as many groups."""
    sizes = integers.channels, integers.alphabet, integers.bias.shape[1]
    return (net.channels, net.alphabet, net.width) == sizes and len(integers.bias) <= net.most_groups


def unround(net: ContextNet, tables: ContextTables) -> None:
    """Set the weights and probabilities of a network from those of frozen tables that it `fits`, in place.

    It can then be trained.
    """
    integers = tables.net
    bounds = [*integers.bounds.tolist(), *[net.channels] * (net.most_groups - len(integers.bias))]
    count = len(integers.bias)
    # All groups share `inputs` and `own`, so that the shifts fix the ratios of the units of activations 0 and 5 between
    # groups. The coarsest unit of each is set to _UNIT.
    gathered, own = (int(integers.shifts[:, index, 0].argmax()) for index in (0, 7))
    input_bits, own_bits = integers.shifts[gathered, 0] - _UNIT, integers.shifts[own, 7] - _UNIT
    units = np.full((count, RANGES), _UNIT)
    units[:, 0] = integers.shifts[:, 0, 0] - input_bits[0]
    units[:, 5] = integers.shifts[:, 7, 0] - own_bits[0]
    with torch.no_grad():
        _set(net.bounds, np.array(bounds))
        _set(net.parents, integers.parents)
        _set(net.levels, integers.levels)
        _set(net.ranges[:count], LARGEST * 2.0**units)
        _set(net.inputs.weight, integers.inputs * 2.0 ** -input_bits[:, None])
        _set(net.own.weight, integers.own * 2.0 ** -own_bits[:, None])
        for g in range(count):
            group, of_layer = cast(Group, net.groups[g]), units[g]
            _set(group.bias, integers.bias[g] * 2.0**-input_bits)
            for name, first_shift, pairs in LAYERS:
                weights, biases = getattr(integers, name)[g], getattr(integers, f"{name}_bias")[g]
                for layer, (given, made) in enumerate(pairs):
                    bits = integers.shifts[g, first_shift + layer] + of_layer[given] - of_layer[made]
                    _set_layer(getattr(group, name)[layer], weights[layer], biases[layer], bits, of_layer[given])
        of_channel = np.repeat(np.arange(count), 2 * np.diff(integers.bounds))
        for index, (name, given) in enumerate(OUTPUTS):
            unit = units[of_channel, given]
            bits = integers.score_shifts[index] + unit - SCORE_UNIT
            _set_layer(getattr(net, name), getattr(integers, name), getattr(integers, f"{name}_bias"), bits, unit)
        for name, scale in LOCAL_SCALES.items():
            _set(getattr(net, name), getattr(integers, name) / scale)
    _fit_probabilities(net, np.diff(tables.tables) / TOTAL)
    net.ready.fill_(True)


def _set(tensor: Tensor, values: NDArray[Any]) -> None:
    tensor.copy_(torch.from_numpy(values).view(tensor.shape))


def _set_layer(layer: nn.Module, weight: Integers, bias: Integers, bits: Integers, given: Integers | int) -> None:
    """Set a convolution from integers. For each output, weights have the unit 2^-bits, biases 2^(given − bits)."""
    _set(cast(Tensor, layer.weight), weight.reshape(len(weight), -1) * 2.0 ** -bits[:, None])
    _set(cast(Tensor, layer.bias), bias * 2.0 ** (given - bits))


def _fit_probabilities(net: ContextNet, chances: NDArray[np.float64]) -> None:
    """Fit offsets, slopes and leans to the probabilities (TABLES, S) of tables. This is a convex problem."""
    wanted = torch.from_numpy(chances)
    parameters = [torch.zeros(KINDS, net.alphabet, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    optimizer: Any = torch.optim.LBFGS(parameters, max_iter=_FIT_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = -(wanted * log_odds_of_tables(*parameters).log_softmax(dim=1)).sum(dim=1).mean()
        torch.autograd.backward(found)
        return found

    with torch.enable_grad():
        optimizer.step(loss)
    with torch.no_grad():
        for parameter, fitted in zip((net.offset, net.slope, net.lean), parameters, strict=True):
            parameter.copy_(fitted)
        # unused symbols have the least probability that a table can have
        of_kind = torch.from_numpy(parts_of_tables()[0])
        net.used.copy_(torch.stack([(wanted[of_kind == kind] > 1 / TOTAL).any(dim=0) for kind in range(KINDS)]))
