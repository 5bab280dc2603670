"""One-hot max quantization and its straight-through gradient, without one-hot vectors.

Shapes: N samples of P positions, R = N·P rows; D latent channels, C symbol channels of S symbols;
T tables of code lengths for each channel, 1 or P.

    forward    a = z·W + b          activations (equation 1 of the paper, a 1×1 convolution)
               d = |a|              distances
               k = argmin_s d       symbols
               y = Σ_c table[c, k]  a 1×1 convolution of one-hot vectors is a look-up
    backward   as if the one-hot vector were softmax_s(−temperature·d)

Arrays with a value for every symbol of every channel are computed block by block. A block has so few rows and
channels that it fits the cache. The backward pass computes activations again, except those that the forward pass
stored. Rows are sorted by their number of kept channels, so that each channel is computed only for rows that keep it.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from omega_core.layers import MIN_EXPONENT
from omega_quant.block_plan import BlockPlan, is_kept, order_by_kept

STORED_ACTIVATIONS = 6 << 20
"""The largest number of activations that the forward pass stores; the backward pass recomputes the others."""
MANY_LATENT_CHANNELS = 128
"""With at least this many latent channels, loading an activation is faster than computing it."""
TABLE_BLOCK = 1 << 19
"""Table rows are summed in blocks of this many values, so that a block fits the CPU cache."""
ROWS_TRACED = 1 << 14
"""In a traced program, up to this many values of table rows are summed at once for each row of the latent."""


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
    """Quantize latents to symbols and back.

    z_NPD: the latents of N samples at P positions.
    weight_CSD, bias_CS: the affine functions whose values are the activations of symbols.
    temperature_C: the temperature of the softmax behind the straight-through gradient, above 0.
    table_CSD: the vector that each symbol adds to the dequantized latent.
    code_lengths_CTS: bits of each symbol, from one table for all positions (T = 1) or one for each (T = P).
    kept_N: the number of channels, the first ones, that each sample keeps.
    compiled: whether torch.compile fuses the elementwise operations, which is faster on GPUs.

    Returns the dequantized latent (N, P, D), the bits of each sample (N,), and the symbols (N, C, P), which are 0 in
    channels that are not kept. Latent and bits have gradients for all floating-point arguments.
    """
    samples, positions, _ = z_NPD.shape
    channels = len(weight_CSD)
    order_N, back_N, row_counts = order_by_kept(kept_N, channels, positions)
    z_RD = z_NPD[order_N].flatten(0, 1)
    inputs = _Inputs(z_RD, weight_CSD, bias_CS, temperature_C, table_CSD, code_lengths_CTS)
    apply = cast(Callable[..., tuple[Tensor, Tensor, Tensor]], _OneHotMax.apply)
    latent_RD, bits_R, symbols_RC = apply(compiled, row_counts, *inputs)
    return (
        latent_RD.view(samples, positions, table_CSD.shape[2])[back_N],
        bits_R.view(samples, positions).sum(dim=1)[back_N],
        symbols_RC.view(samples, positions, channels)[back_N].transpose(1, 2),
    )


@torch.no_grad()
def nearest(z_RD: Tensor, weight_CSD: Tensor, bias_CS: Tensor) -> Tensor:
    """The symbols (R, C) whose activations are nearest to zero; the first of equally near ones.

    z_RD, weight_CSD, bias_CS: as in `one_hot_max`.
    """
    channels, symbols, _ = weight_CSD.shape
    if is_traced():
        return _nearest_to_zero(torch.tensordot(z_RD, weight_CSD, dims=([1], [2])) + bias_CS)
    plan = BlockPlan.of(z_RD, symbols, [len(z_RD)] * channels)
    with torch.autocast(z_RD.device.type, enabled=False):  # 16 bits cannot represent the sums in `_nearest`
        return _nearest(plan, z_RD, weight_CSD, bias_CS)[0]


def _nearest(
    plan: BlockPlan, z_RD: Tensor, weight_CSD: Tensor, bias_CS: Tensor, store: int = 0, compiled: bool = False
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """The symbols (R, C), their distances (R, C), and the activations of the first blocks, up to `store` of them.

    Symbols are 0 and distances 1 for rows that keep none of a block's channels. If `compiled`, all distances are 1.

    On a CPU, argmin takes several times as long as the sum of S, S + 1, … 2·S − 1 over the mask of the least distances.
    This sum is S plus the symbol if the minimum is unique. For equal minima or NaN, it is outside of S to 2·S − 1, and
    the symbol is computed again. 16-bit numbers cannot represent such sums, and a GPU would have to synchronize.
    """
    symbols = plan.symbols
    by_sums = z_RD.device.type == "cpu" and z_RD.dtype.itemsize >= 4 and not compiled
    found_RC = torch.zeros(len(z_RD), len(weight_CSD), dtype=torch.int64, device=z_RD.device)
    sum_RC, least_RC = (torch.full_like(found_RC, fill, dtype=z_RD.dtype) for fill in (symbols, 1))
    index_S = torch.arange(symbols, 2 * symbols, device=z_RD.device, dtype=z_RD.dtype)
    buffers, affine_buffer = plan.buffers(z_RD, 2), plan.affine_buffer(weight_CSD)
    z_RE = _with_ones(z_RD)
    stored: list[Tensor] = []
    for part in plan:
        affine = affine_buffer[: len(part.row_counts) * symbols]
        affine[:, :-1], affine[:, -1] = weight_CSD[part.channels].flatten(0, 1), bias_CS[part.channels].flatten()
        for rows in part.blocks:
            a, distance = part.views(buffers, rows)
            at = rows, part.channels
            store -= a.numel()
            if store >= 0:
                a = torch.empty_like(a)
                stored.append(a)
            torch.mm(z_RE[rows], affine.T, out=a)
            if compiled:
                found_RC[at] = compiled_once(_nearest_to_zero)(part.split(a))
                continue
            distance_RCS = part.split(torch.abs(a, out=distance))
            if by_sums:
                least_RC1 = distance_RCS.amin(dim=2, keepdim=True)
                least_RC[at], sum_RC[at] = least_RC1[:, :, 0], distance_RCS.eq_(least_RC1) @ index_S
            else:
                least_RC[at], found_RC[at] = distance_RCS.min(dim=2)
    if by_sums:
        found_RC = sum_RC.long().sub_(symbols)
        not_one_RC = (found_RC < 0) | (found_RC >= symbols)
        for channel in torch.nonzero(not_one_RC.any(dim=0))[:, 0].tolist():
            rows_N = torch.nonzero(not_one_RC[:, channel])[:, 0]
            a_N1S = torch.addmm(bias_CS[channel], z_RD[rows_N], weight_CSD[channel].T)[:, None]
            found_RC[rows_N, channel] = _nearest_to_zero(a_N1S)[:, 0]
    return found_RC, least_RC, stored


def is_traced() -> bool:
    """Whether torch.compile, torch.export or torch.jit.trace records operations.

    A division into blocks would fix the number of rows in the recorded program.
    """
    return torch.compiler.is_compiling() or bool(torch._C._get_tracing_state())  # as in `torch.jit.is_tracing`


@cache
def compiled_once(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function compiled by torch.compile, once, for blocks of any number of rows."""
    return torch.compile(function, dynamic=True)


