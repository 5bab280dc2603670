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
from omega_core.contracts.quantizer import MOST_LEVEL, Refinement
from omega_core.testing import modules
from omega_core.testing.checking import Checks, expect, need
from omega_core.testing.modules import ModuleSubject, Outputs, expect_derivative, expect_gradients, seeded


@dataclass(frozen=True, kw_only=True)
class PriorSubject(ModuleSubject):
    """A prior that is to be checked.

    channels, alphabet, lowest: C, S and the value of symbol 0 with which it is made.
    latent_size: (h, w), also where it is made for any size.
    fixed: whether it is made for that size only.
    """

    kind: str = "prior"
    channels: int = 3
    alphabet: int = 8
    lowest: int = -3
    latent_size: tuple[int, int] = (2, 3)
    fixed: bool = False

    def make(self) -> Prior:
        """A new one."""
        size = self.latent_size if self.fixed else None
        sizes = {"channels": self.channels, "alphabet": self.alphabet, "lowest": self.lowest, "latent_size": size}
        return self.made_with(**sizes)

    def made(self, seed: int = 0) -> Prior:
        """One with other parameters than it begins with that has seen some symbols, all others for another seed; one
        that is conditional, to be frozen.
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
        """A new one that took note of how symbols refine each other: those of each channel those of the one before."""
        prior: Prior = super().made(seed)
        before = torch.arange(-MOST_LEVEL, MOST_LEVEL + 1)[:, None]
        number = torch.arange(self.alphabet) + self.lowest
        levels = torch.where(before == 0, number, 2 * before + number % 2).clamp(-MOST_LEVEL, MOST_LEVEL)
        with torch.device("cpu"):
            prior.follow(Refinement(range(-1, self.channels - 1), levels, [1.0] * self.channels))
        return prior

    def symbols(self, seed: int = 0, batch: int = 64) -> Tensor:
        """Symbols (B, C, h, w), small ones more often."""
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.rand(batch, self.channels, *self.latent_size, generator=generator)
        return (drawn.square() * self.alphabet).long().clamp_max(self.alphabet - 1)

    def values(self) -> Tensor:
        """Real values (B, C, h, w) in the range of symbols."""
        generator = torch.Generator().manual_seed(4)
        drawn = torch.rand(3, self.channels, *self.latent_size, generator=generator)
        return self.lowest + 0.3 + drawn * (self.alphabet - 1.6)

    def inputs(self, batch: int = 5) -> Tensor:
        """Symbols."""
        return self.symbols(9, batch)

    def outputs(self, module: Prior, inputs: Tensor) -> Outputs:
        """Code lengths and, where it has them, likelihoods."""
        made = {"code lengths": module.code_lengths(*self.latent_size)[None]}
        if implements(module, Prior, "likelihood"):
            made["likelihood"] = module.likelihood((inputs + self.lowest).float())
        return made

    def step(self, module: Prior, inputs: Tensor) -> Outputs:
        """Code lengths and likelihoods after some symbols were seen; it can be frozen then."""
        module.observe(inputs, torch.full((len(inputs),), self.channels, device=inputs.device))
        module.freeze()
        return self.outputs(module, inputs)

    def lengths(self, prior: Prior) -> Tensor:
        """The code lengths (C, h·w, S) of a prior, in float64."""
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
        f"they go from {float(lengths.min())} to {float(lengths.max())}",
    )


@checks.add
def probabilities_sum_to_one(subject: PriorSubject) -> None:
    """2 to the power of minus the code lengths of a position sums to 1 over its symbols."""
    sums = (2.0 ** -subject.lengths(subject.made())).sum(2)
    expect(
        torch.allclose(sums, torch.ones_like(sums), rtol=1e-3),
        f"sums go from {float(sums.min())} to {float(sums.max())}",
    )


@checks.add
def frozen_tables_can_be_coded_with(subject: PriorSubject) -> None:
    """Tables of a frozen prior rise from 0 to 2¹⁶ by at least 1 a symbol, one for each symbol."""
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
    """Coding with the frozen tables costs what the code lengths say, to a hundredth of a bit a symbol on average.

    Not those of a prior that is `conditional`.
    """
    prior = subject.made()
    need(not prior.conditional, "depend on nothing that was decoded")
    places, tables = _in_order(prior.freeze(), subject.symbols()[0].numpy())
    rows = np.empty(tables.size, np.int64)
    rows[places] = tables.rows
    counts = torch.from_numpy(np.diff(cast(Integers, tables.cumulative))[rows.reshape(subject.channels, -1)])
    lengths = subject.lengths(prior)
    surplus = (2.0**-lengths * ((16 - counts.double().log2()) - lengths)).sum(2)
    expect(surplus.abs().max() < 0.01, f"a symbol costs {float(surplus.abs().max()):.3g} bits more, or less")


@checks.add
def conditional_tables_pay(subject: PriorSubject) -> None:
    """Tables that depend on earlier channels cost symbols that were recounted no more than the code lengths say."""
    prior = subject.made()
    need(prior.conditional, "depend on what was decoded")
    symbols = subject.symbols()
    prior.recount()
    prior.observe(symbols, torch.full((len(symbols),), subject.channels))
    frozen = prior.freeze()
    costs = []
    for each in symbols.numpy():
        places, tables = _in_order(frozen, each)
        costs.append(tables.bits(each.reshape(-1)[places]))
    said = float(subject.lengths(prior).gather(2, symbols.flatten(2).permute(1, 2, 0)).sum()) / len(symbols)
    cost = float(np.mean(costs))
    expect(cost < said + 0.01 * symbols[0].numel(), f"a picture costs {cost:.2f} bits, said were {said:.2f}")


@checks.add
def channel_bits_are_of_the_symbols(subject: PriorSubject) -> None:
    """`channel_bits` are finite bits (B, C), none below 0; those of a prior that is not `conditional` are its code
    lengths.
    """
    prior, symbols = subject.made(), subject.symbols(9, 5)
    with torch.no_grad():
        bits = prior.channel_bits(symbols)
    expect(tuple(bits.shape) == (5, subject.channels), f"their shape is {tuple(bits.shape)}")
    expect(bits.isfinite().all() and bits.min() >= 0, f"they go from {float(bits.min())} to {float(bits.max())}")
    if not prior.conditional:
        wanted = subject.lengths(prior).gather(2, symbols.flatten(2).permute(1, 2, 0)).sum(dim=1).T
        expect(torch.allclose(bits.double(), wanted, rtol=1e-4), "they are not the code lengths of the symbols")


@checks.add
def coding_order_is_of_all_symbols(subject: PriorSubject) -> None:
    """`coding_order` returns every place once, and bits of which those of a channel are its `channel_bits`. Bits of
    symbols that come before all those of the last channel do not depend on these, which a decoder does not have then.
    """
    prior, symbols = subject.made(), subject.symbols(9, 3)
    others = symbols.clone()
    others[:, -1] = subject.alphabet - 1 - others[:, -1]
    with torch.no_grad():
        bits, places = prior.coding_order(symbols)
        wanted, (again, _) = prior.channel_bits(symbols), prior.coding_order(others)
    for name, found in (("bits", bits), ("places", places)):
        expect(found.shape == symbols.shape, f"the {name} are {tuple(found.shape)}, not {tuple(symbols.shape)}")
    each = torch.arange(symbols[0].numel()).expand(len(symbols), -1)
    expect(torch.equal(places.flatten(1).sort(dim=1)[0], each), "some place has no symbol, or several")
    expect(torch.allclose(bits.sum(dim=(2, 3)), wanted, rtol=1e-4), "the bits of channels are not their channel_bits")
    before = places < places[:, -1:].amin(dim=(1, 2, 3), keepdim=True)
    same = torch.allclose(bits[before], again[before], rtol=1e-4)
    expect(same, "bits of earlier symbols depend on those of the last channel")


@checks.add
def every_symbol_is_in_one_step(subject: PriorSubject) -> None:
    """The steps of a frozen prior have every symbol of a picture in one of them, and are as many for every size."""
    frozen = subject.made().freeze()
    sizes = [subject.latent_size, *([] if subject.fixed else [(1, 1), (1, 4), (5, 2)])]
    counts = set()
    for height, width in sizes:
        steps = list(frozen.steps(np.zeros((subject.channels, height, width), np.int64)))
        found = sorted(np.concatenate([step.places for step in steps]).tolist())
        wanted = list(range(subject.channels * height * width))
        expect(found == wanted, f"of {height}×{width} positions steps have {len(found)} symbols, not {len(wanted)}")
        counts.add(len(steps))
    expect(len(counts) == 1, f"there are {sorted(counts)} steps for latents of different sizes")


@checks.add
def steps_follow_from_earlier_ones(subject: PriorSubject) -> None:
    """The tables of a step do not depend on symbols of this step or of later ones, which a decoder does not have."""
    frozen, symbols = subject.made().freeze(), subject.symbols()[0].numpy()
    decoded = np.full(symbols.shape, MISSING, symbol_type(subject.alphabet))  # as files are decoded
    for number, (known, step) in enumerate(zip(frozen.steps(symbols), frozen.steps(decoded), strict=True)):
        same = np.array_equal(known.places, step.places) and np.array_equal(known.rows, step.rows)
        expect(same, f"step {number} has other tables while its symbols are not known")
        decoded.reshape(-1)[step.places] = symbols.reshape(-1)[step.places]


@checks.add
def frozen_prior_survives_the_model_file(subject: PriorSubject) -> None:
    """`thaw` makes of `arrays`, as a .safetensors file keeps them, a frozen prior with the same tables."""
    prior = subject.made()
    frozen = prior.freeze()
    kept = load(save({name: np.ascontiguousarray(array) for name, array in frozen.arrays().items()}))
    thawed = type(prior).thaw(kept)
    one, other = (_in_order(each, subject.symbols()[0].numpy()) for each in (frozen, thawed))
    before, after = (cast(Integers, tables.cumulative)[tables.rows] for _, tables in (one, other))
    expect(np.array_equal(one[0], other[0]), "symbols are in another order afterwards")
    expect(np.array_equal(before, after), "the tables differ afterwards")


@checks.add
def freezing_does_not_depend_on_the_machine(subject: PriorSubject) -> None:
    """A prior frozen twice, and with another number of threads, has the same integers."""
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
    """A prior that `observes` charges less for symbols it saw often: less than the same bits for all would be."""
    prior: Prior = ModuleSubject.made(subject)
    need(prior.observes, "observe")
    symbols, kept = subject.symbols(), torch.full((64,), subject.channels)
    prior.recount()
    for _ in range(4):
        prior.observe(symbols, kept)
    flat = symbols.flatten(2).permute(1, 2, 0)
    cost = subject.lengths(prior).gather(2, flat).mean()
    even = np.log2(subject.alphabet)
    expect(cost < 0.95 * even, f"they cost {float(cost):.3f} bits each, and {even:.3f} if all cost the same")


@checks.add
def only_kept_channels_are_observed(subject: PriorSubject) -> None:
    """`observe` counts the first kept channels of each sample: the symbols of the others change nothing."""
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
    """After `recount` a prior that `observes` has only what it is shown from then on."""
    priors: list[Prior] = [ModuleSubject.made(subject) for _ in range(2)]
    need(priors[0].observes, "observe")
    kept = torch.full((64,), subject.channels)
    priors[0].observe(subject.alphabet - 1 - subject.symbols(5), kept)
    for prior in priors:
        prior.recount()
        prior.observe(subject.symbols(), kept)
    one, other = (subject.lengths(prior) for prior in priors)
    expect(torch.equal(one, other), "what it saw before makes a difference")


@checks.add
def likelihood_is_a_probability(subject: PriorSubject) -> None:
    """`likelihood`, where there is one, is in (0, 1], in the shape of the values, and at symbols what they cost."""
    prior = subject.made()
    need(implements(prior, Prior, "likelihood"), "have a likelihood")
    found = prior.likelihood(subject.values()).detach()
    expect(found.shape == subject.values().shape, f"its shape is {tuple(found.shape)}")
    expect(found.min() > 0 and found.max() <= 1, f"it goes from {float(found.min())} to {float(found.max())}")
    symbols = subject.symbols()
    cost = -prior.likelihood((symbols + subject.lowest).float()).detach().double().log2().flatten(2).permute(1, 2, 0)
    wanted = subject.lengths(prior).gather(2, symbols.flatten(2).permute(1, 2, 0))
    expect(
        torch.allclose(cost, wanted, rtol=1e-3, atol=1e-3),
        f"it differs by up to {float((cost - wanted).abs().max())} bits",
    )


@checks.add
def likelihood_has_its_derivative(subject: PriorSubject) -> None:
    """The gradient of the likelihood to the values is what finite differences give, in float64."""
    prior = subject.made().double().train()
    need(implements(prior, Prior, "likelihood"), "have a likelihood")
    expect_derivative(lambda values: prior.likelihood(values).log2(), subject.values().double(), "the likelihood")


@checks.add
def interval_bits_are_of_probabilities(subject: PriorSubject) -> None:
    """`interval_bits`, where there are any, are finite and not below 0, and intervals side by side sum to nearly 1."""
    prior = _relaxed(subject)
    places = torch.arange(-400, 401) * 0.25
    values = places[:, None, None, None].expand(-1, _LATENTS, *subject.latent_size)
    half_width, fineness = values.new_full((len(values), 1, 1, 1), 0.125), torch.full((len(values),), 0.5)
    known = _latents(subject)[:1].expand_as(values)
    with torch.no_grad():
        bits = prior.interval_bits(values, half_width, known, fineness)
    expect(bits.shape == values.shape, f"of {tuple(values.shape)} they are {tuple(bits.shape)}")
    expect(bits.isfinite().all() and bits.min() >= 0, f"they go from {float(bits.min())} to {float(bits.max())}")
    sums = (2.0 ** -bits.double()).sum(0)
    expect(sums.min() > 0.95 and sums.max() < 1.05, f"they sum to between {float(sums.min())} and {float(sums.max())}")


@checks.add
def interval_bits_take_widths_of_each_place(subject: PriorSubject) -> None:
    """`interval_bits` of intervals of several widths, for what is `known` of one latent, are those of each alone."""
    prior = _relaxed(subject)
    values, known, fineness = _latents(subject), _latents(subject)[:1], torch.tensor([0.3])
    half_width = 0.1 + values.abs()
    with torch.no_grad():
        together = prior.interval_bits(values, half_width, known, fineness)
        for number in range(len(values)):
            own = slice(number, number + 1)
            alone = prior.interval_bits(values[own], half_width[own], known, fineness)
            expect(torch.allclose(alone, together[own], atol=1e-4), "together, they differ")
    width, same = values.new_full((1, 1, 1, 1), 0.3), torch.full_like(known, 0.3)
    with torch.no_grad():
        one, many = (prior.interval_bits(known, half, known, fineness) for half in (width, same))
    expect(torch.allclose(one, many), "one width for all is not as many widths that are equal")


@checks.add
def interval_bits_can_be_decoded_in_an_order(subject: PriorSubject) -> None:
    """The density of a latent depends on what is `known` of others alone, which can all be decoded before it."""
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
    places = subject.latent_size[0] * subject.latent_size[1]
    named = " → ".join(f"channel {each // places} at {each % places}" for each in circle)
    expect(not circle, f"latents depend on each other in a circle: {named}")


@checks.add
def relaxation_is_trained(subject: PriorSubject) -> None:
    """Each parameter of `relaxation` gets a finite gradient, not all 0, from `interval_bits`, and so do the values."""
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
        with seeded(), torch.no_grad():  # not as it begins, which may hide what depends on what
            for parameter in prior.relaxation.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
    return prior


def _latents(subject: PriorSubject) -> Tensor:
    """Latents (B, D, h, w)."""
    return torch.randn(3, _LATENTS, *subject.latent_size, generator=torch.Generator().manual_seed(6))


@checks.add
def every_parameter_is_trained(subject: PriorSubject) -> None:
    """Each parameter gets a finite gradient, not all 0, from the likelihood, the channel bits or the code lengths."""
    prior = subject.made().train()
    parameters = dict(prior.named_parameters())
    need(bool(parameters), "have parameters")
    with seeded():
        if implements(prior, Prior, "likelihood"):
            rate = -prior.likelihood(subject.values()).log2()
        elif implements(prior, Prior, "channel_bits"):
            with torch.no_grad():  # not as it begins, where some may have no effect yet
                for parameter in parameters.values():
                    parameter.add_(0.05 * torch.randn_like(parameter))
            rate = prior.channel_bits(subject.symbols())
        else:
            rate = prior.code_lengths(*subject.latent_size)[..., 0]
        expect_gradients({"the rate": rate}, parameters)


@checks.add
def only_what_observes_changes_by_observing(subject: PriorSubject) -> None:
    """Where `observes` is False, training passes it no symbols at its end: it does not learn from `observe` then."""
    prior = subject.following()
    need(not prior.observes, "learn by other means than observing")
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
    """The places of the symbols (C, h, w) of a picture in the order of coding, and their tables."""
    return in_order(frozen, SymbolArrays.of([symbols]))
