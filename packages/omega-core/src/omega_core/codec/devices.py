"""Devices of torch by name."""

from functools import cache

import torch

from omega_core.errors import DeviceError


def device_of(name: str | torch.device) -> torch.device:
    """Return a device of this machine, after a small computation on it has succeeded.

    name: in torch's notation, such as "cpu", "cuda", "cuda:1" or "mps"; "auto" is the default NVIDIA GPU, or the CPU if
        there is no GPU.

    Raises DeviceError if the device is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as problem:  # the type depends on the device
        reason = str(problem).strip().splitlines()[0]
        raise DeviceError(
            f"the device {name} is not available ({reason}). Use cpu, or auto for an NVIDIA GPU if there is one."
        ) from problem
    return device


def is_quick(device: torch.device, precision: torch.dtype) -> bool:
    """Whether a device multiplies matrices in bfloat16 at least about twice as fast as in float32.

    These are NVIDIA GPUs with bfloat16, and CPUs with instructions for it: AMX, or `avx512_bf16`. Other CPUs take up to
    fifty times as long in bfloat16. Other devices have not been measured and count as slow.
    """
    if precision != torch.bfloat16:
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _multiplies_bfloat16()


@cache
def _multiplies_bfloat16() -> bool:
    """Whether the CPU has instructions that multiply matrices in bfloat16, according to torch."""
    names = "_is_amx_tile_supported", "_is_avx512_bf16_supported"  # torch has no public functions for this before 2.11
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)