def _nearest_to_zero(a_RCS: Tensor) -> Tensor:
    return a_RCS.abs().argmin(dim=2)


def _gradient_through_softmax(
    a_RCS: Tensor, g_one_hot_RCS: Tensor, scale_C1: Tensor, g_bits_NT: Tensor, lengths_TCS: Tensor
) -> Tensor:
    """The gradient for −T·a through softmax(−T·|a|) at temperature T, as one expression for torch.compile.

    a_RCS: a, or T·a.
    g_one_hot_RCS: the gradient for the one-hot vectors through the table.
    scale_C1: T for a, 1 for T·a.
    g_bits_NT, lengths_TCS: the gradient for the bits, and the code lengths, which add the gradient through the rate.
    """
    soft_RCS = torch.softmax(without_tail(-scale_C1 * a_RCS.abs(), dim=2), dim=2)
    g_RCS = g_one_hot_RCS + (g_bits_NT[:, :, None, None] * lengths_TCS).flatten(0, 1)
    return soft_RCS * (g_RCS - (soft_RCS * g_RCS).sum(dim=2, keepdim=True)) * a_RCS.sgn()


def _gradient_through_softmax_in_place(
    a_RCS: Tensor,
    g_one_hot_RCS: Tensor,
    scale_C1: Tensor | None,
    g_bits_NT: Tensor,
    lengths_TCS: Tensor,
    *,
    largest_RC1: Tensor,
    any_is_zero: bool,
    logits_RCS: Tensor,
    soft_RCS: Tensor,
) -> Tensor:
    """`_gradient_through_softmax` without new memory; the result is in the memory of `logits_RCS`.

    scale_C1: T for a, None for T·a.
    g_one_hot_RCS: is overwritten.
    largest_RC1: the largest logits: −T times the least distances.
    any_is_zero: whether activations may be 0.
    logits_RCS, soft_RCS: memory for the input and the output of the softmax.
    """
    torch.abs(a_RCS, out=logits_RCS)
    logits_RCS.neg_() if scale_C1 is None else logits_RCS.mul_(-scale_C1)
    # the tail of the softmax would be subnormal; at this lower bound it is normal, and too small to change the sum
    torch.maximum(logits_RCS, largest_RC1 + MIN_EXPONENT, out=logits_RCS)
    torch.softmax(logits_RCS, dim=2, out=soft_RCS)
    by_sample_NTCS = g_one_hot_RCS.view(-1, *lengths_TCS.shape)
    by_sample_NTCS.addcmul_(g_bits_NT[:, :, None, None], lengths_TCS)
    g_logits_RCS = logits_RCS  # the logits are no longer needed
    torch.ops.aten._softmax_backward_data.out(g_one_hot_RCS, soft_RCS, 2, soft_RCS.dtype, grad_input=g_logits_RCS)
    if any_is_zero:
        sign_RCS = torch.sgn(a_RCS, out=g_one_hot_RCS)  # the gradient for the one-hot vectors is no longer needed
        return g_logits_RCS.mul_(sign_RCS)
    # one operation instead of two: the gradient where the activation is above 0, and its negative elsewhere
    torch.ops.aten.leaky_relu_backward.grad_input(g_logits_RCS, a_RCS, -1.0, False, grad_input=g_logits_RCS)
    return g_logits_RCS


