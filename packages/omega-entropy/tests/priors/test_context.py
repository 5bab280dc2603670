"""The prior whose tables a small net of integers chooses."""

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from omega_core.coding import exact_products, net_arithmetic, symbol_order
from omega_core.coding.context_tables import ContextTables
from omega_core.coding.net_arithmetic import TABLES, NetArithmetic, parts_of_tables
from omega_core.coding.order import SymbolArrays, coding_steps, in_order
from omega_core.coding.specified_priors import specified_prior
from omega_core.coding.symbol_order import SymbolOrder
from omega_core.coding.tables import TOTAL, FrozenTables
from omega_core.contracts.quantizer import Refinement
from omega_core.errors import ComponentError
from omega_entropy import ContextPrior, RangeCoder, StaticPrior
from omega_entropy.priors import context_order
from omega_entropy.priors.context_net import RANGES, ContextNet, divide_channels
from omega_entropy.priors.context_rounding import rounded

C, S, MIDDLE = 6, 7, 3
PARENTS = [-1, -1, -1, 0, 1, 2]


def refinement(parents=PARENTS):
    """Symbols from −3 to 3; a number that is not 0 is doubled by its child, and then has one of two halves."""
    number, before = torch.arange(S) - MIDDLE, torch.arange(-31, 32)[:, None]
    levels = torch.where(before == 0, number, 2 * before + (number > 0)).clamp(-31, 31)
    return Refinement(parents, levels, [4.0] * 3 + [1.0] * (len(parents) - 3))


def pictures(seed, size=(6, 8), batch=40):
    """Symbols (B, C, h, w): numbers that are larger where a hidden field is, and what refines them."""
    chance = np.random.default_rng(seed)
    drawn = chance.normal(size=(batch, 1, size[0] + 2, size[1] + 2))
    field = sum(drawn[:, :, y : y + size[0], x : x + size[1]] for y in range(3) for x in range(3)) / 3
    values = np.exp(1.2 * field - 0.5) * chance.normal(size=(batch, 3, *size))
    first = np.clip(np.rint(values), -3, 3)
    halves = np.where(values > first, 1, 0)
    fresh = np.clip(np.rint(2 * values), -1, 1)
    second = np.where(first == 0, fresh, halves)
    return torch.from_numpy(np.concatenate([first, second], 1).astype(np.int64) + MIDDLE)


def untrained(**options):
    return ContextPrior(channels=C, alphabet=S, **{"groups": 3, "width": 8, **options})


def shown(prior, *batches):
    """A prior that has recounted some pictures."""
    prior.recount()
    for each in batches:
        prior.observe(each, torch.full((len(each),), C))
    return prior


@pytest.fixture(scope="module")
def trained():
    """A prior whose net was trained, and which has recounted the pictures."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        prior = untrained(width=16)
        prior.follow(refinement())
        prior.observe(pictures(0), torch.full((40,), C))
        prior.train()
        optimizer = torch.optim.Adam(prior.parameters(), lr=0.02)
        for seed in range(40):
            optimizer.zero_grad()
            prior.channel_bits(pictures(100 + seed)).sum(1).mean().backward()
            optimizer.step()
        return shown(prior.eval(), pictures(0), pictures(1))


@pytest.fixture(scope="module")
def frozen(trained):
    return trained.freeze()


def cost(prior, symbols):
    """Bits of a picture (C, h, w)."""
    arrays = SymbolArrays.of([symbols])
    places, tables = in_order(prior, arrays)
    return tables.bits(arrays.flat[places])


def random_net(seed):
    """A rounded net that was not trained, but whose numbers are all different."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        net = ContextNet(channels=C, alphabet=S, groups=3, width=5)
        net.follow(refinement())
        for parameter in net.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
        net.train()(pictures(seed))
        return rounded(net)


# what it is for


def test_its_parameters_and_multiplications_are_those_of_its_net(frozen, monkeypatch):
    """parameters: as many numbers as a model file stores, less those of the order and the 0 that begins each table"""
    done = []
    product, convolved = net_arithmetic.product, net_arithmetic.convolved

    def counted_product(left, right, *more):
        done.append(left.size * right.shape[1])
        return product(left, right, *more)

    def counted_convolution(weights, bias, numbers):
        done.append(weights[0].size * numbers.size)
        return convolved(weights, bias, numbers)

    monkeypatch.setattr(net_arithmetic, "product", counted_product)
    monkeypatch.setattr(net_arithmetic, "convolved", counted_convolution)
    symbols = pictures(9)[0].numpy()
    for _ in frozen.steps(symbols):
        pass
    assert sum(done) == frozen.multiplications * symbols[0].size
    arrays = {name: array.size for name, array in frozen.arrays().items()}
    stored = sum(size for name, size in arrays.items() if name.startswith("net.")) + arrays["tables"]
    assert frozen.parameters == stored - TABLES


