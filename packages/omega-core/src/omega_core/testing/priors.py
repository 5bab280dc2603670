"""Checks of priors (`omega_core.contracts.Prior`)."""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import cast

import numpy as np
import torch
from safetensors.numpy import load, save
from torch import Tensor

from omega_core.coding.order import SymbolArrays, in_order
from omega_core.coding.tables import MISSING, TOTAL, Integers, Symbols, Tables, symbol_type
from omega_core.contracts import implements
from omega_core.contracts.prior import FrozenPrior, Prior
from omega_core.contracts.quantizer import MAX_LEVEL, Refinement
from omega_core.testing import modules
from omega_core.testing.checking import Checks, expect, need
from omega_core.testing.modules import ModuleSubject, Outputs, expect_derivative, expect_gradients, seeded


@dataclass(frozen=True, kw_only=True)
class PriorSubject(ModuleSubject):
    """A prior to check.

    channels, alphabet, lowest: C, S and the value of symbol 0, with which it is made.
    latent_size: (h, w) of the symbols to check with.
    fixed: whether it is made for this size only.
    """

    kind: str = "prior"
    channels: int = 3
    alphabet: int = 8
    lowest: int = -3
    latent_size: tuple[int, int] = (2, 3)
    fixed: bool = False

    def make(self) -> Prior:
        """Return a new prior."""
        size = self.latent_size if self.fixed else None
        sizes = {"channels": self.channels, "alphabet": self.alphabet, "lowest": self.lowest, "latent_size": size}
        return self.made_with(**sizes)

    def made(self, seed: int = 0) -> Prior:
        """Return a prior with parameters that are not the initial ones, which has observed symbols. Both depend on the
        seed. A conditional one is ready to be frozen.
        """
        prior, symbols, kept = self.following(seed), self.symbols(seed), torch.full((64,), self.channels)
        with seeded(seed + 1), torch.no_grad():
            for parameter in prior.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        with torch.no_grad(), torch.device("cpu"):
            if prior.conditional:
                prior.observe(symbols, kept)
                prior.train().channel_bits(symbols)
                prior.eval().recount()
            prior.observe(symbols, kept)
        return prior

    def following(self, seed: int = 0) -> Prior:
        """Return a new prior after `follow` of a refinement in which the parent of each channel is the previous one."""
        prior: Prior = super().made(seed)
        before = torch.arange(-MAX_LEVEL, MAX_LEVEL + 1)[:, None]
        number = torch.arange(self.alphabet) + self.lowest
        levels = torch.where(before == 0, number, 2 * before + number % 2).clamp(-MAX_LEVEL, MAX_LEVEL)
        with torch.device("cpu"):
            prior.follow(Refinement(range(-1, self.channels - 1), levels, [1.0] * self.channels))
        return prior

    def symbols(self, seed: int = 0, batch: int = 64) -> Tensor:
        """Return symbols (B, C, h, w), small ones more often."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.rand(batch, self.channels, *self.latent_size, generator=generator)
        return (drawn.square() * self.alphabet).long().clamp_max(self.alphabet - 1)

    def values(self) -> Tensor:
        """Return real values (B, C, h, w) in the range of symbols."""
        generator = torch.Generator().manual_seed(4)
        drawn = torch.rand(3, self.channels, *self.latent_size, generator=generator)
        return self.lowest + 0.3 + drawn * (self.alphabet - 1.6)

    def inputs(self, batch: int = 5) -> Tensor:
        """Return symbols."""
        return self.symbols(9, batch)

    def outputs(self, module: Prior, inputs: Tensor) -> Outputs:
        """Return code lengths and, if implemented, likelihoods."""
        made = {"code lengths": module.code_lengths(*self.latent_size)[None]}
        if implements(module, Prior, "likelihood"):
            made["likelihood"] = module.likelihood((inputs + self.lowest).float())
        return made

    def step(self, module: Prior, inputs: Tensor) -> Outputs:
        """Return code lengths and likelihoods after the prior has observed symbols and was frozen."""
        module.observe(inputs, torch.full((len(inputs),), self.channels, device=inputs.device))
        module.freeze()
        return self.outputs(module, inputs)

    def lengths(self, prior: Prior) -> Tensor:
        """Return the code lengths (C, h·w, S) of a prior, in float64."""
        height, width = self.latent_size
        return prior.code_lengths(height, width).detach().double().expand(self.channels, height * width, -1)


checks: Checks[PriorSubject] = Checks(modules.checks)


@checks.add
def code_lengths_are_bits(subject: PriorSubject) -> None:
    """`code_lengths(h, w)` are finite bits, none below 0: (C, 1, S), or (C, h·w, S) if each position has its own."""
    lengths = subject.made().code_lengths(*subject.latent_size).detach()
    shapes = [
        (subject.channels, many, subject.alphabet) for many in (1, subject.latent_size[0] * subject.latent_size[1])
    ]
    expect(tuple(lengths.shape) in shapes, f"their shape is {tuple(lengths.shape)}")
    expect(
        lengths.isfinite().all() and lengths.min() >= 0,
        f"they range from {float(lengths.min())} to {float(lengths.max())}",
    )


@checks.add
def probabilities_sum_to_one(subject: PriorSubject) -> None:
    """At each position, the probabilities 2^(−code length) of all symbols sum to 1."""
    sums = (2.0 ** -subject.lengths(subject.made())).sum(2)
    expect(
        torch.allclose(sums, torch.ones_like(sums), rtol=1e-3),
        f"the sums range from {float(sums.min())} to {float(sums.max())}",
    )


@checks.add
def frozen_tables_can_be_coded_with(subject: PriorSubject) -> None:
    """A frozen prior has a table for each symbol. Tables rise from 0 to 2¹⁶, by at least 1 for each value."""
    _, tables = _in_order(subject.made().freeze(), subject.symbols()[0].numpy())
    cumulative = cast(Integers, tables.cumulative)
    expect(tables.alphabet == subject.alphabet, f"their alphabet is {tables.alphabet}")
    wanted = subject.symbols()[0].numel()
    expect(tables.size == wanted, f"they are for {tables.size} symbols, not {wanted}")
    expect(cumulative.shape[1] == subject.alphabet + 1, f"cumulative has the shape {cumulative.shape}")
    expect(cumulative.dtype.kind in "iu", f"cumulative is {cumulative.dtype}")
    ends = {*cumulative[:, 0].tolist()}, {*cumulative[:, -1].tolist()}
    expect(ends == ({0}, {TOTAL}), f"rows begin at {ends[0]} and end at {ends[1]}")
    expect(np.diff(cumulative).min() >= 1, f"a symbol has a count of {np.diff(cumulative).min()}")
    expect(tables.rows.min() >= 0 and tables.rows.max() < len(cumulative), "rows point outside of cumulative")


@checks.add
def frozen_tables_are_the_code_lengths(subject: PriorSubject) -> None:
    """On average, the cost of coding with the frozen tables equals the code lengths, to 0.01 bits per symbol.

    This does not apply to a prior that is `conditional`.
    """
    prior = subject.made()
    need(not prior.conditional, "have tables that do not depend on decoded symbols")
    indices, tables = _in_order(prior.freeze(), subject.symbols()[0].numpy())
    rows = np.empty(tables.size, np.int64)
    rows[indices] = tables.rows
    counts = torch.from_numpy(np.diff(cast(Integers, tables.cumulative))[rows.reshape(subject.channels, -1)])
    lengths = subject.lengths(prior)
    surplus = (2.0**-lengths * ((16 - counts.double().log2()) - lengths)).sum(2)
    expect(surplus.abs().max() < 0.01, f"a symbol costs {float(surplus.abs().max()):.3g} bits more or less")


@checks.add
def conditional_tables_pay(subject: PriorSubject) -> None:
    """Tables that depend on earlier symbols code observed symbols in no more bits than the code lengths state."""
    prior = subject.made()
    need(prior.conditional, "have tables that depend on decoded symbols")
    symbols = subject.symbols()
    prior.recount()
    prior.observe(symbols, torch.full((len(symbols),), subject.channels))
    frozen = prior.freeze()
    costs = []
    for each in symbols.numpy():
        indices, tables = _in_order(frozen, each)
        costs.append(tables.bits(each.reshape(-1)[indices]))
    estimate = float(subject.lengths(prior).gather(2, symbols.flatten(2).permute(1, 2, 0)).sum()) / len(symbols)
    cost = float(np.mean(costs))
    expect(
        cost < estimate + 0.01 * symbols[0].numel(), f"a picture costs {cost:.2f} bits, by code lengths {estimate:.2f}"
    )


@checks.add
def channel_bits_are_of_the_symbols(subject: PriorSubject) -> None:
    """`channel_bits` are finite bits (B, C), none below 0. For a prior that is not `conditional`, they are the code
    lengths of the symbols.
    """
    prior, symbols = subject.made(), subject.symbols(9, 5)
    with torch.no_grad():
        bits = prior.channel_bits(symbols)
    expect(tuple(bits.shape) == (5, subject.channels), f"their shape is {tuple(bits.shape)}")
    expect(bits.isfinite().all() and bits.min() >= 0, f"they range from {float(bits.min())} to {float(bits.max())}")
    if not prior.conditional:
        wanted = subject.lengths(prior).gather(2, symbols.flatten(2).permute(1, 2, 0)).sum(dim=1).T
        expect(torch.allclose(bits.double(), wanted, rtol=1e-4), "they are not the code lengths of the symbols")


@checks.add
def coding_order_is_of_all_symbols(subject: PriorSubject) -> None:
    """`coding_order` returns every index once, and bits that sum to `channel_bits` per channel. Bits of symbols that
    precede all symbols of the last channel do not depend on that channel, which a decoder does not have yet.
    """
    prior, symbols = subject.made(), subject.symbols(9, 3)
    others = symbols.clone()
    others[:, -1] = subject.alphabet - 1 - others[:, -1]
    with torch.no_grad():
        bits, indices = prior.coding_order(symbols)
        wanted, (again, _) = prior.channel_bits(symbols), prior.coding_order(others)
    for name, found in (("bits", bits), ("indices", indices)):
        expect(found.shape == symbols.shape, f"the {name} are {tuple(found.shape)}, not {tuple(symbols.shape)}")
    each = torch.arange(symbols[0].numel()).expand(len(symbols), -1)
    expect(torch.equal(indices.flatten(1).sort(dim=1)[0], each), "some index has no symbol, or several")
    expect(torch.allclose(bits.sum(dim=(2, 3)), wanted, rtol=1e-4), "the bits do not sum to the channel_bits")
    before = indices < indices[:, -1:].amin(dim=(1, 2, 3), keepdim=True)
    same = torch.allclose(bits[before], again[before], rtol=1e-4)
    expect(same, "bits of earlier symbols depend on those of the last channel")


@checks.add
def every_symbol_is_in_one_step(subject: PriorSubject) -> None:
    """Every symbol of a picture is in exactly one step of a frozen prior; all sizes have the same number of steps."""
    frozen = subject.made().freeze()
    sizes = [subject.latent_size, *([] if subject.fixed else [(1, 1), (1, 4), (5, 2)])]
    counts = set()
    for height, width in sizes:
        steps = list(frozen.steps(np.zeros((subject.channels, height, width), np.int64)))
        found = sorted(np.concatenate([step.indices for step in steps]).tolist())
        wanted = list(range(subject.channels * height * width))
        expect(found == wanted, f"for {height}×{width} positions, steps have {len(found)} symbols, not {len(wanted)}")
        counts.add(len(steps))
    expect(len(counts) == 1, f"latents of different sizes have {sorted(counts)} steps")


@checks.add
def steps_follow_from_earlier_ones(subject: PriorSubject) -> None:
    """The tables of a step do not depend on symbols of this or later steps, which a decoder does not have yet."""
    frozen, symbols = subject.made().freeze(), subject.symbols()[0].numpy()
    decoded = np.full(symbols.shape, MISSING, symbol_type(subject.alphabet))  # as files are decoded
    for number, (known, step) in enumerate(zip(frozen.steps(symbols), frozen.steps(decoded), strict=True)):
        same = np.array_equal(known.indices, step.indices) and np.array_equal(known.rows, step.rows)
        expect(same, f"step {number} has other tables while its symbols are missing")
        decoded.reshape(-1)[step.indices] = symbols.reshape(-1)[step.indices]


@checks.add
def frozen_prior_survives_the_model_file(subject: PriorSubject) -> None:
    """`thaw` restores a frozen prior with the same tables from its `arrays`, loaded from a .safetensors file."""
    prior = subject.made()
    frozen = prior.freeze()
    kept = load(save({name: np.ascontiguousarray(array) for name, array in frozen.arrays().items()}))
    thawed = type(prior).thaw(kept)
    one, other = (_in_order(each, subject.symbols()[0].numpy()) for each in (frozen, thawed))
    before, after = (cast(Integers, tables.cumulative)[tables.rows] for _, tables in (one, other))
    expect(np.array_equal(one[0], other[0]), "the order of symbols differs afterwards")
    expect(np.array_equal(before, after), "the tables differ afterwards")


@checks.add
def freezing_does_not_depend_on_the_machine(subject: PriorSubject) -> None:
    """A prior that is frozen twice, with different numbers of threads, has the same integers."""
    prior, threads = subject.made(), torch.get_num_threads()
    frozen = []
    try:
        for many in (1, 2):
            torch.set_num_threads(many)
            frozen.append(prior.freeze().arrays())
    finally:
        torch.set_num_threads(threads)
    different = [name for name in frozen[0] if not np.array_equal(frozen[0][name], frozen[1][name])]
    expect(not different, f"{', '.join(different)} differ")


@checks.add
def observing_makes_what_is_frequent_cheap(subject: PriorSubject) -> None:
    """A prior that `observes` has shorter codes for frequent symbols: on average less than 0.95 · log2(S) bits."""
    prior: Prior = ModuleSubject.made(subject)
    need(prior.observes, "observe")
    symbols, kept = subject.symbols(), torch.full((64,), subject.channels)
    prior.recount()
    for _ in range(4):
        prior.observe(symbols, kept)
    flat = symbols.flatten(2).permute(1, 2, 0)
    cost = subject.lengths(prior).gather(2, flat).mean()
    even = np.log2(subject.alphabet)
    expect(cost < 0.95 * even, f"symbols cost {float(cost):.3f} bits on average, log2(S) is {even:.3f}")


@checks.add
def only_kept_channels_are_observed(subject: PriorSubject) -> None:
    """`observe` uses only the kept channels of each sample: the symbols of the others have no effect."""
    priors: list[Prior] = [ModuleSubject.made(subject) for _ in range(2)]
    need(priors[0].observes and subject.channels > 1, "observe")
    symbols, kept = subject.symbols(), torch.ones(64, dtype=torch.int64)
    others = symbols.clone()
    others[:, 1:] = subject.alphabet - 1
    for prior, each in zip(priors, (symbols, others), strict=True):
        prior.recount()
        prior.observe(each, kept)
    one, other = (subject.lengths(prior) for prior in priors)
    expect(torch.equal(one, other), "code lengths changed with symbols of channels that were not kept")


@checks.add
def recounting_forgets(subject: PriorSubject) -> None:
    """After `recount`, a prior that `observes` depends only on symbols that are observed afterwards."""
    priors: list[Prior] = [ModuleSubject.made(subject) for _ in range(2)]
    need(priors[0].observes, "observe")
    kept = torch.full((64,), subject.channels)
    priors[0].observe(subject.alphabet - 1 - subject.symbols(5), kept)
    for prior in priors:
        prior.recount()
        prior.observe(subject.symbols(), kept)
    one, other = (subject.lengths(prior) for prior in priors)
    expect(torch.equal(one, other), "symbols that were observed before have an effect")


@checks.add
def likelihood_is_a_probability(subject: PriorSubject) -> None:
    """`likelihood`, if implemented, is in (0, 1], has the shape of the values, and agrees with the code lengths."""
    prior = subject.made()
    need(implements(prior, Prior, "likelihood"), "have a likelihood")
    found = prior.likelihood(subject.values()).detach()
    expect(found.shape == subject.values().shape, f"its shape is {tuple(found.shape)}")
    expect(found.min() > 0 and found.max() <= 1, f"it is from {float(found.min())} to {float(found.max())}")
    symbols = subject.symbols()
    cost = -prior.likelihood((symbols + subject.lowest).float()).detach().double().log2().flatten(2).permute(1, 2, 0)
    wanted = subject.lengths(prior).gather(2, symbols.flatten(2).permute(1, 2, 0))
    expect(
        torch.allclose(cost, wanted, rtol=1e-3, atol=1e-3),
        f"it differs from the code lengths by up to {float((cost - wanted).abs().max())} bits",
    )


@checks.add
def likelihood_has_its_derivative(subject: PriorSubject) -> None:
    """In float64, the gradient of the likelihood with respect to the values agrees with finite differences."""
    prior = subject.made().double().train()
    need(implements(prior, Prior, "likelihood"), "have a likelihood")
    expect_derivative(lambda values: prior.likelihood(values).log2(), subject.values().double(), "the likelihood")


@checks.add
def interval_bits_are_of_probabilities(subject: PriorSubject) -> None:
    """`interval_bits`, if implemented, are finite and at least 0; adjacent intervals have a total probability of 1."""
    prior = _relaxed(subject)
    levels = torch.arange(-400, 401) * 0.25
    values = levels[:, None, None, None].expand(-1, _LATENTS, *subject.latent_size)
    half_width, fineness = values.new_full((len(values), 1, 1, 1), 0.125), torch.full((len(values),), 0.5)
    known = _latents(subject)[:1].expand_as(values)
    with torch.no_grad():
        bits = prior.interval_bits(values, half_width, known, fineness)
    expect(bits.shape == values.shape, f"for {tuple(values.shape)} they are {tuple(bits.shape)}")
    expect(bits.isfinite().all() and bits.min() >= 0, f"they range from {float(bits.min())} to {float(bits.max())}")
    sums = (2.0 ** -bits.double()).sum(0)
    expect(sums.min() > 0.95 and sums.max() < 1.05, f"sums are from {float(sums.min())} to {float(sums.max())}")


@checks.add
def interval_bits_take_widths_of_each_place(subject: PriorSubject) -> None:
    """`interval_bits` of several intervals for one `known` latent, with different widths, are those of each alone."""
    prior = _relaxed(subject)
    values, known, fineness = _latents(subject), _latents(subject)[:1], torch.tensor([0.3])
    half_width = 0.1 + values.abs()
    with torch.no_grad():
        together = prior.interval_bits(values, half_width, known, fineness)
        for number in range(len(values)):
            own = slice(number, number + 1)
            alone = prior.interval_bits(values[own], half_width[own], known, fineness)
            expect(torch.allclose(alone, together[own], atol=1e-4), "they differ from those of each alone")
    width, same = values.new_full((1, 1, 1, 1), 0.3), torch.full_like(known, 0.3)
    with torch.no_grad():
        one, many = (prior.interval_bits(known, half, known, fineness) for half in (width, same))
    expect(torch.allclose(one, many), "one width for all differs from the same width for each position")


@checks.add
def interval_bits_can_be_decoded_in_an_order(subject: PriorSubject) -> None:
    """The density of each latent value depends only on `known` values that can be decoded before it."""
    prior = _relaxed(subject)
    known = _latents(subject).requires_grad_()
    values, fineness = _latents(subject) * 0.5, torch.linspace(0, 1, len(known))
    bits = prior.interval_bits(values, values.new_full((len(values), 1, 1, 1), 0.5), known, fineness)
    needed: dict[int, set[int]] = {}
    for number, total in enumerate(bits.sum(0).flatten()):
        needed[number] = set()
        if total.requires_grad:
            (gradient,) = torch.autograd.grad(total, known, retain_graph=True, allow_unused=True)
            if gradient is not None:
                needed[number] = set(gradient.abs().sum(0).flatten().nonzero()[:, 0].tolist())
    circle: list[int] = []
    try:
        TopologicalSorter(needed).prepare()
    except CycleError as problem:
        circle = problem.args[1]
    positions = subject.latent_size[0] * subject.latent_size[1]
    named = " → ".join(f"channel {each // positions} at {each % positions}" for each in circle)
    expect(not circle, f"latents depend on each other in a cycle: {named}")


@checks.add
def relaxation_is_trained(subject: PriorSubject) -> None:
    """The values and each parameter of `relaxation` get a finite, nonzero gradient from `interval_bits`."""
    prior = _relaxed(subject)
    values = (_latents(subject) * 0.5).requires_grad_()
    fineness = torch.linspace(0.1, 1, len(values))
    bits = prior.interval_bits(values, values.new_full((len(values), 1, 1, 1), 0.5), _latents(subject), fineness)
    parameters = {} if prior.relaxation is None else dict(prior.relaxation.named_parameters())
    expect_gradients({"the bits": bits}, {"the values": values, **parameters})


_LATENTS = 10  # channels of latents whose density is checked


def _relaxed(subject: PriorSubject) -> Prior:
    prior: Prior = ModuleSubject.made(subject)
    need(implements(prior, Prior, "interval_bits"), "have a density of latents")
    with seeded():
        prior.relax(_LATENTS)
    if prior.relaxation is not None:
        with seeded(), torch.no_grad():  # initial parameters may hide dependencies
            for parameter in prior.relaxation.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return prior


def _latents(subject: PriorSubject) -> Tensor:
    """Return latents (B, D, h, w)."""
    return torch.randn(3, _LATENTS, *subject.latent_size, generator=torch.Generator().manual_seed(6))


@checks.add
def every_parameter_is_trained(subject: PriorSubject) -> None:
    """Each parameter gets a finite, nonzero gradient from the likelihood, the channel bits or the code lengths."""
    prior = subject.made().train()
    parameters = dict(prior.named_parameters())
    need(bool(parameters), "have parameters")
    with seeded():
        if implements(prior, Prior, "likelihood"):
            rate = -prior.likelihood(subject.values()).log2()
        elif implements(prior, Prior, "channel_bits"):
            with torch.no_grad():  # some initial parameters may have no effect
                for parameter in parameters.values():
                    parameter.add_(0.05 * torch.randn_like(parameter))
            rate = prior.channel_bits(subject.symbols())
        else:
            rate = prior.code_lengths(*subject.latent_size)[..., 0]
        expect_gradients({"the rate": rate}, parameters)


@checks.add
def only_what_observes_changes_by_observing(subject: PriorSubject) -> None:
    """If `observes` is False, `observe` has no effect, as training does not call it for all pictures at the end."""
    prior = subject.following()
    need(not prior.observes, "do without `observe`")
    before = subject.lengths(prior)
    prior.observe(subject.symbols(), torch.full((64,), subject.channels))
    expect(torch.equal(subject.lengths(prior), before), "it learned from `observe`: set `observes = True`")


@checks.add
def selects_channels(subject: PriorSubject) -> None:
    """`select_channels`, if implemented, keeps the given channels in that order."""
    prior = subject.made()
    need(implements(prior, Prior, "select_channels"), "select channels")
    order = list(range(subject.channels))[::-1][: max(1, subject.channels - 1)]
    before = subject.lengths(prior)
    prior.select_channels(order)
    after = prior.code_lengths(*subject.latent_size).detach().double().expand(len(order), before.shape[1], -1)
    expect(torch.allclose(after, before[order]), "code lengths are not those of the channels selected")


def _in_order(frozen: FrozenPrior, symbols: Symbols) -> tuple[Symbols, Tables]:
    """Return the indices of the symbols (C, h, w) of a picture in the order of coding, and their tables."""
    return in_order(frozen, SymbolArrays.of([symbols]))
