"""Devices of torch by name."""

from functools import cache

import torch

from omega_core.errors import DeviceError


def device_of(name: str | torch.device) -> torch.device:
    """Return a device of this machine, which was tried with a small computation.

    name: in torch's notation, such as "cpu", "cuda", "cuda:1" or "mps"; "auto" is CUDA's default GPU, or the CPU if
        there is no GPU.

    Raises DeviceError if the device is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as problem:  # which one depends on the device
        reason = str(problem).strip().splitlines()[0]
        raise DeviceError(
            f"the device {name} is not available ({reason}). Use cpu, or auto for a GPU if there is one."
        ) from problem
    return device


def is_quick(device: torch.device, precision: torch.dtype) -> bool:
    """Whether a device multiplies matrices of bfloat16 several times as fast as of float32."""
    if precision != torch.bfloat16:
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _has_amx()


@cache
def _has_amx() -> bool:
    """Whether the processor has Intel's Advanced Matrix Extensions, as far as torch tells."""
    return bool(getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)())
