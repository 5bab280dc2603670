"""Ω with its prior, forward and backward: over its dense definition and over the bare matrix products."""

import sys
from collections.abc import Callable, Iterator

import torch

from measure import Row, in_a_process, peak_memory, times
from omega_quant.definition import dense_one_hot_max
from omega_quant.straight_through import one_hot_max

SIZES = {
    "512 images of 3×3, D 32, C 8, S 256": ((512, 9, 32, 8, 256, 9), 2.0),
    "512 images of 3×3, D 32, C 32, S 256": ((512, 9, 32, 32, 256, 9), 1.0),
    "2 images of 16×16, D 480, C 480, S 32": ((2, 256, 480, 480, 32, 1), 1.5),
}
"""N, P, D, C, S and T, and how many times the bare products Ω may take."""
WAYS = {"dense": dense_one_hot_max, "blocked": one_hot_max}


def inputs(n: int, p: int, d: int, c: int, s: int, t: int) -> list[torch.Tensor]:
    """What `one_hot_max` takes, as it is after some training."""
    random = torch.Generator().manual_seed(0)
    real = [
        torch.randn(n, p, d, generator=random),
        torch.randn(c, s, d, generator=random) / d**0.5,
        torch.randn(c, s, generator=random),
        torch.full((c,), 5.0),
        torch.randn(c, s, d, generator=random),
    ]
    return [*(x.requires_grad_() for x in real), 8 * torch.rand(c, t, s, generator=random), torch.full((n,), c)]


def step(way: Callable[..., tuple[torch.Tensor, ...]], given: list[torch.Tensor]) -> None:
    """Forward and backward."""
    latent, bits, _ = way(*given)
    torch.autograd.backward([latent, bits], [torch.ones_like(latent), torch.ones_like(bits)])
    for tensor in given:
        tensor.grad = None


def products(given: list[torch.Tensor]) -> None:
    """z·W, its two gradients, and the gradient through the table."""
    z, w, table = (given[k].detach().flatten(0, 1) for k in (0, 1, 4))
    activation = z @ w.T
    hot = z @ table.T
    _ = hot.T @ z, activation @ w


def rows() -> Iterator[Row]:
    for name, (size, limit) in SIZES.items():
        given = inputs(*size)
        dense, ours, bare = times(
            lambda given=given: step(dense_one_hot_max, given),
            lambda given=given: step(one_hot_max, given),
            lambda given=given: products(given),
        )
        yield Row(f"Ω, {name}", "products", ours, bare, limit)
        yield Row(f"Ω, {name}", "dense", ours, dense)
        memory = {way: float(in_a_process("omega", way, name)) for way in WAYS}
        yield Row(f"memory of Ω, {name}", "dense", memory["blocked"], memory["dense"], 0.25, "MiB")


if __name__ == "__main__":  # the memory of one step, in MiB
    way, name = sys.argv[1:]
    step(WAYS[way], inputs(2, 9, 4, 2, 4, 1))
    given = inputs(*SIZES[name][0])
    before = peak_memory()
    step(WAYS[way], given)
    gradients = sum(x.nbytes for x in given[:5]) / 2**20  # these are what was asked for
    print(peak_memory() - before - gradients)
