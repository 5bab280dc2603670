"""Devices of torch by name."""

import torch

from omega_core.errors import DeviceError


def device_of(name: str | torch.device) -> torch.device:
    """A device of this machine.

    name: as torch has it, such as "cpu", "cuda", "cuda:1" or "mps"; "auto" for the first GPU of CUDA or, where there is
        none, the CPU.

    Raises DeviceError where there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.ones(1, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as problem:  # how torch says so, of different devices
        reason = str(problem).strip().splitlines()[0]
        raise DeviceError(
            f"there is no device {name} here ({reason}). Take cpu, or auto for the best that there is."
        ) from problem
    return device
