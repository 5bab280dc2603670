"""Checks of quantizers (`omega_core.contracts.Quantizer`)."""

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from omega_core.coding.tables import MAX_ALPHABET
from omega_core.contracts import implements
from omega_core.contracts.quantizer import MAX_LEVEL, Quantized, Quantizer
from omega_core.errors import ComponentError
from omega_core.testing import modules
from omega_core.testing.checking import Checks, Unclaimed, expect, need
from omega_core.testing.modules import ModuleSubject, Outputs, expect_derivative, expect_gradients, seeded
from omega_core.testing.reference import ReferencePrior


@dataclass(frozen=True, kw_only=True)
class QuantizerSubject(ModuleSubject):
    """A quantizer to check.

    latent_channels, channels, alphabet: D, C and S, with which it is made.
    spread: the standard deviation of the latents to check with.
    smooth: those of "latent" and "bits" whose gradient with respect to the latent is, in training with fixed noise, the
        derivative and not an estimate such as straight-through.
    """

    kind: str = "quantizer"
    latent_channels: int = 8
    channels: int = 4
    alphabet: int = 16
    spread: float = 2.0
    smooth: tuple[str, ...] = ()

    def make(self) -> Quantizer:
        """Return a new quantizer."""
        sizes = {"latent_channels": self.latent_channels, "channels": self.channels, "alphabet": self.alphabet}
        return self.made_with(**sizes)

    def inputs(self, batch: int = 3, size: tuple[int, int] = (3, 5)) -> Tensor:
        """Return latents (B, D, h, w)."""
        generator = torch.Generator().manual_seed(3)
        return self.spread * torch.randn(batch, self.latent_channels, *size, generator=generator)

    def prior_of(self, quantizer: Quantizer) -> ReferencePrior | None:
        """Return a prior for its bits; None if it needs none."""
        if not quantizer.needs_prior:
            return None
        with torch.device("cpu"):
            return ReferencePrior(channels=quantizer.channels, alphabet=quantizer.alphabet, lowest=quantizer.lowest)

    def quantized(self, quantizer: Quantizer, latent: Tensor, kept: list[int] | None = None) -> Quantized:
        """Return its output for latents (B, D, h, w); kept: the number of kept channels of each sample."""
        counts = None if kept is None else torch.tensor(kept, device=latent.device)
        prior = self.prior_of(quantizer)
        return quantizer(latent, prior if prior is None else prior.to(latent.device), counts)

    def outputs(self, module: Quantizer, inputs: Tensor) -> Outputs:
        """Return latent, bits and symbols of a forward pass, bits without a prior, and symbols and latent of coding."""
        made = self.quantized(module, inputs)
        symbols = module.symbols(inputs)
        coded = {"symbols(…)": symbols, "latent(…)": module.latent(symbols)}
        coded["bits without a prior"] = module(inputs, None, None).bits
        return {"latent": made.latent, "bits": made.bits, "symbols": cast(Tensor, made.symbols), **coded}


checks: Checks[QuantizerSubject] = Checks(modules.checks)


@checks.add
def has_the_sizes_asked_for(subject: QuantizerSubject) -> None:
    """`channels` is the C with which it was made, and `alphabet` is the number of symbols, at least 2."""
    made = subject.made()
    expect(made.channels == subject.channels, f"channels is {made.channels}, not {subject.channels}")
    expect(isinstance(made.alphabet, int) and made.alphabet >= 2, f"alphabet is {made.alphabet!r}")


@checks.add
def gives_the_shapes_of_the_contract(subject: QuantizerSubject) -> None:
    """A latent (B, D, h, w) of any size gives a latent of that shape, bits (B,) and symbols (B, C, h, w)."""
    made = subject.made()
    for size in ((3, 5), (1, 1), (2, 1)):
        latent = subject.inputs(2, size)
        found = subject.quantized(made, latent)
        expect(isinstance(found, Quantized), f"a forward pass returned {type(found).__name__} instead of Quantized")
        symbols = tuple(made.symbols(latent).shape)
        expect(symbols == (2, subject.channels, *size), f"for {tuple(latent.shape)} symbols(…) returned {symbols}")
        wanted = {
            "latent": tuple(latent.shape),
            "bits": (2,),
            "symbols": (2, subject.channels, *size),
            "symbols(…)": (2, subject.channels, *size),
            "latent(…)": tuple(latent.shape),
        }
        got = {name: tuple(value.shape) for name, value in subject.outputs(made, latent).items()}
        wrong = [f"{name} {got[name]} instead of {wanted[name]}" for name in wanted if got[name] != wanted[name]]
        expect(not wrong, f"for {tuple(latent.shape)} it returned {', '.join(wrong)}")