def test_pictures_that_were_not_counted_cost_less_than_with_tables_of_channels(frozen):
    plain = shown(StaticPrior(channels=C, alphabet=S), pictures(0), pictures(1)).freeze()
    costs = [np.mean([cost(each, symbols) for symbols in pictures(9).numpy()]) for each in (frozen, plain)]
    assert costs[0] < 0.9 * costs[1]


def test_channel_bits_tell_what_coding_costs(trained, frozen):
    others = pictures(9)
    with torch.no_grad():
        said = float(trained.channel_bits(others).sum()) / len(others)
    assert np.mean([cost(frozen, symbols) for symbols in others.numpy()]) == pytest.approx(said, rel=0.03)


def test_until_it_is_trained_channel_bits_are_those_of_frequencies():
    prior = untrained().train()
    prior.follow(refinement())
    plain = StaticPrior(channels=C, alphabet=S)
    with torch.no_grad():
        assert torch.equal(prior.channel_bits(pictures(2)), plain.channel_bits(pictures(2)))
    assert torch.equal(prior.eval().channel_bits(pictures(2)), plain.channel_bits(pictures(2)))
    assert not prior.knows_channels


def test_what_a_joint_phase_observes_does_not_start_the_net():
    """At first, a quantizer that is trained has few symbols; others would then be thought impossible."""
    prior = untrained().train()
    prior.follow(refinement())
    prior.observe(pictures(0).clamp(MIDDLE, MIDDLE + 1), torch.full((40,), C))
    assert not prior.knows_channels
    bits = prior.channel_bits(pictures(0)).sum()
    assert prior.knows_channels
    with torch.no_grad():
        frequencies = untrained()
        frequencies.observe(pictures(0), torch.full((40,), C))
        assert bits < 1.3 * frequencies.channel_bits(pictures(0)).sum()


def test_channel_bits_do_not_depend_on_later_groups(trained):
    symbols, others = pictures(4), pictures(4)
    *_, start, _ = trained.net.group_bounds
    others[:, start:] = S - 1 - others[:, start:]
    with torch.no_grad():
        one, other = trained.channel_bits(symbols), trained.channel_bits(others)
    torch.testing.assert_close(one[:, :start], other[:, :start])
    assert not torch.equal(one[:, start:], other[:, start:])


def test_symbols_have_the_places_that_they_have_in_files(trained, frozen):
    symbols = pictures(9, batch=8)
    with torch.no_grad():
        bits, places = trained.coding_order(symbols)
    said = meant = 0.0
    for picture, cost_, place in zip(symbols.numpy(), bits.numpy(), places.numpy(), strict=True):
        in_file, tables = in_order(frozen, SymbolArrays.of([picture]))
        costs = tables.bits_of_each(picture.reshape(-1)[in_file])
        for count in (24, 100, 201):
            # the net tells nearly the same tables before it is rounded
            assert (place.reshape(-1)[in_file[:count]] < count).mean() >= 0.95
            said, meant = said + cost_[place < count].sum(), meant + costs[:count].sum()
    assert said == pytest.approx(meant, rel=0.05)


def test_until_it_is_trained_one_channel_is_coded_after_the_other():
    prior = untrained().eval()
    prior.follow(refinement())
    bits, places = prior.coding_order(pictures(2, batch=2))
    assert torch.equal(places[1].flatten(), torch.arange(places[1].numel()))
    assert torch.allclose(bits.sum(dim=(2, 3)), prior.channel_bits(pictures(2, batch=2)))


# steps


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 4), (8, 11)])
def test_the_steps_do_not_depend_on_how_many_channels_are_computed_at_once(frozen, monkeypatch, size):
    symbols = pictures(7, size=size, batch=1)[0].numpy()
    wanted = list(frozen.steps(symbols))
    monkeypatch.setattr(net_arithmetic, "_BLOCK", 1)
    for one, other in zip(frozen.steps(symbols), wanted, strict=True):
        np.testing.assert_array_equal(one.indices, other.indices)
        np.testing.assert_array_equal(one.rows, other.rows)


