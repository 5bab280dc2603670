"""One-hot max quantization with weights and tables of low rank: the factored form of `straight_through`.

Shapes are as in `straight_through`: R rows of D latent channels, C channels of S symbols, T tables of code lengths.
Each channel has K directions for its weights, and K for its table; E = K + 1.

    forward    x[c, k] = direction[c, k]·z                            coordinates: all channels in one matrix product
               a[c, s] = Σ_k slope[c, s, k]·x[c, k] + bias[c, s]      activations
               symbol[c] = argmin_s |a[c, s]|
               y = Σ_c Σ_k point[c, symbol, k]·table_direction[c, k]  a look-up, and one matrix product
    backward   as if the one-hot vector were softmax_s(−temperature·|a|)

This is Ω with weight[c, s] = Σ_k slope[c, s, k]·direction[c, k] and table[c, s] = Σ_k point[c, s, k]·table_direction[c,
k]. A row costs 2·C·K·D + C·S·E products instead of C·S·(D + 1).

Rows are the last dimension here, (C, K, R) and (C, S, R), so that elementwise operations are fast even if channels have
few symbols. As in `straight_through`, arrays with a value for every symbol are computed block by block, in the forward
and again in the backward pass.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from omega_quant.block_plan import BlockPlan, ChannelBlock, is_kept, order_by_kept
from omega_quant.straight_through import compiled_once, is_traced, length_gradient, number_of_length, without_tail

POINT_BLOCK = 1 << 20
"""The number of points that are looked up at once, for one matrix product."""
CACHED_POINTS = 1 << 17
"""The number of points that are looked up at once without a matrix product, so that they fit the CPU cache."""


def factored_one_hot_max(
    z_NPD: Tensor,
    direction_CKD: Tensor,
    slope_CSK: Tensor,
    bias_CS: Tensor,
    temperature_C: Tensor,
    table_direction_CKD: Tensor,
    point_CSK: Tensor,
    code_lengths_CTS: Tensor,
    kept_N: Tensor,
    *,
    compiled: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """`straight_through.one_hot_max` with factors: returns latent (N, P, D), bits (N,) and symbols (N, C, P).

    direction_CKD, slope_CSK, bias_CS: the factors of the weights, and the biases.
    table_direction_CKD, point_CSK: the factors of the table.
    z_NPD, temperature_C, code_lengths_CTS, kept_N, compiled: as in `one_hot_max`.
    """
    samples, positions, _ = z_NPD.shape
    channels = len(direction_CKD)
    order_N, back_N, row_counts = order_by_kept(kept_N, channels, positions)
    z_RD = z_NPD[order_N].flatten(0, 1)
    weight, table = (direction_CKD, slope_CSK, bias_CS), (table_direction_CKD, point_CSK)
    inputs = _Inputs(z_RD, *weight, temperature_C, *table, code_lengths_CTS)
    apply = cast(Callable[..., tuple[Tensor, Tensor, Tensor]], _FactoredOneHotMax.apply)
    latent_RD, bits_R, symbols_CR = apply(compiled, row_counts, *inputs)
    return (
        latent_RD.view(samples, positions, table_direction_CKD.shape[2])[back_N],
        bits_R.view(samples, positions).sum(dim=1)[back_N],
        symbols_CR.view(channels, samples, positions)[:, back_N].transpose(0, 1),
    )


@torch.no_grad()
def factored_nearest(z_RD: Tensor, direction_CKD: Tensor, slope_CSK: Tensor, bias_CS: Tensor) -> Tensor:
    """The symbols (C, R) whose activations are nearest to zero; the first of equally near ones.

    z_RD, direction_CKD, slope_CSK, bias_CS: as in `factored_one_hot_max`.
    """
    channels, symbols = bias_CS.shape
    if is_traced():
        a_CSR = torch.bmm(slope_CSK, _along(direction_CKD, z_RD)) + bias_CS[:, :, None]
        return _nearest_to_zero(a_CSR)
    plan = BlockPlan.of(z_RD, symbols, [len(z_RD)] * channels)
    found_CR = torch.empty(channels, len(z_RD), dtype=torch.int64, device=z_RD.device)
    _find_nearest(found_CR, plan, z_RD, direction_CKD, slope_CSK, bias_CS)
    return found_CR


def sum_of_points(
    direction_CKD: Tensor, point_CSK: Tensor, symbols_CR: Tensor, row_counts: Sequence[int] | None = None
) -> Tensor:
    """The sums (R, D) of points that symbols stand for: Σ_c Σ_k point[c, symbol, k]·direction[c, k].

    direction_CKD, point_CSK: the directions, and the coordinates of each symbol along them.
    symbols_CR: the symbols; a negative one adds nothing.
    row_counts: the number of rows, the first ones, that keep each channel, in falling order. Default: all rows.
    """
    channels, rank, dims = direction_CKD.shape
    if is_traced() and row_counts is None:
        return _chosen(point_CSK, symbols_CR).flatten(0, 1).T @ direction_CKD.flatten(0, 1)
    rows = symbols_CR.shape[1]
    summed_RD = direction_CKD.new_zeros(rows, dims)
    at_once = max(1, POINT_BLOCK // (rank * max(1, rows)))
    for first in range(0, channels, at_once):
        some = slice(first, first + at_once)
        most = rows if row_counts is None else row_counts[first]
        chosen_CKR = _chosen(point_CSK[some], symbols_CR[some, :most])
        if row_counts is not None:
            chosen_CKR = chosen_CKR * is_kept(row_counts[some], slice(0, most), symbols_CR.device).T[:, None]
        summed_RD[:most] += chosen_CKR.flatten(0, 1).T @ direction_CKD[some].flatten(0, 1)
    return summed_RD


def sum_along_axes(axis_C: Tensor, latents: int, point_CS: Tensor, symbols_CR: Tensor, row_CR: Tensor | int) -> Tensor:
    """`sum_of_points`, transposed to (D, R), for directions that are unit vectors along one latent each.

    axis_C: the latent that each channel is along. latents: D.
    point_CS: the coordinate of each symbol.
    symbols_CR: the symbols; a negative one adds nothing.
    row_CR: added to the symbols, in parts, as another whole tensor of 64-bit integers takes as long as all the rest.
    """
    channels, rows = symbols_CR.shape
    after_none_CS = functional.pad(point_CS, (1, 0))
    summed_DR = point_CS.new_zeros(latents, rows)
    at_once = max(1, CACHED_POINTS // max(1, rows))
    for first in range(0, channels, at_once):
        some = slice(first, first + at_once)
        row = row_CR[some] + 1 if isinstance(row_CR, Tensor) else row_CR + 1
        summed_DR.index_add_(0, axis_C[some], after_none_CS[some].gather(1, symbols_CR[some] + row))
    return summed_DR


def _chosen(point_CSK: Tensor, symbols_CR: Tensor) -> Tensor:
    """The coordinates (C, K, R) of symbols; 0 for negative ones."""
    point_CKS = functional.pad(point_CSK.transpose(1, 2), (1, 0))
    return point_CKS.gather(2, symbols_CR[:, None].expand(-1, point_CKS.shape[1], -1) + 1)


def _along(direction_CKD: Tensor, z_RD: Tensor) -> Tensor:
    """The coordinates (C, K, R) of rows along directions."""
    return (direction_CKD.flatten(0, 1) @ z_RD.T).view(*direction_CKD.shape[:2], z_RD.shape[0])


def _with_ones(x_CKR: Tensor) -> Tensor:
    """Coordinates (C, E, R) with a 1 appended, so that the bias is one more slope."""
    return torch.cat([x_CKR, x_CKR.new_ones(len(x_CKR), 1, x_CKR.shape[2])], dim=1)


def _views(part: ChannelBlock, buffers: Tensor, rows: slice) -> tuple[Tensor, ...]:
    """A view (channels, S, rows) of each buffer, for the rows of a block."""
    shape = len(part.row_counts), part.symbols, rows.stop - rows.start
    return buffers[:, : shape[0] * shape[1] * shape[2]].view(-1, *shape).unbind()


def _find_nearest(
    found_CR: Tensor,
    plan: BlockPlan,
    z_RD: Tensor,
    direction_CKD: Tensor,
    slope_CSK: Tensor,
    bias_CS: Tensor,
    compiled: bool = False,
) -> None:
    """Write symbols to `found_CR`, except for rows that keep none of a block's channels."""
    number_S1 = torch.arange(plan.symbols, 2 * plan.symbols, device=z_RD.device, dtype=z_RD.dtype)[:, None]
    affine_CSE = torch.cat([slope_CSK, bias_CS[:, :, None]], dim=2)
    buffers = plan.buffers(z_RD, 3)
    for part in plan:
        x_CER = _with_ones(_along(direction_CKD[part.channels], z_RD[: part.row_counts[0]]))
        for rows in part.blocks:
            a, distance, is_least = _views(part, buffers, rows)
            torch.bmm(affine_CSE[part.channels], x_CER[:, :, rows], out=a)
            if compiled:
                found_CR[part.channels, rows] = compiled_once(_nearest_to_zero)(a)
                continue
            torch.abs(a, out=distance)
            found_CR[part.channels, rows] = _fast_argmin(distance, is_least, number_S1)


