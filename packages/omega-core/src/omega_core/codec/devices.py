"""Devices of torch by name."""

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
