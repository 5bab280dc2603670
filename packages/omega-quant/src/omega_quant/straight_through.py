"""One-hot max quantization and its straight-through gradient, without one-hot vectors.

Shapes: N samples of P positions, R = N·P rows; D latent channels, C symbol channels of S symbols;
T tables of code lengths for each channel, 1 or P.

    forward    a = z·W + b          activations (equation 1 of the paper, a 1×1 convolution)
               d = |a|              distances
               k = argmin_s d       symbols
               y = Σ_c table[c, k]  a 1×1 convolution of one-hot vectors is a look-up
    backward   as if the one-hot vector were softmax_s(−temperature·d)

What has a value for every symbol of every channel is worked out a block at a time, of so few rows and
channels that it stays in the cache, once forward and again backward; some of it is kept in between. Rows are
ordered by how many channels they keep, so that a channel is worked out for just those that keep it.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from omega_quant.blocks import Cut, by_kept, is_kept

STORED = 6 << 20
"""Activations of the forward pass that the backward pass finds again, at most; others it works out anew."""
DEEP = 128
"""Latent channels from which on fetching an activation is quicker than working it out."""
TABLE = 1 << 19
"""Numbers of a table of which rows are summed at once: they stay in the cache."""


def one_hot_max(
    z_NPD: Tensor,
    weight_CSD: Tensor,
    bias_CS: Tensor,
    temperature_C: Tensor,
    table_CSD: Tensor,
    code_lengths_CTS: Tensor,
    kept_N: Tensor,
    *,
    compiled: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize `z` to symbols and back.

    compiled: whether torch.compile makes one pass over memory of what is not a matrix product: for GPUs above all.

    Returns the dequantized latent (N, P, D), the bits of each sample (N,), and the symbols (N, C, P),
    which are 0 in channels that are not kept. Latent and bits have gradients to all that is real.
    """
    samples, positions, _ = z_NPD.shape
    channels = len(weight_CSD)
    order_N, back_N, keeping = by_kept(kept_N, channels, positions)
    apply = cast(Callable[..., tuple[Tensor, Tensor, Tensor]], _OneHotMax.apply)
    latent_RD, bits_R, symbols_RC = apply(
        compiled, keeping, z_NPD[order_N].flatten(0, 1), weight_CSD, bias_CS, temperature_C, table_CSD, code_lengths_CTS
    )
    return (
        latent_RD.view(samples, positions, table_CSD.shape[2])[back_N],
        bits_R.view(samples, positions).sum(dim=1)[back_N],
        symbols_RC.view(samples, positions, channels)[back_N].transpose(1, 2),
    )


@torch.no_grad()
def nearest(z_RD: Tensor, weight_CSD: Tensor, bias_CS: Tensor) -> Tensor:
    """The symbols (R, C) whose activations are nearest to zero; of equally near ones the first."""
    channels, symbols, _ = weight_CSD.shape
    return _nearest(Cut.of(z_RD, symbols, [len(z_RD)] * channels), z_RD, weight_CSD, bias_CS)[0]


def _nearest(
    cut: Cut, z_RD: Tensor, weight_CSD: Tensor, bias_CS: Tensor, store: int = 0, compiled: bool = False
) -> tuple[Tensor, list[Tensor]]:
    """The symbols (R, C), and the activations of the first blocks, up to `store` numbers."""
    symbols = cut.symbols
    found_RC = torch.zeros(len(z_RD), len(weight_CSD), dtype=torch.int64, device=z_RD.device)
    index_S = torch.arange(symbols, 2 * symbols, device=z_RD.device, dtype=z_RD.dtype)
    memory, affine_memory = cut.memory(z_RD, 3), cut.affine_memory(weight_CSD)
    z_RE = _with_ones(z_RD)
    stored: list[Tensor] = []
    for part in cut:
        affine = affine_memory[: len(part.keeping) * symbols]
        affine[:, :-1], affine[:, -1] = weight_CSD[part.channels].flatten(0, 1), bias_CS[part.channels].flatten()
        for rows in part.blocks:
            a, distance, is_least = part.cut_out(memory, rows)
            store -= a.numel()
            if store >= 0:
                a = torch.empty_like(a)
                stored.append(a)
            torch.mm(z_RE[rows], affine.T, out=a)
            if compiled:
                found_RC[rows, part.channels] = compiled_once(_nearest_to_zero)(part.split(a))
                continue
            torch.abs(a, out=distance)
            found_RC[rows, part.channels] = _first_least(part.split(distance), part.split(is_least), index_S)
    return found_RC, stored