def _nearest_to_zero(a_CSR: Tensor) -> Tensor:
    return a_CSR.abs().argmin(dim=1)


def _fast_argmin(distance_CSR: Tensor, is_least_CSR: Tensor, number_S1: Tensor) -> Tensor:
    """`distance.argmin(dim=1)`, many times as fast on a CPU.

    The sum of S, S + 1, … 2·S − 1 over the mask of the least distances is S plus the symbol if the minimum is unique.
    If the sum is outside of S to 2·S − 1, for equal minima or NaN, argmin is used. It is also used for 16-bit numbers,
    which cannot represent such sums, and on a GPU, where the check would synchronize with the host.

    is_least_CSR: memory for the mask.
    number_S1: S, S + 1, … 2·S − 1.
    """
    symbols = len(number_S1)
    if distance_CSR.dtype.itemsize < 4 or distance_CSR.device.type != "cpu":
        return distance_CSR.argmin(dim=1)
    torch.eq(distance_CSR, distance_CSR.amin(dim=1, keepdim=True), out=is_least_CSR)
    sum_CR = is_least_CSR.mul_(number_S1).sum(dim=1)
    least, most = sum_CR.aminmax()
    only_one_is = bool(least >= symbols) and bool(most < 2 * symbols)
    return sum_CR.sub_(symbols) if only_one_is else distance_CSR.argmin(dim=1)