@pytest.mark.parametrize("size", [(6, 8), (1, 1), (1, 4), (3, 5)])
def test_each_group_is_two_steps_one_for_each_half_of_a_checkerboard_and_symbols_that_refine_wait(frozen, size):
    symbols = pictures(5, size, batch=1)[0].numpy()
    color = np.indices(size).sum(0).reshape(-1) % 2
    bounds = frozen.net.bounds.tolist()
    halves = [
        (np.arange(start, end)[:, None] * color.size + np.flatnonzero(color == half)).reshape(-1)
        for start, end in pairwise(bounds)
        for half in (0, 1)
    ]
    refining = np.flatnonzero(levels_before(frozen.net, symbols).reshape(-1))
    by_halves = np.concatenate(halves)
    late = by_halves[np.isin(by_halves, refining)]
    groups = frozen.order.latest[late // color.size]
    steps = list(frozen.steps(symbols))
    assert len(steps) == len(halves) == 6
    for number, (step, places) in enumerate(zip(steps, halves, strict=True)):
        waited = late[groups == number // 2] if number % 2 else late[:0]
        assert np.array_equal(step.indices, [*waited, *np.setdiff1d(places, refining)])


def test_symbols_that_refine_come_before_those_of_their_child_or_last(frozen):
    assert frozen.net.bounds.tolist() == [0, 2, 4, 6]
    assert frozen.order.latest.tolist() == [0, 1, 1, 2, 2, 2]


def test_steps_do_not_depend_on_symbols_that_are_not_known_yet(frozen):
    symbols = pictures(5, batch=1)[0].numpy()
    decoded = np.full_like(symbols, -1)
    for step, known in zip(frozen.steps(decoded), frozen.steps(symbols), strict=True):
        assert np.array_equal(step.rows, known.rows)
        decoded.reshape(-1)[step.indices] = symbols.reshape(-1)[step.indices]


def test_what_is_worth_most_is_coded_first_in_a_step(frozen):
    """Channels of larger steps come first in the order of tables that are else the same."""
    assert frozen.order.classes.tolist() == [0, 0, 0, 4, 4, 4]
    assert len(frozen.order.ranks) == 5
    assert (np.diff(frozen.order.ranks, axis=0) > 0).all()


def test_rows_are_those_of_the_tables_in_their_order(frozen):
    symbols = pictures(6, batch=1)[0].numpy()
    assert np.array_equal(
        frozen.cumulative[frozen.order.ranks], np.broadcast_to(frozen.tables, (5, *frozen.tables.shape))
    )
    for step, (places, ranks) in zip(
        frozen.steps(symbols), NetArithmetic(frozen.net, frozen.order).steps(symbols), strict=True
    ):
        assert np.array_equal(step.indices, places)
        assert np.array_equal(step.rows, ranks)
        channels = step.indices // symbols[0].size
        assert np.array_equal(frozen.order.ranks[frozen.order.classes[channels], frozen.order.tables[ranks]], ranks)


def test_rows_of_many_classes_of_channels_are_told_apart(frozen):
    """40 · 2240 ranks are more than 16 bits hold."""
    ranks = np.arange(40 * len(frozen.tables)).reshape(40, -1)
    order = SymbolOrder(np.array([0, 39, 29, 30, 1, 38]), ranks, frozen.order.latest)
    many = ContextTables(frozen.net, frozen.tables, order)
    symbols = pictures(6, batch=1)[0].numpy()
    for step, few in zip(many.steps(symbols), frozen.steps(symbols), strict=True):
        assert np.array_equal(step.indices, few.indices)
        channels = step.indices // symbols[0].size
        assert np.array_equal(step.rows, ranks[order.classes[channels], frozen.order.tables[few.rows]])


SIZES = [(6, 8), (1, 1), (1, 5), (7, 3)]


@pytest.mark.parametrize("sizes", [SIZES[:1], SIZES[1:2], SIZES])
def test_pictures_of_any_sizes_come_back(frozen, sizes):
    arrays = SymbolArrays.of([pictures(n, size, batch=1)[0].numpy() for n, size in enumerate(sizes)])
    places, tables = in_order(frozen, arrays)
    data, _ = RangeCoder().encode(arrays.flat[places], tables, [tables.size])
    decoder, decoded = RangeCoder().decoder(data, complete=True), SymbolArrays(C, sizes)
    for step in coding_steps(frozen, decoded):
        decoded.flat[step.indices] = decoder.decode(step.tables)
    assert np.array_equal(decoded.flat, arrays.flat)


def test_of_the_first_bytes_come_the_first_symbols(frozen):
    arrays = SymbolArrays.of([pictures(n, size, batch=1)[0].numpy() for n, size in enumerate(SIZES)])
    places, tables = in_order(frozen, arrays)
    data, lengths = RangeCoder().encode(arrays.flat[places], tables, list(range(tables.size + 1)))
    for length in range(len(data)):
        decoder, decoded = RangeCoder().decoder(data[:length]), SymbolArrays(C, SIZES)
        for step in coding_steps(frozen, decoded):
            found = decoder.decode(step.tables)
            decoded.flat[step.indices[: len(found)]] = found
            if len(found) < len(step.indices):
                break
        known = sum(each <= length for each in lengths) - 1
        assert np.array_equal(decoded.flat[places[:known]], arrays.flat[places[:known]])
        assert (decoded.flat[places[known:]] == -1).all()


def test_between_steps_torch_is_as_it_was(frozen):
    steps = frozen.steps(pictures(5, batch=1)[0].numpy())
    next(steps)
    assert not torch.is_inference_mode_enabled()
    next(steps)
    assert not torch.is_inference_mode_enabled()
    assert torch.ones(1, requires_grad=True).exp().requires_grad


def test_another_number_of_channels_is_refused(frozen):
    with pytest.raises(ValueError, match="for 6 channels, not 5"):
        next(frozen.steps(np.zeros((5, 2, 2), np.int64)))


# the arithmetic


def divided(sums, shifts):
    """⌊x / 2ˢ + ½⌋ of sums (R, …), with a shift for each row."""
    shifts = shifts.reshape(-1, *[1] * (sums.ndim - 1))
    half = np.where(shifts > 0, 1 << np.maximum(shifts - 1, 0), 0)
    return (sums << np.maximum(-shifts, 0)) + half >> np.maximum(shifts, 0)


def convolved(weight, bias, numbers):
    """A 3×3 convolution of each of (W, h, w) by itself; weight (W, 3, 3)."""
    height, width = numbers.shape[1:]
    padded = np.pad(numbers, ((0, 0), (1, 1), (1, 1)))
    total = np.zeros_like(numbers) + bias[:, None, None]
    for y, x in np.ndindex(3, 3):
        total += weight[:, y, x, None, None] * padded[:, y : y + height, x : x + width]
    return total


def mixed(weight, bias, numbers):
    return np.einsum("rc,chw->rhw", weight, numbers) + bias[:, None, None]


AROUND = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]])
BESIDE = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])


