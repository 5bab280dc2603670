"""Ω with its prior, forward and backward, relative to its dense definition and to its matrix products alone.

The factored form is relative to the matrix products of that form, and to the full form. The quantizer of `compact`,
which has this form, eight stages and dead zones, is relative to the matrix products without stages.
"""

import sys
from collections.abc import Callable, Iterator
from functools import partial

import torch

import omega_core
from measure import Row, in_a_process, peak_memory, times
from omega_quant import OmegaQuantizer
from omega_quant.dense_reference import dense_one_hot_max
from omega_quant.factored import factored_one_hot_max
from omega_quant.straight_through import one_hot_max

SIZES = {
    "512 images of 3×3, D 32, C 8, S 256": ((512, 9, 32, 8, 256, 9), 2.0),
    "512 images of 3×3, D 32, C 32, S 256": ((512, 9, 32, 32, 256, 9), 1.0),
    "2 images of 16×16, D 480, C 480, S 32": ((2, 256, 480, 480, 32, 1), 1.5),
}
"""N, P, D, C, S and T, and the greatest permitted ratio to the matrix products."""
TEMPERATURE = 100.0
"""The quantizer's default, at which most of a softmax is smaller than the smallest normal number."""
RANK = 1
WAYS = {"dense": dense_one_hot_max, "blocked": one_hot_max}


def inputs(n: int, p: int, d: int, c: int, s: int, t: int) -> list[torch.Tensor]:
    """Arguments of `one_hot_max`, with values as after some training."""
    random = torch.Generator().manual_seed(0)
    real = [
        torch.randn(n, p, d, generator=random),
        torch.randn(c, s, d, generator=random) / d**0.5,
        torch.randn(c, s, generator=random),
        torch.full((c,), TEMPERATURE),
        torch.randn(c, s, d, generator=random),
    ]
    return [*(x.requires_grad_() for x in real), 8 * torch.rand(c, t, s, generator=random), torch.full((n,), c)]


def step(way: Callable[..., tuple[torch.Tensor, ...]], given: list[torch.Tensor]) -> None:
    """Forward and backward."""
    latent, bits, _ = way(*given)
    torch.autograd.backward([latent, bits], [torch.ones_like(latent), torch.ones_like(bits)])
    for tensor in given:
        tensor.grad = None


def flushed(way: Callable[..., tuple[torch.Tensor, ...]], given: list[torch.Tensor]) -> None:
    """A step in which the CPU treats subnormal numbers, with which it is slow, as zeros."""
    torch.set_flush_denormal(True)
    try:
        step(way, given)
    finally:
        torch.set_flush_denormal(False)


def products(given: list[torch.Tensor]) -> None:
    """z·W, its two gradients, and the gradient through the table."""
    z, w, table = (given[k].detach().flatten(0, 1) for k in (0, 1, 4))
    activation = z @ w.T
    hot = z @ table.T
    _ = hot.T @ z, activation @ w


def factors(given: list[torch.Tensor]) -> list[torch.Tensor]:
    """Arguments of `factored_one_hot_max`, with the sizes of those of `one_hot_max`."""
    z, _, bias, temperature, table, lengths, kept = given
    channels, symbols, dims = table.shape
    random = torch.Generator().manual_seed(1)
    sizes = [(channels, RANK, dims), (channels, symbols, RANK)] * 2
    direction, slope, *table_factors = (
        (torch.randn(s, generator=random) / s[2] ** 0.5).requires_grad_() for s in sizes
    )
    return [z, direction, slope, bias, temperature, *table_factors, lengths, kept]


def factored_products(given: list[torch.Tensor]) -> None:
    """Coordinates, activations and latent, and the products of the backward pass, including the coordinates again."""
    z, direction, slope, *_, table_direction, point, _, _ = (x.detach() for x in given)
    z, direction, table_direction = (x.flatten(0, 1) for x in (z, direction, table_direction))
    channels, rank = len(slope), slope.shape[2]
    for _ in ("forward", "backward"):
        x = (direction @ z.T).view(channels, rank, -1)
        activation = slope @ x
    y = x.flatten(0, 1).T @ table_direction
    chosen = table_direction @ y.T
    hot = point @ chosen.view_as(x)
    g = (slope.transpose(1, 2) @ hot).flatten(0, 1)
    _ = activation @ x.transpose(1, 2), g.T @ direction, g @ z, chosen @ y


def factored_rows() -> Iterator[Row]:
    """The factored form: a step of the largest size, and the symbols of 768×512 in the stages of `compact`."""
    name, (size, _) = list(SIZES.items())[-1]
    full = inputs(*size)
    given = factors(full)
    ours, without, bare, other = times(
        lambda: step(factored_one_hot_max, given),
        lambda: flushed(factored_one_hot_max, given),
        lambda: factored_products(given),
        lambda: step(one_hot_max, full),
    )
    yield Row(f"Ω of rank {RANK}, {name}", "products", ours, bare, 4.0)
    yield Row(f"Ω of rank {RANK}, {name}", "flushed", ours, without, 1.1)
    yield Row(f"Ω of rank {RANK}, {name}", "full form", ours, other, 0.5)
    codec = omega_core.load_model("compact").codec
    assert isinstance(codec, omega_core.ImageCodec)
    quantizer = codec.quantizer
    assert isinstance(quantizer, OmegaQuantizer)
    latent = torch.randn(1, quantizer.latent_channels, 32, 48)
    z, direction, slope = latent.flatten(2)[0], quantizer.direction.detach()[:, 0], quantizer.slope.detach()
    stages = quantizer.stage_count
    subtracted = int((quantizer.stage < stages - 1).sum())
    with torch.inference_mode():

        def bare_symbols() -> None:
            x = direction @ z
            _ = slope @ x[:, None], direction[:subtracted].T @ x[:subtracted]

        symbols = quantizer.symbols(latent)
        found, bare, looked_up, product = times(
            lambda: quantizer.symbols(latent),
            bare_symbols,
            lambda: quantizer.latent(symbols),
            lambda: (z.T @ direction.T) @ direction,
        )
    yield Row(f"symbols of 768×512, compact, {stages} stages", "products", found, bare, 3.0)
    yield Row(f"latent of 768×512, compact, {stages} stages", "products", looked_up, product, 2.0)


def rows() -> Iterator[Row]:
    for name, (size, limit) in SIZES.items():
        given = inputs(*size)
        dense, ours, without, bare = times(
            partial(step, dense_one_hot_max, given),
            partial(step, one_hot_max, given),
            partial(flushed, one_hot_max, given),
            partial(products, given),
        )
        yield Row(f"Ω, {name}", "products", ours, bare, limit)
        yield Row(f"Ω, {name}", "flushed", ours, without, 1.1)
        yield Row(f"Ω, {name}", "dense", ours, dense)
        memory = {way: float(in_a_process("omega", way, name)) for way in WAYS}
        yield Row(f"memory of Ω, {name}", "dense", memory["blocked"], memory["dense"], 0.25, "MiB")
    yield from factored_rows()


if __name__ == "__main__":  # prints the memory of one step in MiB
    way, name = sys.argv[1:]
    step(WAYS[way], inputs(2, 9, 4, 2, 4, 1))
    given = inputs(*SIZES[name][0])
    before = peak_memory()
    step(WAYS[way], given)
    gradients = sum(x.nbytes for x in given[:5]) / 2**20  # results are not counted
    print(peak_memory() - before - gradients)