def _gradient_through_softmax(a_CSR: Tensor, g_one_hot_CSR: Tensor, g_bits_NT: Tensor, lengths_CST: Tensor) -> Tensor:
    """The gradient for −a through softmax(−|a|), as one expression for torch.compile.

    a_CSR: activations, times the temperature.
    g_one_hot_CSR: the gradient for the one-hot vectors through the table.
    g_bits_NT, lengths_CST: the gradient for the bits, and the code lengths, which add the gradient through the rate.
    """
    soft_CSR = torch.softmax(without_tail(-a_CSR.abs(), dim=1), dim=1)
    g_CSR = g_one_hot_CSR + (g_bits_NT * lengths_CST[:, :, None]).flatten(2)
    return soft_CSR * (g_CSR - (soft_CSR * g_CSR).sum(dim=1, keepdim=True)) * a_CSR.sgn()


def _gradient_through_softmax_in_place(
    a_CSR: Tensor,
    g_one_hot_CSR: Tensor,
    g_bits_NT: Tensor,
    lengths_CST: Tensor,
    *,
    logits_CSR: Tensor,
    soft_CSR: Tensor,
) -> Tensor:
    """`_gradient_through_softmax` without new memory; the result is in the memory of `logits_CSR`.

    g_one_hot_CSR: is overwritten.
    logits_CSR, soft_CSR: memory for the input and the output of the softmax.
    """
    torch.softmax(without_tail(torch.abs(a_CSR, out=logits_CSR).neg_(), dim=1), dim=1, out=soft_CSR)
    by_sample_CSNT = g_one_hot_CSR.view(*g_one_hot_CSR.shape[:2], *g_bits_NT.shape)
    by_sample_CSNT.addcmul_(g_bits_NT, lengths_CST[:, :, None])
    g_logits_CSR = logits_CSR  # the logits are no longer needed
    torch.ops.aten._softmax_backward_data.out(g_one_hot_CSR, soft_CSR, 1, soft_CSR.dtype, grad_input=g_logits_CSR)
    sign_CSR = torch.sgn(a_CSR, out=g_one_hot_CSR)  # this gradient is no longer needed
    return g_logits_CSR.mul_(sign_CSR)