@checks.add
def keeps_the_type(subject: QuantizerSubject) -> None:
    """For a float32 latent, the dequantized latent is float32, bits are floating-point, and `symbols` returns int64."""
    made = subject.outputs(subject.made(), subject.inputs())
    expect(made["latent"].dtype == torch.float32, f"the latent is {made['latent'].dtype}")
    expect(made["bits"].is_floating_point(), f"bits are {made['bits'].dtype}")
    expect(made["symbols(…)"].dtype == torch.int64, f"symbols(latent) are {made['symbols(…)'].dtype}")
    expect(not made["symbols"].is_floating_point(), f"symbols of a forward pass are {made['symbols'].dtype}")


@checks.add
def symbols_are_in_the_alphabet(subject: QuantizerSubject) -> None:
    """Symbols are integers in [0, S), also for very large latents."""
    made = subject.made()
    for factor in (1.0, 1e4):
        symbols = made.symbols(factor * subject.inputs())
        least, most = int(symbols.min()), int(symbols.max())
        expect(
            least >= 0 and most < made.alphabet, f"symbols from {least} to {most} with an alphabet of {made.alphabet}"
        )


@checks.add
def uses_its_symbols(subject: QuantizerSubject) -> None:
    """Symbols depend on the latent: different latents do not all give the same symbol."""
    symbols = subject.made().symbols(subject.inputs())
    same = [channel for channel in range(subject.channels) if len(symbols[:, channel].unique()) == 1]
    expect(len(same) < subject.channels, "every channel has the same symbol for all latents")


@checks.add
def forward_has_the_symbols_of_coding(subject: QuantizerSubject) -> None:
    """The symbols of a forward pass in evaluation mode are the same as those of `symbols`, which go into files."""
    made = subject.outputs(subject.made(), subject.inputs())
    share = float((made["symbols"] != made["symbols(…)"]).float().mean())
    expect(share == 0, f"{share:.0%} of the symbols differ")


@checks.add
def any_prefix_gives_the_latent_of_forward(subject: QuantizerSubject) -> None:
    """For every n, `latent` of the first n channels of symbols is the latent of a forward pass with n kept channels."""
    made, latent = subject.made(), subject.inputs()
    symbols = made.symbols(latent)
    for n in range(1, subject.channels + 1):
        decoded = made.latent(symbols[:, :n])
        expect(decoded.shape == latent.shape, f"for {n} channels the latent is {tuple(decoded.shape)}")
        forward = subject.quantized(made, latent, [n] * len(latent)).latent
        modules.expect_same({"the latent": forward}, {"the latent": decoded}, f"decoded from {n} channels")


@checks.add
def an_empty_prefix_gives_a_latent(subject: QuantizerSubject) -> None:
    """`latent` of no channels returns a finite latent, which is the same for every sample."""
    made, latent = subject.made(), subject.inputs()
    decoded = made.latent(made.symbols(latent)[:, :0])
    expect(decoded.shape == latent.shape, f"it is {tuple(decoded.shape)}")
    expect(decoded.isfinite().all(), "it is not finite")
    expect(torch.equal(decoded[0], decoded[1]), "it differs between samples")


