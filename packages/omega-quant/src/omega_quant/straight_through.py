"""One-hot max quantization and its straight-through gradient, without one-hot vectors.

Shapes: N samples of P positions, D latent channels, C symbol channels of S symbols;
T tables of code lengths for each channel, 1 or P.

    forward    a = z·W + b          activations (equation 1 of the paper, a 1×1 convolution)
               d = |a|              distances
               k = argmin_s d       symbols
               y = Σ_c table[c, k]  a 1×1 convolution of one-hot vectors is a look-up
    backward   as if the one-hot vector were softmax_s(−temperature·d)

Activations are computed one channel at a time, twice: once forward, and again backward, so that no
tensor with a value for every symbol of every channel ever exists. Samples are ordered by how many
channels they keep, so that a channel is worked out for just those samples that keep it.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


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
    apply = cast(Callable[..., tuple[Tensor, Tensor, Tensor]], _OneHotMax.apply)
    return apply(z_NPD, weight_CSD, bias_CS, temperature_C, table_CSD, code_lengths_CTS, kept_N)


class _OneHotMax(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        z_NPD: Tensor,
        weight_CSD: Tensor,
        bias_CS: Tensor,
        temperature_C: Tensor,
        table_CSD: Tensor,
        code_lengths_CTS: Tensor,
        kept_N: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        samples, positions, _ = z_NPD.shape
        channels = len(weight_CSD)
        order_N = torch.argsort(kept_N, descending=True, stable=True)
        keeping = _keeping(kept_N, channels)
        z = z_NPD[order_N]
        latent = torch.zeros_like(z)
        bits = z.new_zeros(samples)
        symbols_NCP = torch.zeros(samples, channels, positions, dtype=torch.int64, device=z.device)
        for c, n in enumerate(keeping):
            if n == 0:
                break
            rows = z[:n].flatten(0, 1)
            distance = torch.addmm(bias_CS[c], rows, weight_CSD[c].T).abs_()
            symbols = distance.argmin(dim=1)
            latent[:n] += table_CSD[c][symbols].view(n, positions, -1)
            bits[:n] += _look_up(code_lengths_CTS[c], symbols.view(n, positions)).sum(dim=1)
            symbols_NCP[:n, c] = symbols.view(n, positions)
        back_N = torch.argsort(order_N)
        ctx.keeping = keeping
        ctx.save_for_backward(
            z, weight_CSD, bias_CS, temperature_C, table_CSD, code_lengths_CTS, symbols_NCP, order_N, back_N
        )
        out_symbols = symbols_NCP[back_N]
        ctx.mark_non_differentiable(out_symbols)
        return latent[back_N], bits[back_N], out_symbols

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast(gradients[0].device.type, enabled=False):
            return _gradients(ctx, *gradients)


def _gradients(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    z, weight, bias, temperature, table, code_lengths, symbols_NCP, order_N, back_N = ctx.saved_tensors
    _, positions, dims = z.shape
    g_latent = gradients[0][order_N]
    g_bits = gradients[1][order_N]
    g_z = torch.zeros_like(z)
    g_weight, g_bias, g_temperature, g_table, g_lengths = (
        torch.zeros_like(t) for t in (weight, bias, temperature, table, code_lengths)
    )
    wants_lengths = ctx.needs_input_grad[5]
    for c, n in enumerate(ctx.keeping):
        if n == 0:
            break
        rows = z[:n].flatten(0, 1)
        out = g_latent[:n].flatten(0, 1)
        activation = torch.addmm(bias[c], rows, weight[c].T)
        distance = activation.abs()
        soft = torch.softmax(distance * -temperature[c], dim=1)
        # the gradient of the one-hot vector: through the table, and through the rate
        g_hot = torch.addmm(
            (g_bits[:n, None, None] * code_lengths[c]).expand(n, positions, -1).reshape(n * positions, -1),
            out,
            table[c].T,
        )
        # softmax's own gradient, then that of −temperature·|a|
        g_hot.sub_((soft * g_hot).sum(dim=1, keepdim=True)).mul_(soft)
        g_temperature[c] = -(g_hot * distance).sum()
        g_activation = g_hot.mul_(activation.sign_()).mul_(-temperature[c])
        g_weight[c] = g_activation.T @ rows
        g_bias[c] = g_activation.sum(dim=0)
        g_z[:n] += (g_activation @ weight[c]).view(n, positions, dims)
        symbols = symbols_NCP[:n, c]
        g_table[c].index_add_(0, symbols.reshape(-1), out)
        if wants_lengths:
            tables = torch.arange(positions, device=z.device) % code_lengths.shape[1]
            g_lengths[c].index_put_(
                (tables.expand(n, positions), symbols),
                g_bits[:n, None].expand(n, positions),
                accumulate=True,
            )
    return g_z[back_N], g_weight, g_bias, g_temperature, g_table, g_lengths if wants_lengths else None, None


def _keeping(kept_N: Tensor, channels: int) -> list[int]:
    """How many samples keep each channel."""
    counts = torch.bincount(kept_N.clamp(0, channels), minlength=channels + 1)
    return cast(list[int], counts.flip(0).cumsum(0).flip(0)[1:].tolist())


def _look_up(lengths_TS: Tensor, symbols_NP: Tensor) -> Tensor:
    """The code length of each symbol (N, P), with one table for all positions or one for each."""
    tables = torch.arange(symbols_NP.shape[1], device=symbols_NP.device) % len(lengths_TS)
    return lengths_TS[tables, symbols_NP]