class _Inputs(NamedTuple):
    """The differentiable arguments of `factored_one_hot_max`, with rows sorted by their number of kept channels."""

    z_RD: Tensor
    direction_CKD: Tensor
    slope_CSK: Tensor
    bias_CS: Tensor
    temperature_C: Tensor
    table_direction_CKD: Tensor
    point_CSK: Tensor
    code_lengths_CTS: Tensor


class _FactoredOneHotMax(torch.autograd.Function):
    """One-hot max of rows, sorted by kept channels: returns latent (R, D), bits (R,) and symbols (C, R)."""

    @staticmethod
    def forward(ctx: Any, compiled: bool, row_counts: list[int], *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inputs = _Inputs(*tensors)
        z_RD = inputs.z_RD
        _, tables, symbols = inputs.code_lengths_CTS.shape
        plan = BlockPlan.of(z_RD, symbols, row_counts, multiple=tables)
        kept_CR = is_kept(row_counts, slice(0, len(z_RD)), z_RD.device).T
        symbols_CR = torch.zeros(kept_CR.shape, dtype=torch.int64, device=z_RD.device)
        weight = inputs.direction_CKD, inputs.slope_CSK, inputs.bias_CS
        _find_nearest(symbols_CR, plan, z_RD, *weight, compiled)
        symbols_CR *= kept_CR
        latent_RD = sum_of_points(inputs.table_direction_CKD, inputs.point_CSK, symbols_CR, row_counts)
        lengths_RC = inputs.code_lengths_CTS.take(number_of_length(symbols_CR.T, tables, symbols))
        ctx.plan, ctx.compiled = plan, compiled
        ctx.save_for_backward(*inputs, symbols_CR, kept_CR)
        ctx.mark_non_differentiable(symbols_CR)
        return latent_RD, (lengths_RC * kept_CR.T).sum(dim=1), symbols_CR

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_latent_RD: Tensor, g_bits_R: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        *tensors, symbols_CR, kept_CR = ctx.saved_tensors
        inputs = _Inputs(*tensors)
        _, _, *through_softmax, of_table_direction, of_point, of_lengths = ctx.needs_input_grad
        gradients: list[Tensor | None] = [None] * 8
        with torch.autocast(g_latent_RD.device.type, enabled=False):
            if any(through_softmax):
                gradients[:5] = _gradients(inputs, g_latent_RD, g_bits_R, plan=ctx.plan, compiled=ctx.compiled)
            if of_table_direction or of_point:
                table = inputs.table_direction_CKD, inputs.point_CSK
                gradients[5:7] = _table_gradients(ctx.plan, *table, symbols_CR, kept_CR, g_latent_RD)
            if of_lengths:
                gradients[7] = length_gradient(inputs.code_lengths_CTS, symbols_CR.T, kept_CR.T, g_bits_R)
        return None, None, *gradients


def _table_gradients(
    plan: BlockPlan,
    table_direction_CKD: Tensor,
    point_CSK: Tensor,
    symbols_CR: Tensor,
    kept_CR: Tensor,
    g_latent_RD: Tensor,
) -> tuple[Tensor, Tensor]:
    """The gradients for the directions and points of the table.

    The gradient for a point is the sum of `g_latent_RD` over the rows that chose it, along its direction.
    """
    g_direction_CKD = torch.zeros_like(table_direction_CKD)
    g_point_CKS = torch.zeros_like(point_CSK.transpose(1, 2))
    for part in plan:
        some, most = part.channels, part.row_counts[0]
        kept_C1R, symbols = kept_CR[some, None, :most], symbols_CR[some, :most]
        direction = table_direction_CKD[some]
        chosen_CKR = _chosen(point_CSK[some], symbols) * kept_C1R
        torch.mm(chosen_CKR.flatten(0, 1), g_latent_RD[:most], out=g_direction_CKD[some].flatten(0, 1))
        g_chosen_CKR = _along(direction, g_latent_RD[:most]) * kept_C1R
        g_point_CKS[some].scatter_add_(2, symbols[:, None].expand_as(g_chosen_CKR), g_chosen_CKR)
    return g_direction_CKD, g_point_CKS.transpose(1, 2)


def _gradients(
    inputs: _Inputs, g_latent_RD: Tensor, g_bits_R: Tensor, *, plan: BlockPlan, compiled: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients for z, direction, slope, bias and temperature.

    As in `straight_through`, the gradients for T·slope and T·bias are computed first, where T is the temperature.

    g_latent_RD, g_bits_R: the gradients for the dequantized latent and for the bits.
    """
    z_RD, direction_CKD, slope_CSK, bias_CS, temperature_C, table_direction_CKD, point_CSK, code_lengths_CTS = inputs
    tables = code_lengths_CTS.shape[1]
    g_z, g_direction = torch.zeros_like(z_RD), torch.zeros_like(direction_CKD)
    affine_CSE = torch.cat([slope_CSK, bias_CS[:, :, None]], dim=2)
    scaled_CSE = affine_CSE * temperature_C[:, None, None]
    g_affine_CSE = torch.zeros_like(affine_CSE)
    buffers = plan.buffers(z_RD, 4)
    for part in plan:
        some, most = part.channels, part.row_counts[0]
        x_CER = _with_ones(_along(direction_CKD[some], z_RD[:most]))
        g_x_CKR = torch.empty_like(x_CER[:, :-1])
        g_chosen_CKR = _along(table_direction_CKD[some], g_latent_RD[:most])
        lengths_CST = code_lengths_CTS[some].transpose(1, 2)
        for rows in part.blocks:
            a, logits, soft, g_one_hot = _views(part, buffers, rows)
            x, g_bits_NT = x_CER[:, :, rows], g_bits_R[rows].view(-1, tables)
            torch.bmm(scaled_CSE[some], x, out=a)
            torch.bmm(point_CSK[some], g_chosen_CKR[:, :, rows], out=g_one_hot)
            given = a, g_one_hot, g_bits_NT, lengths_CST
            if compiled:
                g = compiled_once(_gradient_through_softmax)(*given)
            else:
                g = _gradient_through_softmax_in_place(*given, logits_CSR=logits, soft_CSR=soft)
            if rows.stop > part.row_counts[-1]:
                g.mul_(is_kept(part.row_counts, rows, g.device).T[:, None])
            g_affine_CSE[some].baddbmm_(g, x.transpose(1, 2), alpha=-1)
            g_x_CKR[:, :, rows] = torch.bmm(scaled_CSE[some, :, :-1].transpose(1, 2), g).neg_()
        g_x = g_x_CKR.flatten(0, 1)
        g_z[:most].addmm_(g_x.T, direction_CKD[some].flatten(0, 1))
        torch.mm(g_x, z_RD[:most], out=g_direction[some].flatten(0, 1))
    g_temperature = (g_affine_CSE * affine_CSE).sum(dim=(1, 2))
    g_affine_CSE *= temperature_C[:, None, None]
    return g_z, g_direction, g_affine_CSE[:, :, :-1], g_affine_CSE[:, :, -1], g_temperature
