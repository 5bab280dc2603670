"""A table for each context, which earlier symbols tell by linear regressions: conditional probabilities, counted only.

    symbols before ─marks─ numbers ─weights─ two scores for each position ─thresholds─ context ─ row of the tables

The first score predicts how many bits a symbol costs, from the bits of others there and around; the second, where in
its alphabet it lies, from where others lie. Those others are the symbols of earlier channels and, for the second half
of a checkerboard, the four neighbors in the same channel. Scores are regressions on the training set, rounded to
integers once, so that every machine finds the same contexts. In training the rate is that of tables without contexts.

It needs no order among symbols and no training, which the prior `context` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, product, zip_longest
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from omega_core.coding.neighbors import around_sum_with_edge
from omega_core.coding.regression_tables import RegressionTables, Scores, beside_shares, halves
from omega_core.coding.tables import FrozenPrior, Integers, cumulative_counts
from omega_core.errors import ComponentError
from omega_entropy.priors.conditional import ConditionalPrior
from omega_entropy.priors.symbol_counts import is_distributed

_MOST_SYMBOLS = 1 << 27  # that are remembered for counting; more pictures change little
_MOST_NUMBERS = 1 << 25  # in a regression
_UNIT = 1 << 14  # of the largest weight of a score
_MOST_SCORE = ((1 << 31) - 1) // 24  # of 32 bits; marks count twelve times, and weights of others beside their own
_BITS_UNIT = 16  # marks to a bit
_RIDGE = 1e-3  # of the mean variance
_AT_ONCE = 1 << 15  # positions
_LEAST_GAIN = 1e-3  # of a channel's variance, below which a parent is not worth its time
Floats = NDArray[np.floating[Any]]


class RegressionPrior(ConditionalPrior):
    """Relative frequencies in each of several contexts, which are told by what earlier channels hold.

    levels: how many contexts differ in how many bits a symbol probably costs.
    directions: how many differ in where in its alphabet it probably lies.
    parents: how many earlier channels tell the context of one.
    weight: as how many symbols the frequencies without contexts count in each context.
    marginal_share: of the rate in the relaxed phase of training, from 0 to 1, the part that is measured without
        conditions (`omega_entropy.priors.latent_density`).
    per_position, decay, smoothing: as `StaticPrior` has them.
    """

    def __init__(
        self,
        *,
        channels: int,
        alphabet: int,
        lowest: int = 0,
        latent_size: tuple[int, int] | None = None,
        levels: int = 8,
        directions: int = 3,
        parents: int = 8,
        weight: float = 16.0,
        marginal_share: float = 0.0,
        per_position: bool = True,
        decay: float = 0.9,
        smoothing: float = 1.0,
    ) -> None:
        if min(levels, directions, parents) < 1 or not weight > 0:
            raise ComponentError(
                "the prior regression needs at least 1 level, 1 direction and 1 parent, and a weight above 0, not"
                f" {levels}, {directions}, {parents} and {weight}."
            )
        super().__init__(
            weight=weight,
            marginal_share=marginal_share,
            channels=channels,
            alphabet=alphabet,
            lowest=lowest,
            latent_size=latent_size,
            per_position=per_position,
            decay=decay,
            smoothing=smoothing,
        )
        self.contexts, self.parents = (levels, directions), parents
        self._pictures: list[NDArray[np.int16]] = []

    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        """Count the symbols (B, C, h, w) of kept (B,) channels, and when recounting remember pictures with all."""
        super().observe(symbols, kept)
        if self.recounting and sum(each.size for each in self._pictures) < _MOST_SYMBOLS:
            whole = symbols[kept >= symbols.shape[1]]
            self._pictures += _of_all_processes(whole.to(torch.int16).cpu().numpy())

    def recount(self) -> None:
        """Forget what was observed; from here on symbols are counted without decay, and remembered."""
        super().recount()
        self._pictures = []

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order: their contexts will be told by the earlier ones among them."""
        super().select_channels(order)
        self._pictures = [each[:, list(order)] for each in self._pictures]

    def freeze(self) -> FrozenPrior:
        """Contexts, and the frequencies in each of them; as `static` if nothing was recounted."""
        if not self._pictures:
            return super().freeze()
        plain = self.probabilities().cpu().numpy()
        pictures = list(_together(self._pictures))
        scores = _fit(pictures, self.seen.probabilities(self.smoothing).mean(1).cpu().numpy(), self)
        channels, columns = len(plain), 2 if plain.shape[1] == 1 else plain.shape[1]
        tables = [
            _frequencies(pictures, scores, c, np.broadcast_to(plain[c], (columns, plain.shape[2])), self.weight)
            for c in range(channels)
        ]  # (columns·contexts, S) each
        rows = np.arange(channels * columns, dtype=np.int64).reshape(channels, columns) * scores.contexts
        return RegressionTables(cumulative_counts(np.concatenate(tables).astype(np.float64)), rows, scores)


