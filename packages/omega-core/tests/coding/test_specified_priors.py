from dataclasses import replace

import numpy as np
import pytest

from omega_core.coding.regression_tables import RegressionTables, Scores
from omega_core.coding.specified_priors import SPECIFIED, specified_prior
from omega_core.coding.tables import FrozenTables, NoPrior

TABLES = FrozenTables.from_probabilities(np.random.default_rng(0).dirichlet(np.ones(4), (3 * 4, 1)))
SCORES = Scores(
    marks=np.arange(12).reshape(1, 3, 4),
    parents=np.array([[[-1], [-1]], [[0], [0]], [[1], [0]]]),
    weights=np.arange(12).reshape(1, 3, 2, 1, 2),
    own=np.array([[1, 2, 3]]),
    thresholds=(np.tile(np.array([20]), (3, 2, 1)),),
)
REGRESSION = RegressionTables(TABLES.cumulative, np.arange(0, 12, 4)[:, None] + np.array([0, 2]), SCORES)


@pytest.mark.parametrize("prior", [NoPrior(), TABLES, REGRESSION], ids=lambda prior: type(prior).__name__)
def test_arrays_tell_which_prior_it_is(prior):
    found = specified_prior(prior.arrays())
    assert type(found) is type(prior)
    assert type(found) in SPECIFIED
    channels = 12 if prior is TABLES else 3
    symbols = np.random.default_rng(1).integers(0, 4, (channels, 3, 5))
    for one, other in zip(found.steps(symbols), prior.steps(symbols), strict=True):
        assert np.array_equal(one.indices, other.indices)
        assert np.array_equal(one.rows, other.rows)


@pytest.mark.parametrize(
    ("of", "changed", "message"),
    [
        (TABLES, {"cumulative": np.zeros(5, np.uint16)}, "are integers"),
        (TABLES, {"rows": np.zeros((), np.int32)}, "are integers"),
        (REGRESSION, {"cumulative": np.zeros(5, np.uint16)}, "are integers"),
        (REGRESSION, {"marks": np.zeros((), np.int32)}, "are integers"),
        (REGRESSION, {"thresholds.0": np.zeros((3, 2), np.int32)}, "do not fit each other"),
        (REGRESSION, {"thresholds.0": np.zeros((3, 2, 1, 1), np.int32)}, "do not fit each other"),
        (NoPrior(), {"tables": np.zeros(5, np.uint16)}, "are integers"),
        (NoPrior(), {"tables": np.zeros((), np.uint16)}, "are integers"),
        (NoPrior(), {"tables": np.zeros((1, 3), np.uint16), "net.parents": np.zeros((), np.int8)}, "are integers"),
    ],
)
def test_arrays_with_other_axes_are_refused(of, changed, message):
    with pytest.raises(ValueError, match=message):
        specified_prior(of.arrays() | changed)


def test_scores_with_other_weights_are_other_scores():
    symbols = np.random.default_rng(1).integers(0, 4, (1, 3, 3, 5))
    known = SCORES.of(1, 0, symbols)
    assert np.array_equal(replace(SCORES, weights=2 * SCORES.weights).of(1, 0, symbols), 2 * known)


def test_other_arrays_are_refused():
    with pytest.raises(KeyError, match="cumulative"):
        specified_prior({"rows": np.zeros((1, 1), np.int32)})
    with pytest.raises(ValueError, match="tables of a frozen prior are integers"):
        specified_prior({"rows": np.zeros((1, 1)), "cumulative": np.zeros((1, 3))})