def neighbors(kernel, numbers):
    return convolved(np.broadcast_to(kernel, (len(numbers), 3, 3)), np.zeros(len(numbers), int), numbers)


def marks_after(before, after):
    """Sign and size of what a symbol says: (2, h, w); nothing if it refines."""
    signed = np.where(before == 0, 2 * np.clip(after, -3, 3), 0)
    return np.stack([signed, np.abs(signed)])


def test_parts_of_tables_are_those_that_scores_choose():
    kind, first, second = parts_of_tables()
    scores = np.stack([16 * (first - 32) + 7, 32 * (second - 12) - 16]).astype(np.float32)
    chosen = NetArithmetic._tables(kind.astype(np.int8), *scores)
    assert chosen.tolist() == list(range(TABLES))


def levels_before(net, symbols):
    """The levels (C, h, w) of the parents of all symbols."""
    before, after = np.zeros_like(symbols), np.zeros_like(symbols)
    for c, parent in enumerate(net.parents):
        before[c] = after[parent] if parent >= 0 else 0
        after[c] = net.levels[before[c] + 31, symbols[c]]
    return before


def tables_by_hand(net, symbols):
    """The table of every symbol (C, h, w), as the definition has it, in 64-bit integers."""
    _, height, width = symbols.shape
    first = np.indices((height, width)).sum(0) % 2 == 0
    after, found = np.zeros_like(symbols), np.zeros_like(symbols)
    total = np.zeros((net.bias.shape[1], height, width), np.int64)
    for g, (start, end) in enumerate(pairwise(net.bounds.tolist())):
        shifts = net.shifts[g]
        z = np.clip(divided(total + net.bias[g][:, None, None], shifts[0]), 0, 127)
        for layer in (0, 1):
            summed = convolved(net.spatial[g, layer], net.spatial_bias[g, layer], z)
            z = np.clip(divided(summed, shifts[1 + layer]), -127, 127)
            z = np.clip(divided(mixed(net.mixing[g, layer], net.mixing_bias[g, layer], z), shifts[4 + layer]), 0, 127)
        of_group = slice(2 * start, 2 * end)
        parents = net.parents[start:end]
        before = np.stack([after[p] if p >= 0 else np.zeros_like(after[0]) for p in parents])
        after[start:end] = net.levels[before + 31, symbols[start:end]]
        marks = np.concatenate([marks_after(*each) for each in zip(before, after[start:end], strict=True)])
        own = np.clip(divided(np.einsum("rc,chw->rhw", net.own[:, of_group], marks * first), shifts[7]), -127, 127)
        own = divided(convolved(net.spatial[g, 2], net.spatial_bias[g, 2], own), shifts[3])
        u = np.clip(own + z, 0, 127)
        u = np.clip(divided(mixed(net.mixing[g, 2], net.mixing_bias[g, 2], u), shifts[6]), 0, 127)
        one = divided(mixed(net.first[of_group], net.first_bias[of_group], z), net.score_shifts[0, of_group])
        two = divided(mixed(net.second[of_group], net.second_bias[of_group], u), net.score_shifts[1, of_group])
        for n, c in enumerate(range(start, end)):
            kind = (
                np.searchsorted([-3, -1, 0, 1, 2, 4], before[n], side="right")
                if parents[n] >= 0
                else np.full_like(u[0], 7)
            )
            level = np.clip(before[n], -6, 6)
            around = neighbors(AROUND, np.stack([np.abs(level), level]))
            scores = one[2 * n : 2 * n + 2] + divided(around * net.around[c][:, None, None], np.full(2, 6))
            scores = scores + net.base[c][:, None, None]
            scores[0] += net.of_kind[c][kind]
            beside = neighbors(BESIDE, marks[2 * n : 2 * n + 2] * first)[::-1]
            more = two[2 * n : 2 * n + 2] + divided(beside * net.beside[c][:, None, None], np.full(2, 6))
            more[0] += net.in_second[c]
            scores = np.where(first, scores, scores + more)
            part = np.clip((scores[0] >> 4) + 32, 0, 39)
            lean = np.clip(scores[1] + 16 >> 5, -12, 12)
            within = np.where((kind == 3) | (kind == 7), 25 * part + lean + 12, part)
            found[c] = 40 * kind + 960 * (kind > 3) + within
        total = total + np.einsum("rc,chw->rhw", net.inputs[:, of_group], marks)
    return found