@checks.add
def missing_symbols_end_a_prefix(subject: QuantizerSubject) -> None:
    """Symbols of −1 are missing: the latent is that of the channels before them, separately at each position."""
    made, latent = subject.made(), subject.inputs()
    symbols = made.symbols(latent)
    for n in range(subject.channels + 1):
        partly = symbols.clone()
        partly[:, n:] = -1
        prefix = {"the latent": made.latent(symbols[:, :n])}
        modules.expect_same(prefix, {"the latent": made.latent(partly)}, f"with all but {n} channels missing")
    partly = symbols.clone()
    partly[:, -1, :, 0] = -1
    found = made.latent(partly)
    whole, shorter = made.latent(symbols), made.latent(symbols[:, :-1])
    modules.expect_same({"the latent": whole[..., 1:]}, {"the latent": found[..., 1:]}, "where nothing is missing")
    modules.expect_same({"the latent": shorter[..., :1]}, {"the latent": found[..., :1]}, "where a symbol is missing")


@checks.add
def refinement_tells_levels(subject: QuantizerSubject) -> None:
    """`refinement` returns a parent for each channel (an earlier channel, or −1) and a level for each symbol."""
    made = subject.made()
    found = made.refinement()
    rows, most = 2 * MAX_LEVEL + 1, min(made.alphabet, MAX_ALPHABET)
    expect(len(found.parents) == len(found.sizes) == subject.channels, "it does not have all channels")
    expect(all(-1 <= each < subject.channels for each in found.parents), f"parents are {found.parents}")
    expect(found.levels.shape == (rows, most), f"levels are {tuple(found.levels.shape)}, not {(rows, most)}")
    expect(int(found.levels.abs().max()) <= MAX_LEVEL, f"levels are up to {int(found.levels.abs().max())}")
    expect(all(size >= 0 for size in found.sizes), "a size of levels is below 0")


@checks.add
def any_symbols_can_be_decoded(subject: QuantizerSubject) -> None:
    """`latent` accepts every symbol in [0, S), in any combination, and returns finite numbers."""
    made = subject.made()
    most = min(made.alphabet, 1 << 12)
    symbols = torch.arange(most)[:, None, None, None].expand(most, subject.channels, 1, 1)
    expect(made.latent(symbols).isfinite().all(), f"some symbols from 0 to {most - 1} give numbers that are not finite")


