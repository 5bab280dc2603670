"""One-hot max quantization whose weights and table rows lie in few directions: `straight_through` of low rank.

Shapes as in `straight_through`: R rows of D latent channels, C channels of S symbols, T tables of code lengths. Each
channel has K directions of its own, for its weights and for its table; E = K + 1.

    forward    x[c, k] = direction[c, k]·z                            coordinates: all channels in one matrix product
               a[c, s] = Σ_k slope[c, s, k]·x[c, k] + bias[c, s]      activations
               symbol[c] = argmin_s |a[c, s]|
               y = Σ_c Σ_k point[c, symbol, k]·table_direction[c, k]  a look-up, and one matrix product
    backward   as if the one-hot vector were softmax_s(−temperature·|a|)

So it is Ω of weight[c, s] = Σ_k slope[c, s, k]·direction[c, k] and table[c, s] = Σ_k point[c, s, k]·table_direction[c,
k]; but a row costs 2·C·K·D + C·S·E products instead of C·S·(D + 1).

Rows lie along the last dimension here, (C, K, R) and (C, S, R): what is done for a symbol is done for many rows at
once, however few symbols there are. As in `straight_through`, what has a value for every symbol is worked out a block
at a time, once forward and again backward.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from omega_quant.blocks import Cut, Part, by_kept, is_kept
from omega_quant.straight_through import compiled_once, length_gradient, number_of_length

LOOKED_UP = 1 << 20
"""Points that are looked up at once, for one matrix product."""


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
    """What `straight_through.one_hot_max` computes, of factors: latent (N, P, D), bits (N,) and symbols (N, C, P)."""
    samples, positions, _ = z_NPD.shape
    channels = len(direction_CKD)
    order_N, back_N, keeping = by_kept(kept_N, channels, positions)
    apply = cast(Callable[..., tuple[Tensor, Tensor, Tensor]], _FactoredOneHotMax.apply)
    latent_RD, bits_R, symbols_CR = apply(
        compiled,
        keeping,
        z_NPD[order_N].flatten(0, 1),
        direction_CKD,
        slope_CSK,
        bias_CS,
        temperature_C,
        table_direction_CKD,
        point_CSK,
        code_lengths_CTS,
    )
    return (
        latent_RD.view(samples, positions, table_direction_CKD.shape[2])[back_N],
        bits_R.view(samples, positions).sum(dim=1)[back_N],
        symbols_CR.view(channels, samples, positions)[:, back_N].transpose(0, 1),
    )


@torch.no_grad()
def factored_nearest(
    z_RD: Tensor, direction_CKD: Tensor, slope_CSK: Tensor, bias_CS: Tensor, *, out: Tensor | None = None
) -> Tensor:
    """The symbols (C, R) whose activations are nearest to zero; of equally near ones the first.

    out: where to write them.
    """
    channels, symbols = bias_CS.shape
    cut = Cut.of(z_RD, symbols, [len(z_RD)] * channels)
    found_CR = torch.empty(channels, len(z_RD), dtype=torch.int64, device=z_RD.device) if out is None else out
    _find_nearest(found_CR, cut, z_RD, direction_CKD, slope_CSK, bias_CS)
    return found_CR


def sum_of_points(
    direction_CKD: Tensor, point_CSK: Tensor, symbols_CR: Tensor, keeping: Sequence[int] | None = None
) -> Tensor:
    """Σ_c Σ_k point[c, symbol, k]·direction[c, k] of symbols: (R, D).

    keeping: how many rows, the first ones, keep each channel, in falling order; all of them if None.
    """
    channels, rank, dims = direction_CKD.shape
    rows = symbols_CR.shape[1]
    summed_RD = direction_CKD.new_zeros(rows, dims)
    at_once = max(1, LOOKED_UP // (rank * max(1, rows)))
    for first in range(0, channels, at_once):
        some = slice(first, first + at_once)
        most = rows if keeping is None else keeping[first]
        chosen_CKR = _chosen(point_CSK[some], symbols_CR[some, :most])
        if keeping is not None:
            chosen_CKR = chosen_CKR * is_kept(keeping[some], slice(0, most), symbols_CR.device).T[:, None]
        summed_RD[:most] += chosen_CKR.flatten(0, 1).T @ direction_CKD[some].flatten(0, 1)
    return summed_RD


def _chosen(point_CSK: Tensor, symbols_CR: Tensor) -> Tensor:
    """The points of symbols (C, K, R)."""
    rank = point_CSK.shape[2]
    return point_CSK.transpose(1, 2).gather(2, symbols_CR[:, None].expand(-1, rank, -1))


def _along(direction_CKD: Tensor, z_RD: Tensor) -> Tensor:
    """The coordinates of rows along directions (C, K, R)."""
    return (direction_CKD.flatten(0, 1) @ z_RD.T).view(*direction_CKD.shape[:2], len(z_RD))


def _with_ones(x_CKR: Tensor) -> Tensor:
    """Coordinates (C, E, R) of which the last is 1, so that a bias is one more slope."""
    return torch.cat([x_CKR, x_CKR.new_ones(len(x_CKR), 1, x_CKR.shape[2])], dim=1)


def _cut_out(part: Part, memory: Tensor, rows: slice) -> tuple[Tensor, ...]:
    """Of each of several memories what a block needs: (channels, S, rows)."""
    shape = len(part.keeping), part.symbols, rows.stop - rows.start
    return memory[:, : shape[0] * shape[1] * shape[2]].view(-1, *shape).unbind()


def _find_nearest(
    found_CR: Tensor,
    cut: Cut,
    z_RD: Tensor,
    direction_CKD: Tensor,
    slope_CSK: Tensor,
    bias_CS: Tensor,
    compiled: bool = False,
) -> None:
    """Write symbols (C, R) to memory, but for rows that keep none of a block's channels."""
    number_S1 = torch.arange(cut.symbols, 2 * cut.symbols, device=z_RD.device, dtype=z_RD.dtype)[:, None]
    affine_CSE = torch.cat([slope_CSK, bias_CS[:, :, None]], dim=2)
    memory = cut.memory(z_RD, 3)
    for part in cut:
        x_CER = _with_ones(_along(direction_CKD[part.channels], z_RD[: part.keeping[0]]))
        for rows in part.blocks:
            a, distance, is_least = _cut_out(part, memory, rows)
            torch.bmm(affine_CSE[part.channels], x_CER[:, :, rows], out=a)
            if compiled:
                found_CR[part.channels, rows] = compiled_once(_nearest_to_zero)(a)
                continue
            torch.abs(a, out=distance)
            found_CR[part.channels, rows] = _first_least(distance, is_least, number_S1)


