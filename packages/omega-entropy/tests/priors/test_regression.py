"""The prior whose tables are those of a context that regressions tell."""

import itertools
import tracemalloc

import numpy as np
import pytest
import torch

from omega_core.coding.order import SymbolArrays, coding_steps, in_order
from omega_core.coding.regression_tables import RegressionTables
from omega_core.coding.tables import FrozenTables
from omega_core.errors import ComponentError
from omega_entropy import RangeCoder, RegressionPrior, StaticPrior

C, S = 4, 9


def pictures(seed, size=(6, 8), batch=40):
    """Symbols (B, C, h, w) that are wide where a hidden field is large, and lean to where another one lies."""
    chance = np.random.default_rng(seed)

    def field():
        drawn = chance.normal(size=(batch, 1, size[0] + 2, size[1] + 2))
        return sum(drawn[:, :, y : y + size[0], x : x + size[1]] for y in range(3) for x in range(3)) / 3

    values = np.exp(0.8 * field()) * chance.normal(size=(batch, C, *size)) + field()
    return torch.from_numpy(np.clip(np.rint(values) + S // 2, 0, S - 1).astype(np.int64))


def trained(*shown, prior=RegressionPrior, size=None, **options):
    made = prior(channels=C, alphabet=S, latent_size=size, **options)
    made.recount()
    for each in shown:
        made.observe(each, torch.full((len(each),), C))
    return made


def cost(frozen, symbols):
    """Bits of a picture (C, h, w)."""
    arrays = SymbolArrays.of([symbols])
    places, tables = in_order(frozen, arrays)
    return tables.bits(arrays.flat[places])


def halves(size):
    """The positions of the two halves of a checkerboard."""
    color = np.indices(size).sum(0).reshape(-1) % 2
    return np.flatnonzero(color == 0), np.flatnonzero(color)


@pytest.fixture(scope="module")
def frozen():
    return trained(pictures(0), pictures(1)).freeze()


def test_pictures_that_were_not_counted_cost_less_than_without_contexts(frozen):
    others = pictures(9).numpy()
    plain = trained(pictures(0), pictures(1), prior=StaticPrior).freeze()
    mean = [np.mean([cost(each, symbols) for symbols in others]) for each in (frozen, plain)]
    assert mean[0] < 0.95 * mean[1]
    only = [trained(pictures(0), pictures(1), **{one: 1}).freeze() for one in ("levels", "directions")]
    assert all(mean[0] < np.mean([cost(each, symbols) for symbols in others]) < mean[1] for each in only)


def test_frequencies_are_those_of_each_context():
    shown, weight = pictures(0), 2.5
    prior = trained(shown, weight=weight)
    frozen, plain = prior.freeze(), prior.probabilities().numpy()[:, 0]
    for c, stage in itertools.product(range(C), (0, 1)):
        contexts, places = frozen.scores.context(c, stage, shown.numpy()), halves((6, 8))[stage]
        for context in range(24):
            seen = shown.numpy()[:, c].reshape(len(shown), -1)[:, places][contexts == context]
            counts = np.bincount(seen, minlength=S) + weight * plain[c]
            found = np.diff(frozen.cumulative[frozen.rows[c, stage] + context]) / 2**16
            np.testing.assert_allclose(found, counts / counts.sum(), atol=1e-3)


KERNEL = {(y, x): 2 if 0 in (y, x) else 1 for y, x in itertools.product((-1, 0, 1), repeat=2) if (y, x) != (0, 0)}


def score(scores, m, c, stage, symbols, y, x):
    """As `Scores` says, one number after the other."""
    height, width = symbols.shape[1:]
    total = 0
    for parent, (here, around) in zip(scores.parents[c, stage], scores.weights[m, c, stage], strict=True):
        if parent >= 0:
            mark = scores.marks[m, parent]
            total += here * mark[symbols[parent, y, x]]
            for (down, right), many in KERNEL.items():
                place = min(max(y + down, 0), height - 1), min(max(x + right, 0), width - 1)
                total += around * many * mark[symbols[parent, place[0], place[1]]]
    if stage:
        places = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        there = [place for place in places if 0 <= place[0] < height and 0 <= place[1] < width]
        total += sum(scores.own[m, c] * (12 // len(there)) * scores.marks[m, c][symbols[c][place]] for place in there)
    return total


@pytest.mark.parametrize("size", [(3, 4), (1, 2), (4, 1)])
def test_a_context_is_what_the_scores_of_a_position_are_not_below(frozen, size):
    symbols, scores = pictures(3, size, batch=1)[0].numpy(), frozen.scores
    assert scores.own.any()
    assert (scores.parents >= 0).any()
    for c, stage in itertools.product(range(C), (0, 1)):
        places = [(y, x) for y, x in np.ndindex(*size) if (y + x) % 2 == stage]
        contexts = np.zeros(len(places), int)
        for m, found in enumerate(scores.of(c, stage, symbols[None])):
            wanted = np.array([score(scores, m, c, stage, symbols, y, x) for y, x in places])
            assert np.array_equal(found[0], wanted)
            below = (scores.thresholds[m][c, stage] <= wanted[:, None]).sum(1)
            contexts = contexts * (scores.thresholds[m].shape[2] + 1) + below
        assert np.array_equal(scores.context(c, stage, symbols[None])[0], contexts)


def test_each_channel_is_two_steps_one_for_each_color(frozen):
    found = list(frozen.steps(pictures(4, batch=1)[0].numpy()))
    wanted = [48 * c + half for c in range(C) for half in halves((6, 8))]
    assert all(np.array_equal(step.indices, places) for step, places in zip(found, wanted, strict=True))


def test_steps_do_not_depend_on_what_is_decoded_later(frozen):
    symbols = pictures(4, batch=1)[0].numpy()
    decoded = np.full_like(symbols, -1)
    for step, known in zip(frozen.steps(decoded), frozen.steps(symbols), strict=True):
        assert np.array_equal(step.rows, known.rows)
        decoded.reshape(-1)[step.indices] = symbols.reshape(-1)[step.indices]


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 3)])
def test_streams_come_back_in_any_size(frozen, size):
    arrays = SymbolArrays.of([pictures(5, size, batch=1)[0].numpy(), pictures(6, (4, 4), batch=1)[0].numpy()])
    places, tables = in_order(frozen, arrays)
    data, _ = RangeCoder().encode(arrays.flat[places], tables, [tables.size])
    decoder, decoded = RangeCoder().decoder(data), SymbolArrays(C, [size, (4, 4)])
    for step in coding_steps(frozen, decoded):
        decoded.flat[step.indices] = decoder.decode(step.tables)
    assert np.array_equal(decoded.flat, arrays.flat)


def test_positions_of_a_fixed_size_have_their_own_tables():
    shown = pictures(0, (2, 3), batch=400)
    shown[:, :, 0] = (shown[:, :, 0] + 4) % S
    frozen, shared = trained(shown, size=(2, 3)).freeze(), trained(shown, size=(2, 3), per_position=False).freeze()
    mean = [np.mean([cost(each, symbols) for symbols in shown.numpy()]) for each in (frozen, shared)]
    assert mean[0] < 0.95 * mean[1]
    symbols = shown[0].numpy()
    with pytest.raises(ValueError, match="6 positions a channel, the symbols have 4 and 4"):
        next(frozen.steps(symbols[:, :, :2]))


def test_selected_channels_have_contexts_of_those_before_them():
    order = [2, 0, 3]
    prior, again = trained(pictures(0)), RegressionPrior(channels=3, alphabet=S)
    prior.select_channels(order)
    again.recount()
    again.observe(pictures(0)[:, order], torch.full((40,), 3))
    one, other = prior.freeze().arrays(), again.freeze().arrays()
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_only_whole_pictures_tell_contexts():
    shown, kept = pictures(0), torch.full((40,), C)
    kept[::2] = 1
    some = trained()
    some.observe(shown, kept)
    one, other = some.freeze().scores, trained(shown[1::2]).freeze().scores
    assert np.array_equal(one.parents, other.parents)


def test_without_a_recount_it_is_static():
    prior, static = (kind(channels=C, alphabet=S) for kind in (RegressionPrior, StaticPrior))
    for each in (prior, static):
        each.observe(pictures(0), torch.full((40,), C))
    arrays = prior.freeze().arrays()
    wanted = static.freeze().arrays()
    assert arrays.keys() == wanted.keys()
    assert all(np.array_equal(arrays[name], wanted[name]) for name in arrays)
    assert isinstance(RegressionPrior.thaw(arrays), FrozenTables)


@pytest.mark.parametrize("option", ["levels", "directions", "parents", "weight"])
def test_none_of_anything_is_refused(option):
    with pytest.raises(ComponentError, match="needs at least 1 level"):
        RegressionPrior(channels=C, alphabet=S, **{option: 0})


@pytest.mark.parametrize(
    ("name", "spoil", "complaint"),
    [
        ("parents", lambda a: a.fill(3), "only on earlier channels"),
        ("parents", lambda a: a.__setitem__((3, 0, 0), 3), "only on earlier channels"),
        ("weights", lambda a: a.fill(1 << 24), "more than 32 bits"),
        ("own", lambda a: a.fill(-(1 << 30)), "more than 32 bits"),
        ("thresholds.0", lambda a: a[:, :, ::-1].sort(), "have to rise"),
        ("thresholds.1", lambda a: a.fill(-(1 << 31)), "have 32 bits"),
        ("rows", lambda a: a.fill(24 * 7 + 1), "point outside"),
        ("cumulative", lambda a: a.__setitem__((0, 1), 0), "has to rise from 0"),
    ],
)
def test_what_are_no_contexts_is_refused(frozen, name, spoil, complaint):
    arrays = {key: array.copy() for key, array in frozen.arrays().items()}
    spoil(arrays[name])
    with pytest.raises(ValueError, match=complaint):
        RegressionTables.from_arrays(arrays)


@pytest.mark.parametrize(
    "changed",
    [
        lambda arrays: {"marks": arrays["marks"][:, :, 1:]},
        lambda arrays: {"marks": arrays["marks"][0]},
        lambda arrays: {"parents": arrays["parents"][:, :, 1:]},
        lambda arrays: {"own": arrays["own"][:, 1:]},
        lambda arrays: {"thresholds.1": arrays["thresholds.1"][1:]},
        lambda arrays: {"thresholds.1": arrays["thresholds.1"][0]},
        lambda arrays: {"weights": arrays["weights"].astype(float)},
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(frozen, changed):
    arrays = frozen.arrays()
    with pytest.raises((ValueError, KeyError), match=r"do not fit|not for these|are integers|thresholds"):
        RegressionTables.from_arrays(arrays | changed(arrays))


def test_missing_arrays_are_named(frozen):
    arrays = {name: array for name, array in frozen.arrays().items() if name != "thresholds.1"}
    with pytest.raises(KeyError, match=r"thresholds\.1"):
        RegressionTables.from_arrays(arrays)


def test_sizes_of_latents_that_were_decoded_do_not_stay_in_memory(frozen):
    taken = []
    tracemalloc.start()
    try:
        for side in range(100, 130):
            for step in itertools.islice(frozen.steps(np.zeros((C, side, 100), np.int64)), 4):
                assert len(step.rows) == len(step.indices)
            taken.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert taken[-1] < 1.3 * taken[8]


@pytest.mark.parametrize(("alphabet", "parents"), [(4096, 8), (512, 40)])
def test_scores_of_many_symbols_and_parents_fit_32_bits(alphabet, parents):
    symbols = torch.randint(0, alphabet, (4, 41, 8, 8), generator=torch.Generator().manual_seed(0))
    symbols[:, 40] = symbols[:, :40].float().mean(1).long()
    prior = RegressionPrior(channels=41, alphabet=alphabet, parents=parents)
    prior.recount()
    prior.observe(symbols, torch.full((4,), 41))
    assert np.abs(prior.freeze().scores.weights).max() > 100


def test_channels_that_tell_nothing_tell_no_contexts():
    symbols = torch.randint(0, S, (400, C, 6, 8), generator=torch.Generator().manual_seed(0))
    assert (trained(symbols).freeze().scores.parents == -1).all()


def test_a_recount_forgets_the_pictures_before():
    prior = trained(pictures(0))
    prior.recount()
    prior.observe(pictures(1), torch.full((40,), C))
    found, wanted = prior.freeze().arrays(), trained(pictures(1)).freeze().arrays()
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