@checks.add
def bits_are_code_lengths(subject: QuantizerSubject) -> None:
    """In evaluation mode, `bits` are the prior's code lengths of the symbols of kept channels, to a relative 1e-4."""
    made, latent = subject.made(), subject.inputs()
    need(made.needs_prior, "have a rate")
    prior = cast(ReferencePrior, subject.prior_of(made))
    lengths_CS = prior.code_lengths(*latent.shape[2:])[:, 0].double()
    for kept in ([subject.channels] * 3, [1, subject.channels, (subject.channels + 1) // 2]):
        bits = subject.quantized(made, latent, kept).bits.double()
        cost_BC = torch.stack([lengths_CS[c][s] for c, s in enumerate(made.symbols(latent).unbind(1))], 1).sum((2, 3))
        here = torch.arange(subject.channels) < torch.tensor(kept)[:, None]
        wanted = (cost_BC * here).sum(1)
        expect(
            torch.allclose(bits, wanted, rtol=1e-4), f"with {kept} kept channels {bits.tolist()}, not {wanted.tolist()}"
        )


@checks.add
def bits_are_zero_without_a_prior(subject: QuantizerSubject) -> None:
    """A forward pass without a prior returns bits of 0, in training and evaluation."""
    made = subject.made()
    for training in (True, False):
        with seeded():
            bits = made.train(training)(subject.inputs()).bits
        expect(not bits.any(), f"they are {bits.tolist()}")


@checks.add
def latent_has_a_gradient(subject: QuantizerSubject) -> None:
    """In training, the dequantized latent has a finite, nonzero gradient with respect to the input latent."""
    made, latent = subject.made().train(), subject.inputs().requires_grad_()
    with seeded():
        expect_gradients({"the latent": subject.quantized(made, latent).latent}, {"the input latent": latent})


@checks.add
def bits_have_a_gradient(subject: QuantizerSubject) -> None:
    """In training, the bits have a finite, nonzero gradient with respect to the latent, so that the rate is learned."""
    made, latent = subject.made().train(), subject.inputs().requires_grad_()
    need(made.needs_prior, "have a rate")
    with seeded():
        expect_gradients({"bits": subject.quantized(made, latent).bits}, {"the input latent": latent})


@checks.add
def a_penalty_is_a_loss(subject: QuantizerSubject) -> None:
    """A `penalty`, if there is one, is a finite number for each sample, (B,), with a nonzero gradient with respect to
    the latent or a parameter.
    """
    made, latent = subject.made().train(), subject.inputs().requires_grad_()
    with seeded():
        penalty = subject.quantized(made, latent).penalty
    need(penalty is not None, "have a penalty")
    penalty = cast(Tensor, penalty)
    shape = f"{tuple(penalty.shape)} {penalty.dtype}"
    expect(penalty.shape == latent.shape[:1] and penalty.is_floating_point(), f"it is {shape}, not ({len(latent)},)")
    expect(penalty.isfinite().all(), f"it is {penalty.tolist()}")
    expect(penalty.requires_grad, "it has no gradient")
    gradients = torch.autograd.grad(penalty.sum(), [latent, *made.parameters()], allow_unused=True)
    reached = any(each is not None and bool(each.abs().sum() > 0) for each in gradients)
    expect(reached, "its gradient with respect to the latent and all parameters is 0")


@checks.add
def every_parameter_is_trained(subject: QuantizerSubject) -> None:
    """Each parameter gets a finite, nonzero gradient from latent or bits if all channels are kept."""
    made, latent = subject.made().train(), subject.inputs(16)
    parameters = dict(made.named_parameters())
    need(bool(parameters), "have parameters")
    with seeded():
        quantized = subject.quantized(made, latent)
        expect_gradients({"latent": quantized.latent, "bits": quantized.bits}, parameters)


@checks.add
def what_decodes_is_trained_by_the_latent(subject: QuantizerSubject) -> None:
    """A parameter on which `latent(symbols)` depends gets a gradient from the latent of a forward pass in training."""
    made, latent = subject.made(), subject.inputs(16)
    symbols = made.symbols(latent)
    with torch.no_grad():
        before, decoding = made.latent(symbols), {}
        for name, parameter in made.named_parameters():
            kept = parameter.clone()
            parameter += 0.1 * (1 + parameter.abs())
            if not torch.equal(made.latent(symbols), before):
                decoding[name] = parameter
            parameter.copy_(kept)
    need(bool(decoding), "have parameters that `latent` depends on")
    with seeded():
        expect_gradients({"the latent": subject.quantized(made.train(), latent).latent}, decoding)


@checks.add
def smooth_parts_have_their_derivative(subject: QuantizerSubject) -> None:
    """In float64, the gradients of the `smooth` outputs with respect to the latent agree with finite differences."""
    need(bool(subject.smooth), "have a derivative")
    made, latent = subject.made().double().train(), subject.inputs().double()
    made.sample_seeds = torch.arange(len(latent))
    prior = subject.prior_of(made)
    prior = prior and prior.double()
    for part in subject.smooth:
        expect_derivative(lambda point, part=part: getattr(made(point, prior), part), latent, part)


@checks.add
def noise_follows_the_seeds(subject: QuantizerSubject) -> None:
    """In training, the noise of a sample depends only on its entry in `sample_seeds`, not on its index in the batch."""
    made, latent = subject.made().train(), subject.inputs()
    turned = torch.tensor([2, 0, 1])
    results = []
    for order, torch_seed in ((torch.arange(3), 0), (turned, 1)):
        made.sample_seeds = torch.tensor([11, 22, 33])[order]
        with seeded(torch_seed), torch.no_grad():
            results.append(subject.quantized(made, latent[order]))
    first, second = results
    for part in ("latent", "bits"):
        one, other = getattr(first, part)[turned], getattr(second, part)
        modules.expect_same({part: one}, {part: other}, "for the same seeds in another order")


@checks.add
def mixed_precision_keeps_the_rate(subject: QuantizerSubject) -> None:
    """With bfloat16 latents under autocast, the latent is finite, and bits are float32 or float64 and change little."""
    made, latent = subject.made(), subject.inputs().bfloat16()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        mixed = subject.quantized(made, latent)
    with torch.no_grad():
        plain = subject.quantized(made, latent.float())
    expect(mixed.latent.isfinite().all(), "the latent is not finite")
    expect(mixed.bits.dtype in (torch.float32, torch.float64) or not made.needs_prior, f"bits are {mixed.bits.dtype}")
    close = torch.allclose(mixed.bits.float(), plain.bits.float(), rtol=0.1)
    expect(close, f"bits are {mixed.bits.tolist()}, without autocast {plain.bits.tolist()}")


@checks.add
def fineness_rises_with_what_is_kept(subject: QuantizerSubject) -> None:
    """`fineness(kept)` is (B,), from 0 to 1, does not decrease as more channels are kept, and is 1 if all are kept."""
    made = subject.made()
    kept = torch.arange(subject.channels + 1)
    found = made.fineness(kept)
    expect(found.shape == kept.shape, f"for {tuple(kept.shape)} it returned {tuple(found.shape)}")
    expect(found.is_floating_point() and found.min() >= 0, f"it is {found.tolist()}")
    expect(
        bool((found.diff() >= 0).all()) and float(found[-1]) == 1, f"for 0 to {subject.channels} it is {found.tolist()}"
    )


@checks.add
def latents_in_a_cell_have_its_symbols(subject: QuantizerSubject) -> None:
    """`cells`, if implemented, returns the lower and upper ends between which latents have the known symbols."""
    made, latent = subject.made(), subject.inputs()
    need(implements(made, Quantizer, "cells"), "have cells")
    symbols = made.symbols(latent)
    try:
        lower, upper = made.cells(symbols)
    except ComponentError as problem:
        raise Unclaimed(f"it does not claim to have cells: {problem}") from problem
    expect(lower.shape == latent.shape == upper.shape, f"ends are {tuple(lower.shape)} and {tuple(upper.shape)}")
    expect(bool((lower < upper).all()), "an upper end is not above the lower one")
    for n in sorted({1, subject.channels // 2, subject.channels}):
        known = symbols[:, :n].clone()
        known[:, -1, 0] = -1
        lower, upper = made.cells(known)
        for share in (0.01, 0.5, 0.99):
            inside = torch.where((lower + upper).isfinite(), lower + share * (upper - lower), latent)
            same = torch.where(known < 0, -1, made.symbols(inside)[:, :n]) == known
            expect(bool(same.all()), f"with {n} channels, {int((~same).sum())} symbols differ at {share} of cells")
    lower, upper = made.cells(torch.full_like(symbols, -1))
    expect(bool((lower == -torch.inf).all() and (upper == torch.inf).all()), "unknown symbols have finite ends")


@checks.add
def can_be_relaxed(subject: QuantizerSubject) -> None:
    """After `relax`, `relaxed` returns a latent (B, D, h, w) and bits (B,) at any fineness, with gradients with respect
    to the input latent and to each parameter of `relaxation`, if there is one.
    """
    made, latent, prior = _relaxed(subject)
    latent.requires_grad_()
    fineness = torch.linspace(0.1, 0.9, len(latent))
    kept = (fineness * subject.channels).ceil().long()
    with seeded():
        found, again = (made.relaxed(latent, prior, kept, fineness) for _ in range(2))
    expect(found.latent.shape == latent.shape, f"the latent is {tuple(found.latent.shape)}")
    expect(found.bits.shape == (len(latent),), f"the bits are {tuple(found.bits.shape)}")
    expect(found.bits.isfinite().all() and found.bits.min() >= 0, f"the bits are {found.bits.tolist()}")
    parameters = {} if made.relaxation is None else dict(made.relaxation.named_parameters())
    expect_gradients({"the latent": found.latent}, {"the input latent": latent})
    parts = {"latent": again.latent, **({"bits": again.bits} if made.needs_prior else {})}
    if parameters:
        expect_gradients(parts, parameters)


@checks.add
def finer_quantization_errs_less_and_costs_more(subject: QuantizerSubject) -> None:
    """`relaxed` costs more bits at fineness 1 than at 0 and, with a `relaxation`, has a smaller error."""
    made, latent, prior = _relaxed(subject)
    need(made.needs_prior, "have a rate")
    made.eval()
    kept = torch.full((len(latent),), subject.channels)
    found = []
    for fineness in (0.0, 1.0):
        with seeded(), torch.no_grad():
            count = kept if fineness else torch.ones_like(kept)
            found.append(made.relaxed(latent, prior, count, torch.full((len(latent),), fineness)))
    costs = [float(each.bits.sum()) for each in found]
    expect(costs[0] < costs[1], f"fineness 0 costs {costs[0]:.1f} bits, fineness 1 {costs[1]:.1f}")
    errors = [float((each.latent - latent).square().mean()) for each in found]
    expect(
        made.relaxation is None or errors[1] < errors[0], f"the squared errors are {errors[0]:.3g} and {errors[1]:.3g}"
    )


@checks.add
def fitting_keeps_the_shape_of_its_state(subject: QuantizerSubject) -> None:
    """After `fit` at the end of a relaxed phase, the state has the same names and shapes, and symbols are decodable."""
    made, latent, _ = _relaxed(subject)
    before = {name: value.shape for name, value in made.state_dict().items()}
    made.eval().fit()
    after = {name: value.shape for name, value in made.state_dict().items()}
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    expect(not changed, f"{', '.join(changed)} changed")
    made.set_fineness(torch.linspace(0, 1, subject.channels + 1))
    restored = made.latent(made.symbols(latent))
    expect(restored.shape == latent.shape and bool(restored.isfinite().all()), "it cannot be decoded")


def _relaxed(subject: QuantizerSubject) -> tuple[Quantizer, Tensor, ReferencePrior | None]:
    """Return a quantizer in its relaxed phase, latents for it, and a prior for its bits."""
    made, latent = subject.made().train(), subject.inputs()
    prior = subject.prior_of(made)
    try:
        made.relax()
    except ComponentError as problem:
        raise Unclaimed(f"it does not claim to have a relaxed phase: {problem}") from problem
    if prior is not None:
        prior.relax(subject.latent_channels)
    return made, latent, prior


@checks.add
def selects_channels(subject: QuantizerSubject) -> None:
    """`select_channels`, if implemented, keeps the given channels in that order, and the result can be loaded again."""
    made, latent = subject.made(), subject.inputs()
    need(implements(made, Quantizer, "select_channels"), "select channels")
    before = made.symbols(latent)
    # only first channels, as symbols of later channels may depend on earlier ones, such as those of residuals
    first = list(range(max(1, subject.channels - 1)))
    for order in (first, first[::-1]):
        made.select_channels(order)
        expect(made.channels == len(order), f"channels is {made.channels} after {len(order)} were selected")
        after = made.symbols(latent)
        expect(torch.equal(after, before[:, order]), "the symbols are not those of the channels selected")
    expect(made.latent(after).shape == latent.shape, "they are decoded to another shape")
    loaded = replace(subject, channels=len(order)).made(1)  # as a model file is loaded
    loaded.load_state_dict(made.state_dict())
    expect(torch.equal(loaded.symbols(latent), after), "a new instance with the state loaded has other symbols")


@checks.add
def resets_dead_symbols(subject: QuantizerSubject) -> None:
    """`reset_dead_symbols`, if implemented, moves symbols that were never chosen, in the same way for the same seed."""
    made, twin = subject.made(), subject.made()
    need(implements(made, Quantizer, "reset_dead_symbols"), "reset dead symbols")
    counts = torch.ones(subject.channels, made.alphabet, dtype=torch.int64)
    expect(made.reset_dead_symbols(counts, 1) == 0, "some were reset though all were chosen")
    counts[:, ::2] = 0
    reset = [each.reset_dead_symbols(counts, 1) for each in (made, twin)]
    expect(reset[0] > 0, "no symbol that was never chosen was reset")
    symbols = [each.symbols(subject.inputs()) for each in (made, twin)]
    expect(reset[0] == reset[1] and torch.equal(*symbols), "the same seed has another result")
