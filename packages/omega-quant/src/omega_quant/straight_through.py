"""One-hot max quantization and its straight-through gradient, without one-hot vectors.

Shapes: N samples of P positions, R = N·P rows; D latent channels, C symbol channels of S symbols;
T tables of code lengths for each channel, 1 or P.

    forward    a = z·W + b          activations (equation 1 of the paper, a 1×1 convolution)
               d = |a|              distances
               k = argmin_s d       symbols
               y = Σ_c table[c, k]  a 1×1 convolution of one-hot vectors is a look-up
    backward   as if the one-hot vector were softmax_s(−temperature·d)

What has a value for every symbol of every channel is worked out a block at a time, of so few rows and
channels that it stays in the cache, once forward and again backward. Rows are ordered by how many
channels they keep, so that a channel is worked out for just those that keep it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

BLOCK = {"cpu": 1 << 19}
"""Numbers that are worked on at once, by kind of device: on a CPU a few blocks fit the cache that cores share."""
LARGE_BLOCK = 1 << 24
"""Numbers that are worked on at once elsewhere: enough to keep a GPU busy."""
WIDTH = 512
"""Symbols of a block, those of several channels together where they have fewer: enough for a quick matrix product."""


def one_hot_max(
    z_NPD: Tensor,
    weight_CSD: Tensor,
    bias_CS: Tensor,
    temperature_C: Tensor,
    table_CSD: Tensor,
    code_lengths_CTS: Tensor,
    kept_N: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Quantize `z` to symbols and back.

    Returns the dequantized latent (N, P, D), the bits of each sample (N,), and the symbols (N, C, P),
    which are 0 in channels that are not kept. Latent and bits have gradients to all that is real.
    """
    samples, positions, _ = z_NPD.shape
    channels = len(weight_CSD)
    order_N = torch.argsort(kept_N, descending=True, stable=True)
    back_N = torch.argsort(order_N)
    z_RD = z_NPD[order_N].flatten(0, 1)
    kept_R = kept_N[order_N].clamp(0, channels).repeat_interleave(positions)
    symbols_RC = nearest(z_RD, weight_CSD, bias_CS, kept_R)
    latent_RD = sum_of_rows(table_CSD, symbols_RC, kept_R)
    bits_R = _sum_of_lengths(code_lengths_CTS, symbols_RC, kept_R)
    apply = cast(Callable[..., tuple[Tensor, Tensor]], _StraightThrough.apply)
    latent_RD, bits_R = apply(
        latent_RD,
        bits_R,
        z_RD,
        weight_CSD,
        bias_CS,
        temperature_C,
        table_CSD.detach(),
        code_lengths_CTS.detach(),
        kept_R,
    )
    return (
        latent_RD.view(samples, positions, -1)[back_N],
        bits_R.view(samples, positions).sum(dim=1)[back_N],
        symbols_RC.view(samples, positions, channels)[back_N].transpose(1, 2),
    )


@torch.no_grad()
def nearest(z_RD: Tensor, weight_CSD: Tensor, bias_CS: Tensor, kept_R: Tensor | None = None) -> Tensor:
    """The symbols (R, C) whose activations are nearest to zero; of equally near ones the first.

    kept_R: how many channels each row keeps, in falling order; the symbols of others are 0.
    """
    channels, symbols, _ = weight_CSD.shape
    found_RC = torch.zeros(len(z_RD), channels, dtype=torch.int64, device=z_RD.device)
    cut = _Cut.of(z_RD, channels, symbols, kept_R)
    (memory,) = cut.memory(z_RD, 1)
    for part in cut:
        weight, bias = weight_CSD[part.channels].flatten(0, 1), bias_CS[part.channels].flatten()
        for rows in part.blocks:
            distance = torch.addmm(bias, z_RD[rows], weight.T, out=memory(part, rows)).abs_()
            found_RC[rows, part.channels] = part.split(distance).argmin(dim=2)
    return found_RC if kept_R is None else found_RC * _is_kept(kept_R, channels)