def tables_of(net, symbols):
    found = np.full(symbols.size, -1)
    order = SymbolOrder(np.zeros(C, np.int64), np.arange(TABLES)[None], np.array([0, 1, 1, 2, 2, 2]))
    for places, ranks in NetArithmetic(net, order).steps(symbols):
        found[places] = ranks
    return found.reshape(symbols.shape)


@pytest.fixture(params=["torch", "numpy"])
def kernels(request, monkeypatch):
    """Products by torch, or by NumPy, as where torch is not imported."""
    if request.param == "numpy":
        monkeypatch.setattr(exact_products.sys, "modules", {})


@pytest.mark.parametrize("size", SIZES)
def test_tables_are_those_of_plain_arithmetic_with_integers(frozen, size, kernels):
    for number, net in enumerate((frozen.net, random_net(0), random_net(1))):
        symbols = pictures(number, size, batch=1)[0].numpy()
        assert np.array_equal(tables_of(net, symbols), tables_by_hand(net, symbols))


def test_sums_of_very_many_channels_are_exact_though_the_first_group_has_no_features():
    channels = 1500
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        net = ContextNet(channels=channels, alphabet=S, groups=20, width=5)
        net.follow(Refinement([-1] * channels, refinement().levels, [1.0] * channels))
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        net.ranges.fill_(8.0)
        net.ranges[0, 0] = 0.0
        found = rounded(net)  # raises ValueError for sums that may not be exact
    assert found.channels == channels


def test_the_nets_of_these_tests_tell_many_tables(frozen):
    for net in (frozen.net, random_net(0)):
        assert len(np.unique(tables_of(net, pictures(0, (20, 20), batch=1)[0].numpy()))) > 50


@pytest.mark.parametrize("threads", [1, 3])
def test_tables_do_not_depend_on_the_number_of_threads(threads):
    symbols, before = pictures(0, (33, 47), batch=1)[0].numpy(), torch.get_num_threads()
    wanted = tables_of(random_net(2), symbols)
    torch.set_num_threads(threads)
    try:
        assert np.array_equal(tables_of(random_net(2), symbols), wanted)
    finally:
        torch.set_num_threads(before)


# counting


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


def test_pictures_that_are_recounted_in_parts_give_what_they_give_at_once(trained):
    both = torch.cat([pictures(2), pictures(3)])
    at_once = shown(trained, both).freeze().arrays()
    assert same(shown(trained, pictures(2), pictures(3)).freeze().arrays(), at_once)
    assert same(shown(trained, *both.split(7)).freeze().arrays(), at_once)
    assert not same(shown(trained, pictures(2)).freeze().arrays(), at_once)