@cache
def compiled_once(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function after torch.compile, for blocks of any number of rows."""
    return torch.compile(function, dynamic=True)


def _nearest_to_zero(a_RCS: Tensor) -> Tensor:
    return a_RCS.abs().argmin(dim=2)


def _gradient_through_softmax(
    a_RCS: Tensor, g_hot_RCS: Tensor, temperature_C1: Tensor, g_bits_NT: Tensor, lengths_TCS: Tensor
) -> Tensor:
    """The gradient to −temperature·a, given that to the one-hot vector from the table alone: `_gradients` in short."""
    soft_RCS = torch.softmax(-temperature_C1 * a_RCS.abs(), dim=2)
    g_RCS = g_hot_RCS + (g_bits_NT[:, :, None, None] * lengths_TCS).flatten(0, 1)
    return soft_RCS * (g_RCS - (soft_RCS * g_RCS).sum(dim=2, keepdim=True)) * a_RCS.sgn()


def _with_ones(z_RD: Tensor) -> Tensor:
    """Rows with a 1 at their end, so that a bias is one more weight: adding it would cost a pass of its own."""
    return torch.cat([z_RD, z_RD.new_ones(len(z_RD), 1)], dim=1)


def _first_least(distance_RCS: Tensor, is_least_RCS: Tensor, index_S: Tensor) -> Tensor:
    """What `distance.argmin(dim=2)` returns, several times as quickly.

    index_S: S, S + 1, … 2·S − 1. Its product with where distances are least is below 2·S where only one is, mostly
    everywhere, and tells which. Where products are rounded to a few bits, as numbers of 16 bits are, it may tell
    another: that is looked up, for which a GPU would make the processor wait, so that it takes argmin at once.
    """
    if distance_RCS.device.type != "cpu":
        return distance_RCS.argmin(dim=2)
    symbols = len(index_S)
    torch.eq(distance_RCS, distance_RCS.amin(dim=2, keepdim=True), out=is_least_RCS)
    index_RC = (is_least_RCS @ index_S).long() - symbols
    inside_RC = index_RC.clamp(0, symbols - 1)
    found_RC = is_least_RCS.gather(2, inside_RC[:, :, None])[:, :, 0]
    return index_RC if bool(((index_RC == inside_RC) & (found_RC == 1)).all()) else distance_RCS.argmin(dim=2)


def sum_of_rows(table_CSD: Tensor, symbols_RC: Tensor, keeping: Sequence[int] | None = None) -> Tensor:
    """The rows (R, D) of a table that symbols name, summed over channels.

    keeping: how many rows, the first ones, keep each channel, in falling order; all of them if None.
    """
    channels, symbols, dims = table_CSD.shape
    summed_RD = table_CSD.new_zeros(len(symbols_RC), dims)
    at_once = max(1, TABLE // (symbols * dims))
    for first in range(0, channels, at_once):
        some = slice(first, min(first + at_once, channels))
        most, least = (len(symbols_RC),) * 2 if keeping is None else (keeping[first], keeping[some.stop - 1])
        table_KD, number_RC = table_CSD[some].reshape(-1, dims), _number(symbols_RC[:most, some], symbols)
        if least:
            summed_RD[:least] += functional.embedding_bag(number_RC[:least], table_KD, mode="sum")
        if keeping is not None and most > least:
            rest = is_kept(keeping[some], slice(least, most), symbols_RC.device)
            count_R = rest.sum(dim=1)
            summed_RD[least:most] += functional.embedding_bag(
                number_RC[least:][rest], table_KD, count_R.cumsum(0) - count_R, mode="sum"
            )
    return summed_RD


def _number(symbols_RC: Tensor, symbols: int) -> Tensor:
    """The numbers of symbols among those of all channels (R, C)."""
    return symbols_RC + torch.arange(0, symbols_RC.shape[1] * symbols, symbols, device=symbols_RC.device)


def number_of_length(symbols_RC: Tensor, tables: int, symbols: int) -> Tensor:
    """The numbers of symbols among all code lengths (R, C): each row has the next table."""
    rows, channels = symbols_RC.shape
    table_RC = torch.arange(rows, device=symbols_RC.device)[:, None] % tables
    table_RC = table_RC + torch.arange(0, channels * tables, tables, device=symbols_RC.device)
    return table_RC * symbols + symbols_RC


_SAVED = slice(0, 6), slice(6, 8), slice(8, None)
"""For the backward pass: what the forward pass took, symbols and whether they are kept, and activations."""


class _OneHotMax(torch.autograd.Function):
    """Rows, of which the first ones keep most channels, to their latent (R, D), bits (R,) and symbols (R, C)."""

    @staticmethod
    def forward(
        ctx: Any,
        compiled: bool,
        keeping: list[int],
        z_RD: Tensor,
        weight_CSD: Tensor,
        bias_CS: Tensor,
        temperature_C: Tensor,
        table_CSD: Tensor,
        code_lengths_CTS: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        _, tables, symbols = code_lengths_CTS.shape
        cut = Cut.of(z_RD, symbols, keeping, multiple=tables)
        store = STORED if z_RD.shape[1] >= DEEP and any(ctx.needs_input_grad[2:6]) else 0
        symbols_RC, stored = _nearest(cut, z_RD, weight_CSD, bias_CS, store, compiled)
        kept_RC = is_kept(keeping, slice(0, len(z_RD)), z_RD.device)
        symbols_RC *= kept_RC
        latent_RD = sum_of_rows(table_CSD, symbols_RC, keeping)
        lengths_RC = code_lengths_CTS.take(number_of_length(symbols_RC, tables, symbols))
        ctx.cut, ctx.compiled = cut, compiled
        inputs = z_RD, weight_CSD, bias_CS, temperature_C, table_CSD, code_lengths_CTS
        ctx.save_for_backward(*inputs, symbols_RC, kept_RC, *stored)
        ctx.mark_non_differentiable(symbols_RC)
        return latent_RD, (lengths_RC * kept_RC).sum(dim=1), symbols_RC

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_latent_RD: Tensor, g_bits_R: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        inputs, (symbols_RC, kept_RC), stored = (ctx.saved_tensors[part] for part in _SAVED)
        *_, table_CSD, code_lengths_CTS = inputs
        _, _, *soft, of_table, of_lengths = ctx.needs_input_grad
        gradients: list[Tensor | None] = [None] * 6
        with torch.autocast(g_latent_RD.device.type, enabled=False):
            if any(soft):
                gradients[:4] = _gradients(ctx.cut, ctx.compiled, stored, g_latent_RD, g_bits_R, *inputs)
            if of_table:
                gradients[4] = _table_gradient(table_CSD, symbols_RC, kept_RC, sum(ctx.cut.keeping), g_latent_RD)
            if of_lengths:
                gradients[5] = length_gradient(code_lengths_CTS, symbols_RC, kept_RC, g_bits_R)
        return None, None, *gradients


def _table_gradient(table_CSD: Tensor, symbols_RC: Tensor, kept_RC: Tensor, kept: int, g_latent_RD: Tensor) -> Tensor:
    """For each symbol, the sum of the gradients of the rows that chose it; kept: how many of kept_RC are.

    Sorted by symbol first, so that each sum is written once, as a whole.
    """
    channels, symbols, dims = table_CSD.shape
    number_RC = _number(symbols_RC, symbols).masked_fill_(~kept_RC, channels * symbols)
    count_K = torch.bincount(number_RC.flatten(), minlength=channels * symbols + 1)[:-1]
    order = torch.argsort(number_RC.flatten().int(), stable=True)  # half as long to sort takes half the time
    row = order[:kept] // channels
    summed_KD = functional.embedding_bag(row, g_latent_RD, count_K.cumsum(0) - count_K, mode="sum")
    return summed_KD.view(channels, symbols, dims)


def length_gradient(code_lengths_CTS: Tensor, symbols_RC: Tensor, kept_RC: Tensor, g_bits_R: Tensor) -> Tensor:
    """For each code length, the sum of the gradients of the rows that it counted for."""
    _, tables, symbols = code_lengths_CTS.shape
    number_RC = number_of_length(symbols_RC, tables, symbols)
    gradient = code_lengths_CTS.new_zeros(code_lengths_CTS.numel())
    gradient.index_add_(0, number_RC.flatten(), (g_bits_R[:, None] * kept_RC).flatten())
    return gradient.view_as(code_lengths_CTS)


def _gradients(
    cut: Cut,
    compiled: bool,
    stored: Sequence[Tensor],
    g_latent_RD: Tensor,
    g_bits_R: Tensor,
    z_RD: Tensor,
    weight_CSD: Tensor,
    bias_CS: Tensor,
    temperature_C: Tensor,
    table_CSD: Tensor,
    code_lengths_CTS: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients to z, weight, bias and temperature.

    Those to weight and bias are first made as if all temperatures T were 1: T·a = z·T·W + T·b, so the gradient
    to T is ⟨g_W, W⟩ + ⟨g_b, b⟩ then.
    """
    tables = code_lengths_CTS.shape[1]
    g_z, g_bias, g_temperature = (torch.zeros_like(x) for x in (z_RD, bias_CS, temperature_C))
    g_weight = torch.empty_like(weight_CSD)
    memory, affine_memory = cut.memory(z_RD, 4), cut.affine_memory(weight_CSD)
    # with few latent channels the product that fills it is quicker if it lies the other way round
    g_affine_memory = affine_memory.new_empty(affine_memory.shape[:: 1 if z_RD.shape[1] >= DEEP else -1])
    if z_RD.shape[1] < DEEP:
        g_affine_memory = g_affine_memory.T
    z_RE = _with_ones(z_RD)
    activations = iter(stored)
    for part in cut:
        weight, bias = weight_CSD[part.channels], bias_CS[part.channels]
        temperature = temperature_C[part.channels, None]
        affine = affine_memory[: len(part.keeping) * cut.symbols]
        scaled = affine[:, :-1]
        torch.mul(weight, temperature[:, :, None], out=scaled.view_as(weight))
        affine[:, -1] = (bias * temperature).flatten()
        table = table_CSD[part.channels].flatten(0, 1)
        lengths = code_lengths_CTS[part.channels].transpose(0, 1).reshape(tables, -1)
        g_affine = g_affine_memory[: len(affine)]
        for rows in part.blocks:
            a, g, soft, g_hot = part.cut_out(memory, rows)
            known = next(activations, None)
            if known is None:
                torch.mm(z_RE[rows], affine.T, out=a)
            else:
                a = known
            # the gradient of the one-hot vector: through the table and, below, through the rate
            torch.mm(g_latent_RD[rows], table.T, out=g_hot)
            g_bits = g_bits_R[rows].view(-1, tables)
            if compiled:
                scale = torch.ones_like(temperature) if known is None else temperature
                given = part.split(a), part.split(g_hot), scale, g_bits, part.split(lengths)
                g = compiled_once(_gradient_through_softmax)(*given).flatten(1)
            else:
                torch.abs(a, out=g)
                part.split(g).mul_(-temperature) if known is not None else g.neg_()
                torch.softmax(part.split(g), dim=2, out=part.split(soft))
                g_hot.view(-1, *lengths.shape).addcmul_(g_bits[:, :, None], lengths)
                # softmax's own gradient, then that of |a|: what is left is the gradient of −T·a
                torch.ops.aten._softmax_backward_data.out(
                    part.split(g_hot), part.split(soft), 2, soft.dtype, grad_input=part.split(g)
                )
                g.mul_(torch.sgn(a, out=g_hot))
            if rows.stop > part.keeping[-1]:
                part.split(g).mul_(is_kept(part.keeping, rows, g.device)[:, :, None])
            g_affine.addmm_(g.T, z_RE[rows], beta=1 if rows.start else 0, alpha=-1)
            g_z[rows].addmm_(g, scaled, alpha=-1)
        g_weight_part, g_bias_part = g_affine[:, :-1].view(weight.shape), g_affine[:, -1].view(bias.shape)
        of_temperature = torch.linalg.vecdot(g_weight_part, weight) + g_bias_part * bias
        torch.sum(of_temperature, dim=1, out=g_temperature[part.channels])
        torch.mul(g_weight_part, temperature[:, :, None], out=g_weight[part.channels])
        torch.mul(g_bias_part, temperature, out=g_bias[part.channels])
    g_weight[cut.used :] = 0
    return g_z, g_weight, g_bias, g_temperature