def _nearest_to_zero(a_CSR: Tensor) -> Tensor:
    return a_CSR.abs().argmin(dim=1)


def _first_least(distance_CSR: Tensor, is_least_CSR: Tensor, number_S1: Tensor) -> Tensor:
    """What `distance.argmin(dim=1)` returns, many times as quickly.

    number_S1: S, S + 1, … 2·S − 1. Its sum over where distances are least is below 2·S where only one is, mostly
    everywhere, and tells which. Numbers of 16 bits do not hold such sums, and a GPU would make the processor wait.
    """
    symbols = len(number_S1)
    if distance_CSR.dtype.itemsize < 4 or distance_CSR.device.type != "cpu":
        return distance_CSR.argmin(dim=1)
    torch.eq(distance_CSR, distance_CSR.amin(dim=1, keepdim=True), out=is_least_CSR)
    sum_CR = is_least_CSR.mul_(number_S1).sum(dim=1)
    least, most = sum_CR.aminmax()
    only_one_is = bool(least >= symbols) and bool(most < 2 * symbols)
    return sum_CR.sub_(symbols) if only_one_is else distance_CSR.argmin(dim=1)


def _gradient_through_softmax(a_CSR: Tensor, g_hot_CSR: Tensor, g_bits_NT: Tensor, lengths_CST: Tensor) -> Tensor:
    """The gradient to −a, given that to the one-hot vector from the table alone: `_gradients` in short."""
    soft_CSR = torch.softmax(-a_CSR.abs(), dim=1)
    g_CSR = g_hot_CSR + (g_bits_NT * lengths_CST[:, :, None]).flatten(2)
    return soft_CSR * (g_CSR - (soft_CSR * g_CSR).sum(dim=1, keepdim=True)) * a_CSR.sgn()


