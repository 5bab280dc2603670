"""One-hot max quantization as its paper defines it, with one-hot tensors: the reference of tests and benchmarks."""

import torch
from torch import Tensor
from torch.nn import functional


def dense_one_hot_max(
    z_NPD: Tensor,
    weight_CSD: Tensor,
    bias_CS: Tensor,
    temperature_C: Tensor,
    table_CSD: Tensor,
    code_lengths_CTS: Tensor,
    kept_N: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """`omega_quant.straight_through.one_hot_max`, with its arguments and results, computed with one-hot tensors.

    Channels that are not kept have symbols here, too. In `one_hot_max` these are 0.
    """
    channels, symbols, _ = weight_CSD.shape
    tables = code_lengths_CTS.shape[1]
    activation = functional.linear(z_NPD, weight_CSD.flatten(0, 1), bias_CS.flatten())
    distance = activation.reshape(*z_NPD.shape[:2], channels, symbols).abs()
    soft = torch.softmax(-temperature_C[:, None] * distance, dim=3)
    chosen = distance.argmin(dim=3)
    hard = functional.one_hot(chosen, symbols).to(soft.dtype)
    kept = torch.arange(channels, device=kept_N.device) < kept_N[:, None]
    one_hot = (hard + soft - soft.detach()) * kept[:, None, :, None]
    latent = one_hot.flatten(2) @ table_CSD.flatten(0, 1)
    bits = one_hot.reshape(len(z_NPD), -1, tables, channels, symbols) * code_lengths_CTS.transpose(0, 1)
    return latent, bits.sum(dim=(1, 2, 3, 4)), chosen.transpose(1, 2)