def test_tables_are_frequencies_of_symbols_where_the_net_tells_them(trained):
    symbols = pictures(2)
    frozen = shown(trained, symbols).freeze()
    counts = np.zeros((len(frozen.tables), S))
    for each in symbols.numpy():
        np.add.at(counts, (tables_of(frozen.net, each), each), 1)
    often = np.flatnonzero(counts.sum(1) > 400)
    assert len(often) > 3
    found = np.diff(frozen.tables, axis=1)[often] / TOTAL
    np.testing.assert_allclose(found, counts[often] / counts[often].sum(1, keepdims=True), atol=16 / 400)


def test_only_whole_pictures_are_counted_for_tables(trained):
    symbols, kept = pictures(2), torch.full((40,), C)
    kept[::2] = C - 1
    trained.recount()
    trained.observe(symbols, kept)
    some = trained.freeze().arrays()["tables"]
    assert np.array_equal(some, shown(trained, symbols[1::2]).freeze().arrays()["tables"])


def test_without_a_decoder_phase_it_is_frozen_as_static():
    prior, plain = untrained(), StaticPrior(channels=C, alphabet=S)
    prior.follow(refinement())
    arrays = shown(prior, pictures(0)).freeze().arrays()
    assert same(arrays, shown(plain, pictures(0)).freeze().arrays())
    assert isinstance(ContextPrior.thaw(arrays), FrozenTables)


def test_the_net_is_trained_anew_for_another_refinement_only():
    prior = untrained()
    prior.follow(refinement())
    prior.channel_bits(pictures(0))
    assert prior.net.ready
    prior.follow(refinement())
    assert prior.net.ready
    prior.follow(refinement([-1, -1, -1, 2, 1, 0]))
    assert not prior.net.ready


def test_selected_channels_have_a_net_that_is_to_be_trained():
    prior = untrained()
    prior.follow(refinement())
    prior.channel_bits(pictures(0))
    assert prior.knows_channels
    prior.select_channels([3, 0, 1])
    assert (prior.net.channels, bool(prior.net.ready)) == (3, False)
    prior.recount()
    assert isinstance(prior.freeze(), FrozenTables)


def test_the_net_of_selected_channels_is_the_same_in_every_process():
    nets = []
    with torch.random.fork_rng(devices=[]):
        for seed in (1, 2):
            torch.manual_seed(seed)
            prior = untrained()
            prior.select_channels([3, 0, 1])
            nets.append(prior.net.state_dict())
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])


def test_a_refinement_of_other_channels_is_refused():
    with pytest.raises(ValueError, match="a refinement of 6 channels and 7 symbols"):
        untrained().follow(refinement(PARENTS[:-1]))


@pytest.mark.parametrize("options", [{"groups": 0}, {"width": 0}, {"weight": 0.0}, {"marginal_share": -0.1}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ComponentError):
        untrained(**options)


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.integers(1, 60), st.integers(1, 30), st.randoms(use_true_random=False))
def test_no_group_has_a_channel_and_its_parent(channels, most, chance):
    parents = [chance.randrange(-1, max(c, 1)) if chance.random() < 0.7 else -1 for c in range(channels)]
    parents[0] = -1
    most = min(most, channels)
    bounds, kept = divide_channels(parents, most)
    assert (bounds[0], bounds[-1]) == (0, channels)
    assert (np.diff(bounds) > 0).all()
    assert len(bounds) - 1 <= most
    for start, end in pairwise(bounds):
        for c in range(start, end):
            assert kept[c] == (parents[c] if parents[c] < start else -1)


# the model file


@pytest.mark.parametrize("thaw", [ContextPrior.thaw, specified_prior])
def test_arrays_are_thawed_to_the_same_tables(frozen, thaw):
    arrays = frozen.arrays()
    thawed = thaw(arrays)
    assert isinstance(thawed, ContextTables)
    assert same(thawed.arrays(), arrays)
    symbols = pictures(5, batch=1)[0].numpy()
    for one, other in zip(frozen.steps(symbols), thawed.steps(symbols), strict=True):
        assert np.array_equal(one.indices, other.indices)
        assert np.array_equal(one.rows, other.rows)
    assert np.array_equal(frozen.cumulative, thawed.cumulative)
    assert cost(thawed, symbols) == cost(frozen, symbols)