class _FactoredOneHotMax(torch.autograd.Function):
    """Rows, of which the first ones keep most channels, to their latent (R, D), bits (R,) and symbols (C, R)."""

    @staticmethod
    def forward(
        ctx: Any,
        compiled: bool,
        keeping: list[int],
        z_RD: Tensor,
        direction_CKD: Tensor,
        slope_CSK: Tensor,
        bias_CS: Tensor,
        temperature_C: Tensor,
        table_direction_CKD: Tensor,
        point_CSK: Tensor,
        code_lengths_CTS: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        _, tables, symbols = code_lengths_CTS.shape
        cut = Cut.of(z_RD, symbols, keeping, multiple=tables)
        kept_CR = is_kept(keeping, slice(0, len(z_RD)), z_RD.device).T
        symbols_CR = torch.zeros(kept_CR.shape, dtype=torch.int64, device=z_RD.device)
        _find_nearest(symbols_CR, cut, z_RD, direction_CKD, slope_CSK, bias_CS, compiled)
        symbols_CR *= kept_CR
        latent_RD = sum_of_points(table_direction_CKD, point_CSK, symbols_CR, keeping)
        lengths_RC = code_lengths_CTS.take(number_of_length(symbols_CR.T, tables, symbols))
        ctx.cut, ctx.compiled = cut, compiled
        inputs = z_RD, direction_CKD, slope_CSK, bias_CS, temperature_C, table_direction_CKD, point_CSK
        ctx.save_for_backward(*inputs, code_lengths_CTS, symbols_CR, kept_CR)
        ctx.mark_non_differentiable(symbols_CR)
        return latent_RD, (lengths_RC * kept_CR.T).sum(dim=1), symbols_CR

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g_latent_RD: Tensor, g_bits_R: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, symbols_CR, kept_CR = ctx.saved_tensors
        *_, table_direction_CKD, point_CSK, code_lengths_CTS = inputs
        _, _, *soft, of_table_direction, of_point, of_lengths = ctx.needs_input_grad
        gradients: list[Tensor | None] = [None] * 8
        with torch.autocast(g_latent_RD.device.type, enabled=False):
            if any(soft):
                gradients[:5] = _gradients(ctx.cut, ctx.compiled, g_latent_RD, g_bits_R, *inputs)
            if of_table_direction or of_point:
                table = table_direction_CKD, point_CSK
                gradients[5:7] = _table_gradients(ctx.cut, *table, symbols_CR, kept_CR, g_latent_RD)
            if of_lengths:
                gradients[7] = length_gradient(code_lengths_CTS, symbols_CR.T, kept_CR.T, g_bits_R)
        return None, None, *gradients


def _table_gradients(
    cut: Cut,
    table_direction_CKD: Tensor,
    point_CSK: Tensor,
    symbols_CR: Tensor,
    kept_CR: Tensor,
    g_latent_RD: Tensor,
) -> tuple[Tensor, Tensor]:
    """For each point, the sum of the gradients of the rows that chose it, along its direction; and for directions."""
    g_direction_CKD = torch.zeros_like(table_direction_CKD)
    g_point_CKS = torch.zeros_like(point_CSK.transpose(1, 2))
    for part in cut:
        some, most = part.channels, part.keeping[0]
        kept_C1R, symbols = kept_CR[some, None, :most], symbols_CR[some, :most]
        direction = table_direction_CKD[some]
        chosen_CKR = _chosen(point_CSK[some], symbols) * kept_C1R
        torch.mm(chosen_CKR.flatten(0, 1), g_latent_RD[:most], out=g_direction_CKD[some].flatten(0, 1))
        g_chosen_CKR = _along(direction, g_latent_RD[:most]) * kept_C1R
        g_point_CKS[some].scatter_add_(2, symbols[:, None].expand_as(g_chosen_CKR), g_chosen_CKR)
    return g_direction_CKD, g_point_CKS.transpose(1, 2)


def _gradients(
    cut: Cut,
    compiled: bool,
    g_latent_RD: Tensor,
    g_bits_R: Tensor,
    z_RD: Tensor,
    direction_CKD: Tensor,
    slope_CSK: Tensor,
    bias_CS: Tensor,
    temperature_C: Tensor,
    table_direction_CKD: Tensor,
    point_CSK: Tensor,
    code_lengths_CTS: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients to z, direction, slope, bias and temperature.

    Those to slope and bias are first made as if all temperatures T were 1, as in `straight_through`.
    """
    tables = code_lengths_CTS.shape[1]
    g_z, g_direction = torch.zeros_like(z_RD), torch.zeros_like(direction_CKD)
    affine_CSE = torch.cat([slope_CSK, bias_CS[:, :, None]], dim=2)
    scaled_CSE = affine_CSE * temperature_C[:, None, None]
    g_affine_CSE = torch.zeros_like(affine_CSE)
    memory = cut.memory(z_RD, 4)
    for part in cut:
        some, most = part.channels, part.keeping[0]
        x_CER = _with_ones(_along(direction_CKD[some], z_RD[:most]))
        g_x_CKR = torch.empty_like(x_CER[:, :-1])
        g_chosen_CKR = _along(table_direction_CKD[some], g_latent_RD[:most])
        lengths_CST = code_lengths_CTS[some].transpose(1, 2)
        for rows in part.blocks:
            a, g, soft, g_hot = _cut_out(part, memory, rows)
            x, g_bits = x_CER[:, :, rows], g_bits_R[rows].view(-1, tables)
            torch.bmm(scaled_CSE[some], x, out=a)
            # the gradient of the one-hot vector: through the table and, below, through the rate
            torch.bmm(point_CSK[some], g_chosen_CKR[:, :, rows], out=g_hot)
            if compiled:
                g = compiled_once(_gradient_through_softmax)(a, g_hot, g_bits, lengths_CST)
            else:
                torch.softmax(torch.abs(a, out=g).neg_(), dim=1, out=soft)
                g_hot.view(*g_hot.shape[:2], -1, tables).addcmul_(g_bits, lengths_CST[:, :, None])
                # softmax's own gradient, then that of |a|: what is left is the gradient of −T·a
                torch.ops.aten._softmax_backward_data.out(g_hot, soft, 1, soft.dtype, grad_input=g)
                g.mul_(torch.sgn(a, out=g_hot))
            if rows.stop > part.keeping[-1]:
                g.mul_(is_kept(part.keeping, rows, g.device).T[:, None])
            g_affine_CSE[some].baddbmm_(g, x.transpose(1, 2), alpha=-1)
            g_x_CKR[:, :, rows] = torch.bmm(scaled_CSE[some, :, :-1].transpose(1, 2), g).neg_()
        g_x = g_x_CKR.flatten(0, 1)
        g_z[:most].addmm_(g_x.T, direction_CKD[some].flatten(0, 1))
        torch.mm(g_x, z_RD[:most], out=g_direction[some].flatten(0, 1))
    g_temperature = (g_affine_CSE * affine_CSE).sum(dim=(1, 2))
    g_affine_CSE *= temperature_C[:, None, None]
    return g_z, g_direction, g_affine_CSE[:, :, :-1], g_affine_CSE[:, :, -1], g_temperature