def sum_of_rows(table_CSD: Tensor, symbols_RC: Tensor, kept_R: Tensor | None = None) -> Tensor:
    """The rows (R, D) of a table that symbols name, summed over the channels that are kept."""
    channels, symbols, dims = table_CSD.shape
    number_RC = symbols_RC + torch.arange(0, channels * symbols, symbols, device=symbols_RC.device)
    return _bags(table_CSD.reshape(-1, dims), number_RC, kept_R)


def _sum_of_lengths(code_lengths_CTS: Tensor, symbols_RC: Tensor, kept_R: Tensor) -> Tensor:
    """The bits of each row (R,)."""
    channels, tables, symbols = code_lengths_CTS.shape
    table_R = torch.arange(len(symbols_RC), device=symbols_RC.device) % tables
    first_RC = (torch.arange(channels, device=symbols_RC.device) * tables + table_R[:, None]) * symbols
    return _bags(code_lengths_CTS.reshape(-1, 1), first_RC + symbols_RC, kept_R)[:, 0]


def _bags(table_KD: Tensor, number_RC: Tensor, kept_R: Tensor | None) -> Tensor:
    """Σ over the first kept_R numbers of each row of the rows of a table that they name: (R, D)."""
    if not number_RC.shape[1]:
        return table_KD.new_zeros(len(number_RC), table_KD.shape[1])
    if kept_R is None:
        return functional.embedding_bag(number_RC, table_KD, mode="sum")
    kept = number_RC[_is_kept(kept_R, number_RC.shape[1])]
    return functional.embedding_bag(kept, table_KD, kept_R.cumsum(0) - kept_R, mode="sum")


def _is_kept(kept_R: Tensor, channels: int) -> Tensor:
    return torch.arange(channels, device=kept_R.device) < kept_R[:, None]