def test_arrays_have_as_few_bits_as_they_need(frozen):
    arrays = frozen.arrays()
    assert arrays["tables"].dtype == np.uint16
    assert {arrays[f"net.{name}"].dtype for name in ("inputs", "spatial", "mixing", "first")} == {np.dtype(np.int8)}


@pytest.mark.parametrize(
    "name", ["tables", "classes", "ranks", "latest", "net.bounds", "net.levels", "net.score_shifts"]
)
def test_an_array_that_is_missing_is_named(frozen, name):
    arrays = {key: array for key, array in frozen.arrays().items() if key != name}
    with pytest.raises(KeyError, match=name):
        ContextTables.from_arrays(arrays)


def full(value):
    return lambda array: np.full_like(array, value, dtype=np.int64)


@pytest.mark.parametrize(
    ("name", "spoiled", "complaint"),
    [
        ("net.bias", full((1 << 24) - 1), "sums of inputs"),
        ("net.bias", full(-(1 << 24)), "sums of inputs"),
        ("net.spatial_bias", full(1 << 24), "sums of spatial"),
        ("net.mixing_bias", full(-(1 << 24)), "sums of mixing"),
        ("net.shifts", full(-20), "may reach 2"),
        ("net.shifts", full(25), "may reach 2"),
        ("net.first_bias", full(1 << 22), "scores of first"),
        ("net.second_bias", full(1 << 22), "scores of second"),
        ("net.score_shifts", full(-20), "scores of first"),
        ("net.around", full(1 << 20), "local terms of the scores"),
        ("net.beside", full(1 << 20), "local terms of the scores"),
        ("net.base", full(1 << 23), "local terms of the scores"),
        ("net.of_kind", full(1 << 23), "local terms of the scores"),
        ("net.in_second", full(-(1 << 23)), "local terms of the scores"),
        ("net.inputs", full(128), "up to ±127"),
        ("net.own", full(-128), "up to ±127"),
        ("net.spatial", full(128), "spatial of a context net are up to ±127"),
        ("net.mixing", full(128), "mixing of a context net are up to ±127"),
        ("net.first", full(128), "first of a context net are up to ±127"),
        ("net.second", full(-128), "second of a context net are up to ±127"),
        ("net.shifts", full(41), "divided by up to"),
        ("net.levels", full(32), "up to ±31"),
        ("net.levels", lambda array: array[1:], "levels of a context net has the shape"),
        ("net.inputs", lambda array: array[:, 1:], "inputs of a context net has the shape"),
        ("net.bias", lambda array: array[0], "has the shape"),
        ("net.parents", lambda array: np.where(array < 0, -1, 5), "in an earlier group"),
        ("net.parents", full(-2), "in an earlier group"),
        ("net.bounds", lambda array: array[::-1].copy(), "do not divide"),
        ("net.bounds", lambda array: array + 1, "do not divide"),
        ("net.bounds", lambda array: np.array([0, 0, 3, *array[3:]]), "do not divide"),
        ("tables", lambda array: array[1:], "tables of 7 symbols"),
        ("tables", lambda array: array[:, ::-1].copy(), "every row of cumulative"),
        ("classes", full(5), "not from 0 to 4"),
        ("classes", full(-1), "not from 0 to 4"),
        ("classes", lambda array: array[1:], "every channel has a class"),
        ("ranks", full(0), "not a permutation"),
        ("ranks", lambda array: np.arange(array.size - len(array)).reshape(len(array), -1), "with 2240 tables"),
        ("latest", full(0), "with its group or a later one"),
        ("latest", full(3), "with its group or a later one"),
        ("latest", full(2), "before the group of its child"),
        ("latest", lambda array: np.array([*array[:2], 2, *array[3:]]), "before the group of its child"),
        ("latest", lambda array: array[1:], "every channel has a class"),
        ("ranks", lambda array: array.astype(np.float32), "are integers"),
    ],
)
def test_arrays_that_are_no_such_prior_are_refused(frozen, name, spoiled, complaint):
    arrays = frozen.arrays()
    assert "net.bounds" in arrays
    with pytest.raises(ValueError, match=complaint):
        ContextTables.from_arrays(arrays | {name: spoiled(arrays[name])})


