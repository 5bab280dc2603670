"""Rounds the network of `omega_entropy.priors.context_net` to the integers of `omega_core.coding.integer_net`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from omega_core.coding.integer_net import LARGEST, LARGEST_MARK, LOCAL_BITS, MAX_SHIFT, IntegerNet
from omega_entropy.priors.context_net import OUTPUT_SCALE, ContextNet, Group

SCORE_BITS = 6
"""The number of fractional bits of a score."""
LAYERS = ("spatial", 1, ((0, 1), (2, 3), (5, 4))), ("mixing", 4, ((1, 2), (3, 4), (4, 6)))
"""The layers of a group: their name, the index of the first one in `shifts`, and the activations before and after each,
by their index in `ContextNet.ranges`."""
OUTPUTS = ("first", 4), ("second", 6)
"""The layers that compute scores, and the activation before each."""
SCORE_UNIT = -SCORE_BITS - int(np.log2(OUTPUT_SCALE))
"""The unit of the outputs of these layers, as a power of two."""
_EXACT_BITS = 22  # largest number of bits of a sum: float32 holds two more, as rounding may enlarge weights
_FINE = 2.0 ** (SCORE_BITS + LOCAL_BITS)
LOCAL_SCALES = {
    "base": 2.0**SCORE_BITS,
    "of_kind": 2.0**SCORE_BITS,
    "in_second": 2.0**SCORE_BITS,
    "around": _FINE / 12,
    "beside": _FINE / 8,
}
"""The terms of scores that do not depend on the layers, and the factor of each before rounding."""


_IN_ORDER = [(name, layer, *pairs[layer]) for layer in range(3) for name, _, pairs in LAYERS]
"""The layers of a group, as (name, number, activation before, activation after), in the order of computation."""


@torch.no_grad()
def rounded(net: ContextNet) -> IntegerNet:
    """Return a network rounded to integers.

    Their units are powers of two, which follow from the weights and from the ranges of activations in training.
    """
    bounds = net.group_bounds
    count, width = len(bounds) - 1, net.width
    ranges_of = net.ranges[:count].double().cpu()
    units = _exponents(ranges_of)  # (G, RANGES), the unit of each activation, as a power of two
    of_group = [cast(Group, net.groups[g]) for g in range(count)]
    _coarsen(units, net, of_group)
    largest_bias = torch.stack([_double(group.bias).abs() for group in of_group]).amax(dim=0)
    inputs, _, bits = _in_units(_flat(net.inputs), largest_bias, 0, units[:, 0].max())
    own, _, own_bits = _in_units(_flat(net.own), torch.zeros(width), 0, units[:, 5].max())
    bias = [torch.round(_double(group.bias) * 2.0**bits) for group in of_group]
    layers = defaultdict[str, list[Tensor]](list)
    shifts = torch.zeros(count, 8, width, dtype=torch.int64)
    shifts[:, 0], shifts[:, 7] = bits + units[:, :1], own_bits + units[:, 5:6]
    for g, (name, first_shift, activations) in product(range(count), LAYERS):
        for layer, (given, made) in enumerate(activations):
            convolution = getattr(of_group[g], name)[layer]
            weight, rounded_bias, layer_bits = _in_units(
                _flat(convolution), _double(convolution.bias), int(units[g, given]), int(units[g, made])
            )
            layers[name].append(weight)
            layers[f"{name}_bias"].append(rounded_bias)
            shifts[g, first_shift + layer] = layer_bits - units[g, given] + units[g, made]
    of_channel = torch.repeat_interleave(torch.arange(count), 2 * torch.tensor(bounds).diff())
    scores, score_shifts = dict[str, Tensor](), list[Tensor]()
    for name, given in OUTPUTS:
        outputs, unit = getattr(net, name), units[of_channel, given]
        weight, rounded_bias, score_bits = _in_units(_flat(outputs), _double(outputs.bias), unit, SCORE_UNIT)
        scores |= {name: weight, f"{name}_bias": rounded_bias}
        score_shifts.append(score_bits - unit + SCORE_UNIT)
    arrays = {
        "bounds": torch.tensor(bounds),
        "parents": net.parents.cpu(),
        "levels": net.levels.cpu(),
        "inputs": inputs,
        "own": own,
        "bias": torch.stack(bias),
        "spatial": torch.stack(layers["spatial"]).view(count, 3, width, 3, 3),
        "spatial_bias": torch.stack(layers["spatial_bias"]).view(count, 3, width),
        "mixing": torch.stack(layers["mixing"]).view(count, 3, width, width),
        "mixing_bias": torch.stack(layers["mixing_bias"]).view(count, 3, width),
        **scores,
        "shifts": shifts,
        "score_shifts": torch.stack(score_shifts),
        **{name: torch.round(_double(getattr(net, name)) * scale) for name, scale in LOCAL_SCALES.items()},
    }
    return IntegerNet(**{name: tensor.long().numpy() for name, tensor in arrays.items()})


def _coarsen(units: Tensor, net: ContextNet, of_group: Sequence[Group]) -> None:
    """Make the units (G, RANGES) of activations so coarse that sums stay below 2²⁴, in place.

    Units are too fine if activations were almost 0 in training. This can happen in the first group, which has no
    inputs.
    """

    def exact(reached: Tensor) -> Tensor:
        return torch.ceil(torch.log2(reached.amax().clamp_min(1e-9))).long() - _EXACT_BITS

    bias = torch.stack([_double(group.bias).abs() for group in of_group]).amax(dim=0)
    units[:, 0].clamp_(min=exact(_flat(net.inputs).abs().sum(dim=1) * LARGEST_MARK + bias))
    units[:, 5].clamp_(min=exact(_flat(net.own).abs().sum(dim=1) * LARGEST_MARK))
    for group, of_activation in zip(of_group, units, strict=True):
        for name, layer, given, made in _IN_ORDER:
            convolution = getattr(group, name)[layer]
            largest = LARGEST * 2.0 ** of_activation[given]
            reached = _flat(convolution).abs().sum(dim=1) * largest + _double(convolution.bias).abs()
            of_activation[made] = torch.maximum(of_activation[made], exact(reached))


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double()


def _flat(layer: nn.Module) -> Tensor:
    """The weight of a convolution with a row for each output."""
    return _double(cast(Tensor, layer.weight)).flatten(1)


def _in_units(weight: Tensor, bias: Tensor, given: Tensor | int, made: Tensor | int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (R, N) and biases (R,) as integers, and the power of two (R,) by which each row was multiplied.

    given, made: the units of the input and the output, as powers of two. They limit the factors of the rows: biases
        have up to 20 bits, and sums are divided by up to 2^MAX_SHIFT.
    """
    of_weight = torch.floor(torch.log2(LARGEST / weight.abs().amax(dim=1).clamp_min(1e-9)))
    of_bias = torch.floor(20 - torch.log2(bias.abs().clamp_min(1e-9))) + given
    most = torch.as_tensor(MAX_SHIFT + given - made)
    bits = torch.minimum(torch.minimum(of_weight, of_bias), most)
    return torch.round(weight * 2.0 ** bits[:, None]), torch.round(bias * 2.0 ** (bits - given)), bits.long()


def _exponents(ranges: Tensor) -> Tensor:
    """The smallest units, as powers of two, of which 127 cover the ranges of activations."""
    return torch.ceil(torch.log2(ranges.clamp_min(1e-6) / LARGEST)).clamp(-16, 16).long()