class _StraightThrough(torch.autograd.Function):
    """Latent and bits as they are, with the gradients that they would have through the softmax."""

    @staticmethod
    def forward(ctx: Any, latent_RD: Tensor, bits_R: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(*others)
        return latent_RD.view_as(latent_RD), bits_R.view_as(bits_R)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(gradients[0].device.type, enabled=False):
            return *gradients, *_gradients(*gradients, *ctx.saved_tensors), None, None, None


def _gradients(
    g_latent_RD: Tensor,
    g_bits_R: Tensor,
    z_RD: Tensor,
    weight_CSD: Tensor,
    bias_CS: Tensor,
    temperature_C: Tensor,
    table_CSD: Tensor,
    code_lengths_CTS: Tensor,
    kept_R: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients to z, weight, bias and temperature.

    Bias and temperature are part of the weights here, a' = [z, 1]·T·[W, b]: their gradients cost nothing more.
    """
    channels, symbols, dims = weight_CSD.shape
    tables = code_lengths_CTS.shape[1]
    z = torch.cat([z_RD, z_RD.new_ones(len(z_RD), 1)], dim=1)
    g_z, g_bias, g_temperature = (torch.zeros_like(x) for x in (z_RD, bias_CS, temperature_C))
    g_weight = torch.empty_like(weight_CSD)
    cut = _Cut.of(z_RD, channels, symbols, kept_R, multiple=tables)
    memory_a, memory_soft, memory_hot, memory_g = cut.memory(z_RD, 4)
    for part in cut:
        affine = torch.cat([weight_CSD[part.channels], bias_CS[part.channels, :, None]], dim=2)
        temperature = temperature_C[part.channels, None, None]
        scaled = (affine * temperature).flatten(0, 1)
        table = table_CSD[part.channels].flatten(0, 1)
        lengths = code_lengths_CTS[part.channels].transpose(0, 1).reshape(tables, -1)
        g_scaled = torch.empty_like(scaled)
        for rows in part.blocks:
            a, g, soft, g_hot = (memory(part, rows) for memory in (memory_a, memory_g, memory_soft, memory_hot))
            torch.mm(z[rows], scaled.T, out=a)
            torch.copysign(a, -1.0, out=g)
            torch.softmax(part.split(g), dim=2, out=part.split(soft))
            # the gradient of the one-hot vector: through the table, and through the rate
            torch.mm(g_latent_RD[rows], table.T, out=g_hot)
            g_hot.view(-1, *lengths.shape).addcmul_(g_bits_R[rows].view(-1, tables, 1), lengths)
            # softmax's own gradient, then that of −|a|
            torch.ops.aten._softmax_backward_data.out(
                part.split(g_hot), part.split(soft), 2, soft.dtype, grad_input=part.split(g)
            )
            if not part.is_kept(rows):
                part.split(g).mul_(_is_kept(kept_R[rows], channels)[:, part.channels, None])
            g.mul_(a.sgn_())
            g_scaled.addmm_(g.T, z[rows], beta=1 if rows.start else 0, alpha=-1)
            g_z[rows].addmm_(g, scaled[:, :dims], alpha=-1)
        g_affine = g_scaled.view_as(affine)
        torch.sum(g_affine * affine, dim=(1, 2), out=g_temperature[part.channels])
        g_affine.mul_(temperature)
        g_weight[part.channels], g_bias[part.channels] = g_affine[:, :, :dims], g_affine[:, :, dims]
    g_weight[cut.used :] = 0
    return g_z, g_weight, g_bias, g_temperature


@dataclass
class _Part:
    """Channels, their symbols among all, and the rows that keep the first of them, in blocks; the last keeps all."""

    channels: slice
    symbols: int
    blocks: list[slice]
    keeping_all: int

    def split(self, block: Tensor) -> Tensor:
        """(rows, width) as (rows, channels, S)."""
        return block.view(len(block), -1, self.symbols)

    def is_kept(self, rows: slice) -> bool:
        """Whether rows keep all of the channels."""
        return bool(rows.stop <= self.keeping_all)


@dataclass
class _Cut:
    """How R rows and C·S symbols are cut into blocks, without rows that keep none of a block's channels.

    keeping: for each channel, how many rows keep it; it falls. rows, channels: of a block, at most.
    """

    keeping: list[int]
    symbols: int
    rows: int
    channels: int

    @classmethod
    def of(cls, z_RD: Tensor, channels: int, symbols: int, kept_R: Tensor | None, multiple: int = 1) -> "_Cut":
        """For rows on a device, each block with a multiple of some number of rows."""
        keeping = [len(z_RD)] * channels
        if kept_R is not None:
            counts = torch.bincount(kept_R, minlength=channels + 1)
            keeping = cast(list[int], counts.flip(0).cumsum(0).flip(0)[1:].tolist())
        at_once = min(channels, max(1, WIDTH // symbols))
        size = BLOCK.get(z_RD.device.type, LARGE_BLOCK)
        rows = max(1, size // (at_once * symbols) // multiple) * multiple
        return cls(keeping, symbols, min(rows, len(z_RD)), at_once)

    @property
    def used(self) -> int:
        """How many channels any row keeps."""
        return sum(rows > 0 for rows in self.keeping)

    def memory(self, like: Tensor, count: int) -> list[Callable[[_Part, slice], Tensor]]:
        """Tensors that every block uses again: each a function of part and rows, to (rows, width)."""
        whole = like.new_empty(count, self.rows * self.channels * self.symbols)

        def function(memory: Tensor) -> Callable[[_Part, slice], Tensor]:
            def view(part: _Part, rows: slice) -> Tensor:
                shape = rows.stop - rows.start, (part.channels.stop - part.channels.start) * self.symbols
                return memory[: shape[0] * shape[1]].view(shape)

            return view

        return [function(memory) for memory in whole]

    def __iter__(self) -> Iterator[_Part]:
        for first in range(0, len(self.keeping), self.channels):
            end = min(first + self.channels, len(self.keeping))
            most = self.keeping[first]
            blocks = [slice(row, min(row + self.rows, most)) for row in range(0, most, self.rows)]
            if blocks:
                yield _Part(slice(first, end), self.symbols, blocks, self.keeping[end - 1])