def test_training_goes_on_from_the_tables_of_a_model(trained):
    frozen, seen = trained.freeze(), pictures(7)
    prior = untrained(width=16)
    prior.follow(refinement())
    fresh = prior.eval().channel_bits(seen).sum()
    assert not prior.knows_channels
    assert prior.begin_with(frozen)
    assert prior.knows_channels
    prior.follow(refinement())
    assert prior.knows_channels
    bits, wanted = prior.channel_bits(seen).sum(), trained.channel_bits(seen).sum()
    assert fresh > 1.05 * wanted
    torch.testing.assert_close(bits, wanted, rtol=0.01, atol=0)
    # rounded again it is the same net, but for what is clipped
    again = ContextTables(rounded(prior.net), frozen.tables, frozen.order)
    assert cost(again, seen[0].numpy()) == pytest.approx(cost(frozen, seen[0].numpy()), rel=1e-3)
    refrozen = shown(prior, pictures(0), pictures(1)).freeze()
    assert cost(refrozen, seen[0].numpy()) == pytest.approx(cost(frozen, seen[0].numpy()), rel=0.01)


def test_a_net_that_began_with_tables_is_trained(trained):
    prior = untrained(width=16)
    prior.follow(refinement())
    prior.begin_with(trained.freeze())
    prior.train().channel_bits(pictures(7)).sum().backward()
    net = prior.net
    for parameter in (net.inputs.weight, net.offset, net.base, net.groups[1].mixing[0].weight, net.first.weight):
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize("options", [{"width": 8}, {"width": 16, "groups": 1}])
def test_tables_of_another_net_are_not_begun_with(trained, options):
    prior = untrained(**options)
    prior.follow(refinement())
    before = {name: tensor.clone() for name, tensor in prior.state_dict().items()}
    assert not prior.begin_with(trained.freeze())
    assert not prior.begin_with(StaticPrior(channels=C, alphabet=S).freeze())
    assert not prior.knows_channels
    assert all(torch.equal(before[name], now) for name, now in prior.state_dict().items())


@pytest.mark.parametrize("smallest", [0.0, 1e-40, 1e-5])
@pytest.mark.parametrize("place", range(RANGES))
def test_activations_that_are_nearly_always_0_do_not_make_sums_inexact(smallest, place):
    """As their range is forgotten in training."""
    many = 600
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        net = ContextNet(channels=many, alphabet=S, groups=3, width=64)
        net.follow(refinement([-1] * many))
        for parameter in net.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
        net.train()(torch.randint(0, S, (2, many, 4, 4)))
    net.ranges[0, place] = smallest
    rounded(net)


@pytest.mark.parametrize("place", [0, 5])
def test_a_group_of_small_activations_does_not_set_the_units_of_the_others(trained, frozen, place):
    prior = copy.deepcopy(trained)
    prior.net.ranges[0, place] = 0.0
    small = ContextTables(rounded(prior.net), frozen.tables, frozen.order)
    begun = [untrained(width=16) for _ in range(2)]
    for each, tables in zip(begun, (small, frozen), strict=True):
        each.follow(refinement())
        assert each.begin_with(tables)
    one, other = (each.net.state_dict() for each in begun)
    for name in ("inputs.weight", "own.weight"):
        assert 0.25 <= float(one[name].abs().max() / other[name].abs().max()) <= 4


def test_symbols_that_the_first_batch_lacked_can_be_learned():
    prior = untrained()
    prior.follow(refinement())
    prior.observe(torch.full((2, C, 6, 8), MIDDLE), torch.full((2,), C))
    bits = prior.channel_bits(pictures(0))
    assert bits.isfinite().all()
    bits.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in prior.parameters())


def test_ranks_are_numbers_that_float32_holds(frozen, monkeypatch):
    monkeypatch.setattr(symbol_order, "_MAX_RANKS", frozen.order.ranks.size - 1)
    with pytest.raises(ValueError, match=r"at most .* ranks"):
        ContextTables.from_arrays(frozen.arrays())


def test_a_net_that_began_but_was_not_trained_is_frozen_as_static():
    prior, plain = untrained(), StaticPrior(channels=C, alphabet=S)
    prior.follow(refinement())
    prior._start(pictures(1))
    assert prior.net.ready
    arrays = shown(prior, pictures(0)).freeze().arrays()
    assert same(arrays, shown(plain, pictures(0)).freeze().arrays())


def test_features_without_weights_are_rounded_too():
    net = untrained().net
    net.follow(refinement())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert not rounded(net).inputs.any()


def test_channels_that_are_very_unlike_have_as_many_classes_as_16_bits_hold():
    net = untrained().net
    told = refinement()
    net.follow(Refinement(told.parents, told.levels, [4.0**-exponent for exponent in (0, 4, 8, 9, 10, 20)]))
    order = context_order.symbol_order(net)
    assert order.classes.tolist() == [0, 16, 28, 28, 28, 28]
    assert order.rank_type == np.uint16