def _of_all_processes(pictures: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    """Return pictures (B, C, h, w) of all processes of torch.distributed, in the order of the training set.

    Each process has every so many of the pictures.
    """
    gathered: list[Any] = [pictures]
    if is_distributed():
        gathered = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(gathered, pictures)
    in_turn = zip_longest(*gathered)  # the last ones of some processes are missing
    return [picture[None] for each in in_turn for picture in each if picture is not None]


def _fit(pictures: Sequence[NDArray[np.int16]], probabilities: Floats, prior: RegressionPrior) -> Scores:
    """Scores for the symbols of some pictures (B, C, h, w), of which each has the probabilities (C, S)."""
    channels = len(probabilities)
    bits = np.minimum(np.rint(-_BITS_UNIT * np.log2(probabilities)), 255)
    places = np.arange(probabilities.shape[1]) - probabilities.argmax(1)[:, None]
    marks = np.stack([bits, places]).astype(np.int64)
    some = list(_some(pictures, _MOST_NUMBERS // (3 * channels)))
    parents = np.full((channels, 2, prior.parents), -1, np.int64)
    weights, own = np.zeros((len(marks), *parents.shape, 2), np.int64), np.zeros((len(marks), channels), np.int64)
    for stage in (0, 1):
        covariances = [_covariance(some, each, stage) for each in marks]
        for c in range(channels):
            chosen, solutions = _regress(covariances, c, stage, prior.parents)
            parents[c, stage, : len(chosen)] = chosen
            for score, solution in enumerate(solutions):
                whole = _integers(solution, most=_MOST_SCORE // max(1, np.abs(marks).max()))
                weights[score, c, stage, : len(chosen)] = whole[: 2 * len(chosen)].reshape(2, -1).T
                own[score, c] += whole[2 * len(chosen) :].sum()
    scores = Scores(marks, parents, weights, own, tuple(np.zeros((channels, 2, 0), np.int64) for _ in marks))
    thresholds = [np.zeros((channels, 2, count - 1), np.int64) for count in prior.contexts]
    for c, stage in product(range(channels), (0, 1)):
        found = np.concatenate([scores.of(c, stage, each).reshape(len(marks), -1) for each in some], axis=1)
        for borders, each in zip(thresholds, found, strict=True):
            if each.size:
                shares = np.arange(1, borders.shape[2] + 1) / (borders.shape[2] + 1)
                borders[c, stage] = np.quantile(each, shares, method="higher")
    return Scores(marks, parents, weights, own, tuple(thresholds))


def _together(pictures: Sequence[NDArray[np.int16]]) -> Iterator[NDArray[np.int16]]:
    """Pictures of one size, one after the other, as few large arrays: what is done for each costs more than it does."""
    for _, alike in groupby(pictures, key=lambda each: each.shape[1:]):
        waiting, positions = list[NDArray[np.int16]](), 0
        for each in alike:
            waiting.append(each)
            positions += each[:, 0].size
            if positions >= _AT_ONCE:
                yield np.concatenate(waiting)
                waiting, positions = [], 0
        if waiting:
            yield np.concatenate(waiting)


def _some(pictures: Sequence[NDArray[np.int16]], most: int) -> Iterator[NDArray[np.int16]]:
    """Every so many of the pictures, with about `most` positions."""
    positions = sum(each[:, 0].size for each in pictures)
    step = -(-positions // most)
    skip = 0
    for each in pictures:
        if len(each) > skip:
            yield each[skip::step]
        skip = (skip - len(each)) % step


def _covariance(pictures: Sequence[NDArray[np.int16]], marks: Integers, stage: int) -> Floats:
    """Of the marks of all channels there, around, and beside, (3·C, 3·C), at the positions of a stage, with a ridge."""
    channels = len(marks)
    at_C = np.arange(channels)[:, None, None, None]
    moments = np.zeros((3 * channels + 1, 3 * channels + 1))
    for each in pictures:
        here = marks[at_C, each.transpose(1, 0, 2, 3)].astype(np.float32)
        marked = np.stack([here, around_sum_with_edge(here), beside_shares(here)]).reshape(3 * channels, len(each), -1)
        x = marked[:, :, halves(each.shape[2:])[stage]].reshape(3 * channels, -1)
        x = np.concatenate([x, np.ones_like(x[:1])])
        moments += x @ x.T
    count = max(1.0, moments[-1, -1])
    mean = moments[-1, :-1] / count
    covariance: Floats = moments[:-1, :-1] / count - np.outer(mean, mean)
    scale = np.trace(covariance) / len(covariance) or 1.0
    return covariance + _RIDGE * scale * np.eye(len(covariance))


def _regress(covariances: Sequence[Floats], channel: int, stage: int, most: int) -> tuple[list[int], list[Floats]]:
    """Earlier channels that together foretell the marks of a channel best, and the weights of a regression on them.

    They are taken one by one, each time the one that explains most of what is left, for all marks together (orthogonal
    matching pursuit), while that is worth it. Weights are of their marks there, of those around and, in the second
    stage, of the channel's own beside.
    """
    channels = len(covariances[0]) // 3
    chosen: list[int] = []
    neighbors = [2 * channels + channel] if stage else []
    while True:
        used = [*chosen, *(channels + parent for parent in chosen), *neighbors]
        solutions = [np.linalg.solve(each[np.ix_(used, used)], each[used, channel]) for each in covariances]
        if len(chosen) == min(most, channel):
            return chosen, solutions
        gain = np.zeros(channel)
        for each, solution in zip(covariances, solutions, strict=True):
            left = each[:, channel] - each[:, used] @ solution
            explained = (left**2 / each.diagonal()).reshape(3, channels)[:2, :channel].sum(0)
            gain += explained / each[channel, channel]
        gain[chosen] = 0
        if gain.max() < _LEAST_GAIN:
            return chosen, solutions
        chosen.append(int(gain.argmax()))


def _integers(weights: Floats, most: int) -> Integers:
    """Weights as integers, the largest of which is `_UNIT`, or smaller where the sum of their sizes would be `most`."""
    sizes = np.abs(weights)
    if not sizes.any():
        return np.zeros(len(weights), np.int64)
    scale = min(_UNIT / sizes.max(), (most - len(weights)) / sizes.sum())  # rounding adds at most ½ to each
    return np.rint(weights * scale).astype(np.int64)


def _frequencies(
    pictures: Sequence[NDArray[np.int16]], scores: Scores, channel: int, plain: Floats, weight: float
) -> Floats:
    """Probabilities (columns·contexts, S) in each context of a channel, which has `plain` (columns, S) without.

    Columns are those of `RegressionTables.rows`.
    """
    columns, alphabet = plain.shape
    counts = np.zeros(columns * scores.contexts * alphabet)
    for each, stage in product(pictures, (0, 1)):
        places = halves(each.shape[2:])[stage]
        column = np.array([stage]) if columns == 2 else places
        rows = column * scores.contexts + scores.context(channel, stage, each)
        found = rows * alphabet + each[:, channel].reshape(len(each), -1)[:, places]
        counts += np.bincount(found.reshape(-1), minlength=len(counts))
    shared = counts.reshape(columns, -1, alphabet) + weight * plain[:, None]
    frequencies: Floats = (shared / shared.sum(2, keepdims=True)).reshape(-1, alphabet)
    return frequencies