def without_tail(logits: Tensor, dim: int) -> Tensor:
    """Shift logits in place so that the largest along `dim` is 0, and set those below MIN_EXPONENT to −∞.

    Otherwise the softmax at high temperatures has many subnormal numbers, which make CPUs many times slower.
    """
    logits.sub_(logits.amax(dim=dim, keepdim=True))
    return torch.threshold_(logits, MIN_EXPONENT, float("-inf"))


def _with_ones(z_RD: Tensor) -> Tensor:
    """Rows with a 1 appended, so that the bias is one more weight and needs no separate pass over memory."""
    return torch.cat([z_RD, z_RD.new_ones(len(z_RD), 1)], dim=1)


def sum_of_rows(table_CSD: Tensor, symbols_RC: Tensor, row_counts: Sequence[int] | None = None) -> Tensor:
    """The table rows of symbols, summed over channels: (R, D).

    table_CSD: a row for each symbol of each channel.
    symbols_RC: the symbols. Without `row_counts`, a negative one adds nothing.
    row_counts: the number of rows, the first ones, that keep each channel, in falling order. Default: all rows.
    """
    if row_counts is None:
        table_CSD, symbols_RC = functional.pad(table_CSD, (0, 0, 1, 0)), symbols_RC + 1
        if is_traced():
            return _sum_of_rows_traced(table_CSD, symbols_RC)
    channels, symbols, dims = table_CSD.shape
    summed_RD = table_CSD.new_zeros(len(symbols_RC), dims)
    at_once = max(1, TABLE_BLOCK // (symbols * dims))
    for first in range(0, channels, at_once):
        some = slice(first, min(first + at_once, channels))
        most, least = (len(symbols_RC),) * 2 if row_counts is None else (row_counts[first], row_counts[some.stop - 1])
        table_KD, number_RC = table_CSD[some].reshape(-1, dims), _number(symbols_RC[:most, some], symbols)
        if least:
            summed_RD[:least] += functional.embedding_bag(number_RC[:least], table_KD, mode="sum")
        if row_counts is not None and most > least:
            rest = is_kept(row_counts[some], slice(least, most), symbols_RC.device)
            count_R = rest.sum(dim=1)
            summed_RD[least:most] += functional.embedding_bag(
                number_RC[least:][rest], table_KD, count_R.cumsum(0) - count_R, mode="sum"
            )
    return summed_RD


def _sum_of_rows_traced(table_CSD: Tensor, symbols_RC: Tensor) -> Tensor:
    """`sum_of_rows` in operations that every runtime has, for any number of rows."""
    channels, symbols, dims = table_CSD.shape
    at_once = max(1, ROWS_TRACED // dims)
    summed_RD = table_CSD.new_zeros(symbols_RC.shape[0], dims)
    for first in range(0, channels, at_once):
        some = slice(first, min(first + at_once, channels))
        summed_RD = summed_RD + table_CSD[some].flatten(0, 1)[_number(symbols_RC[:, some], symbols)].sum(dim=1)
    return summed_RD


def _number(symbols_RC: Tensor, symbols: int) -> Tensor:
    """The indices (R, C) of symbols in arrays over all symbols of all channels, flattened."""
    return symbols_RC + torch.arange(0, symbols_RC.shape[1] * symbols, symbols, device=symbols_RC.device)


def number_of_length(symbols_RC: Tensor, tables: int, symbols: int) -> Tensor:
    """The indices (R, C) of symbols in flattened code lengths (C, T, S). Row r uses table r mod T.

    symbols_RC: the symbols.
    tables: T.
    symbols: S.
    """
    rows, channels = symbols_RC.shape
    table_RC = torch.arange(rows, device=symbols_RC.device)[:, None] % tables
    table_RC = table_RC + torch.arange(0, channels * tables, tables, device=symbols_RC.device)
    return table_RC * symbols + symbols_RC


class _Inputs(NamedTuple):
    """The differentiable arguments of `one_hot_max`, with rows in the order of their number of kept channels."""

    z_RD: Tensor
    weight_CSD: Tensor
    bias_CS: Tensor
    temperature_C: Tensor
    table_CSD: Tensor
    code_lengths_CTS: Tensor


class _OneHotMax(torch.autograd.Function):
    """One-hot max of rows, sorted by kept channels: returns latent (R, D), bits (R,) and symbols (R, C)."""

    @staticmethod
    def forward(ctx: Any, compiled: bool, row_counts: list[int], *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inputs = _Inputs(*tensors)
        z_RD = inputs.z_RD
        _, tables, symbols = inputs.code_lengths_CTS.shape
        plan = BlockPlan.of(z_RD, symbols, row_counts, multiple=tables)
        store = STORED_ACTIVATIONS if z_RD.shape[1] >= MANY_LATENT_CHANNELS and any(ctx.needs_input_grad[2:6]) else 0
        with torch.autocast(z_RD.device.type, enabled=False):
            symbols_RC, least_RC, stored = _nearest(plan, z_RD, inputs.weight_CSD, inputs.bias_CS, store, compiled)
        kept_RC = is_kept(row_counts, slice(0, len(z_RD)), z_RD.device)
        symbols_RC *= kept_RC
        latent_RD = sum_of_rows(inputs.table_CSD, symbols_RC, row_counts)
        lengths_RC = inputs.code_lengths_CTS.take(number_of_length(symbols_RC, tables, symbols))
        ctx.plan, ctx.compiled = plan, compiled
        ctx.save_for_backward(*inputs, symbols_RC, kept_RC, least_RC, *stored)
        ctx.mark_non_differentiable(symbols_RC)
        return latent_RD, (lengths_RC * kept_RC).sum(dim=1), symbols_RC

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_latent_RD: Tensor, g_bits_R: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # only once: with gradient checkpointing, each access repeats the forward pass
        inputs, of_forward = _Inputs(*saved[: len(_Inputs._fields)]), saved[len(_Inputs._fields) :]
        symbols_RC, kept_RC, least_RC, *stored = of_forward
        _, _, *through_softmax, of_table, of_lengths = ctx.needs_input_grad
        gradients: list[Tensor | None] = [None] * 6
        with torch.autocast(g_latent_RD.device.type, enabled=False):
            if any(through_softmax):
                gradients[:4] = _gradients(
                    inputs, g_latent_RD, g_bits_R, least_RC, plan=ctx.plan, stored=stored, compiled=ctx.compiled
                )
            if of_table:
                kept = sum(ctx.plan.row_counts)
                gradients[4] = _table_gradient(inputs.table_CSD, symbols_RC, kept_RC, kept, g_latent_RD)
            if of_lengths:
                gradients[5] = length_gradient(inputs.code_lengths_CTS, symbols_RC, kept_RC, g_bits_R)
        return None, None, *gradients


def _table_gradient(table_CSD: Tensor, symbols_RC: Tensor, kept_RC: Tensor, kept: int, g_latent_RD: Tensor) -> Tensor:
    """The gradient for the table (C, S, D): for each symbol, the sum of `g_latent_RD` over the rows that chose it.

    Rows are sorted by symbol first, so that each sum is written once.

    kept: how many elements of `kept_RC` are true.
    """
    channels, symbols, dims = table_CSD.shape
    number_RC = _number(symbols_RC, symbols).masked_fill_(~kept_RC, channels * symbols)
    count_K = torch.bincount(number_RC.flatten(), minlength=channels * symbols + 1)[:-1]
    order = torch.argsort(number_RC.flatten().int(), stable=True)  # sorting 32-bit integers takes half the time
    row = order[:kept] // channels
    summed_KD = functional.embedding_bag(row, g_latent_RD, count_K.cumsum(0) - count_K, mode="sum")
    return summed_KD.view(channels, symbols, dims)


def length_gradient(code_lengths_CTS: Tensor, symbols_RC: Tensor, kept_RC: Tensor, g_bits_R: Tensor) -> Tensor:
    """The gradient for code lengths (C, T, S): for each, the sum of `g_bits_R` over the rows that use it.

    code_lengths_CTS, symbols_RC: as in `one_hot_max`, for rows.
    kept_RC: whether each row keeps each channel.
    g_bits_R: the gradient for the bits of each row.
    """
    _, tables, symbols = code_lengths_CTS.shape
    number_RC = number_of_length(symbols_RC, tables, symbols)
    gradient = code_lengths_CTS.new_zeros(code_lengths_CTS.numel())
    gradient.index_add_(0, number_RC.flatten(), (g_bits_R[:, None] * kept_RC).flatten())
    return gradient.view_as(code_lengths_CTS)


def _gradients(
    inputs: _Inputs,
    g_latent_RD: Tensor,
    g_bits_R: Tensor,
    least_RC: Tensor,
    *,
    plan: BlockPlan,
    stored: Sequence[Tensor],
    compiled: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients for z, weight, bias and temperature.

    The gradients for T·W and T·b are computed first, where T is the temperature. As T·a = z·T·W + T·b, that for T is
    then ⟨g_TW, W⟩ + ⟨g_Tb, b⟩, and those for W and b are T·g_TW and T·g_Tb.

    g_latent_RD, g_bits_R: the gradients for the dequantized latent and for the bits.
    least_RC: the distances of the symbols, which are used only without `compiled`.
    stored: the activations of the first blocks.
    """
    z_RD, weight_CSD, bias_CS, temperature_C, table_CSD, code_lengths_CTS = inputs
    tables = code_lengths_CTS.shape[1]
    g_z, g_bias, g_temperature = (torch.zeros_like(x) for x in (z_RD, bias_CS, temperature_C))
    g_weight = torch.empty_like(weight_CSD)
    buffers, affine_buffer = plan.buffers(z_RD, 4), plan.affine_buffer(weight_CSD)
    if z_RD.shape[1] >= MANY_LATENT_CHANNELS:
        g_affine_buffer = torch.empty_like(affine_buffer)
    else:  # with few latent channels the matrix product that fills it is faster in the transposed layout
        g_affine_buffer = affine_buffer.new_empty(affine_buffer.shape[::-1]).T
    z_RE = _with_ones(z_RD)
    stored_blocks, largest_RC = iter(stored), least_RC * -temperature_C
    on_cpu = z_RD.device.type == "cpu"  # on a GPU, the check would synchronize with the host
    some_are_zero = not (on_cpu and bool(least_RC.all()))
    for part in plan:
        weight, bias = weight_CSD[part.channels], bias_CS[part.channels]
        temperature = temperature_C[part.channels, None]
        affine = affine_buffer[: len(part.row_counts) * plan.symbols]  # T·W and T·b
        scaled_weight = affine[:, :-1]
        torch.mul(weight, temperature[:, :, None], out=scaled_weight.view_as(weight))
        affine[:, -1] = (bias * temperature).flatten()
        table = table_CSD[part.channels].flatten(0, 1)
        lengths_TCS = code_lengths_CTS[part.channels].transpose(0, 1).contiguous()
        g_affine = g_affine_buffer[: len(affine)]
        for rows in part.blocks:
            a, logits, soft, g_one_hot = part.views(buffers, rows)
            a_stored = next(stored_blocks, None)
            scale: Tensor | None = None  # activations that are computed here include the temperature
            if a_stored is None:
                torch.mm(z_RE[rows], affine.T, out=a)
            else:
                a, scale = a_stored, temperature
            torch.mm(g_latent_RD[rows], table.T, out=g_one_hot)
            g_bits_NT = g_bits_R[rows].view(-1, tables)
            a_RCS, g_one_hot_RCS = part.split(a), part.split(g_one_hot)
            if compiled:
                scale = torch.ones_like(temperature) if scale is None else scale
                through_softmax = compiled_once(_gradient_through_softmax)
                g_RCS = through_softmax(a_RCS, g_one_hot_RCS, scale, g_bits_NT, lengths_TCS)
            else:
                g_RCS = _gradient_through_softmax_in_place(
                    a_RCS,
                    g_one_hot_RCS,
                    scale,
                    g_bits_NT,
                    lengths_TCS,
                    largest_RC1=largest_RC[rows, part.channels, None],
                    any_is_zero=some_are_zero and not (on_cpu and bool(least_RC[rows, part.channels].all())),
                    logits_RCS=part.split(logits),
                    soft_RCS=part.split(soft),
                )
            if rows.stop > part.row_counts[-1]:
                g_RCS.mul_(is_kept(part.row_counts, rows, g_RCS.device)[:, :, None])
            g = g_RCS.flatten(1)  # the gradient for −T·a
            g_affine.addmm_(g.T, z_RE[rows], beta=1 if rows.start else 0, alpha=-1)
            g_z[rows].addmm_(g, scaled_weight, alpha=-1)
        g_weight_part, g_bias_part = g_affine[:, :-1].view(weight.shape), g_affine[:, -1].view(bias.shape)
        of_temperature = torch.linalg.vecdot(g_weight_part, weight) + g_bias_part * bias
        torch.sum(of_temperature, dim=1, out=g_temperature[part.channels])
        torch.mul(g_weight_part, temperature[:, :, None], out=g_weight[part.channels])
        torch.mul(g_bias_part, temperature, out=g_bias[part.channels])
    g_weight[plan.used :] = 0
    return g_z, g_weight, g_bias, g_temperature
