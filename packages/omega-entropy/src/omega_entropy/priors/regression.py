"""Conditional probabilities without training: linear regressions on earlier symbols select the table of each symbol.

    earlier symbols ─marks─ numbers ─weights─ two scores for each position ─thresholds─ context ─ row of the tables

The first score predicts the bits of a symbol from the bits of earlier symbols at its position and around it. The second
score predicts its index in the alphabet from theirs. The earlier symbols are those of earlier channels and, for the
second half of a checkerboard, the four neighbors in the same channel. Scores are regressions on the training set,
rounded to integers, so that every machine selects the same contexts. In training the rate is that of tables without
contexts. Unlike the prior `context`, this prior needs no order among symbols and no training.
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

_MAX_SYMBOLS = 1 << 27  # maximum number of symbols that are stored for counting; more pictures change little
_MAX_NUMBERS = 1 << 25  # maximum number of values in a regression
_UNIT = 1 << 14  # the largest weight of a score as an integer
_MAX_SCORE = ((1 << 31) - 1) // 24  # keeps scores in 32 bits: sums have up to 12 marks, and `own` adds as much
_BITS_UNIT = 16  # units of a mark per bit
_RIDGE = 1e-3  # added to variances, relative to their mean
_AT_ONCE = 1 << 15  # positions that are processed at once
_MIN_GAIN = 1e-3  # smallest share of a channel's variance that a further parent has to explain
Floats = NDArray[np.floating[Any]]


class RegressionPrior(ConditionalPrior):
    """Relative frequencies in each of levels × directions contexts, which earlier symbols select.

    levels: the number of contexts that differ in the expected bits of a symbol.
    directions: the number of contexts that differ in the expected index of a symbol in its alphabet.
    parents: the maximum number of earlier channels that determine the context of a channel.
    weight: pseudo-count, in symbols, of the frequencies without contexts in each context.
    marginal_share: the share, from 0 to 1, of the rate in the relaxed phase of training that is measured with
        unconditional densities (`omega_entropy.priors.latent_density`).
    per_position, decay, smoothing: see `StaticPrior`.
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
        """Count the symbols (B, C, h, w) of kept (B,) channels. While recounting, store samples with all channels."""
        super().observe(symbols, kept)
        if self.recounting and sum(each.size for each in self._pictures) < _MAX_SYMBOLS:
            whole = symbols[kept >= symbols.shape[1]]
            self._pictures += _of_all_processes(whole.to(torch.int16).cpu().numpy())

    def recount(self) -> None:
        """Clear the counts. From now on, symbols are counted without decay, and stored."""
        super().recount()
        self._pictures = []

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order. Their contexts will depend on the earlier ones among them."""
        super().select_channels(order)
        self._pictures = [each[:, list(order)] for each in self._pictures]

    def freeze(self) -> FrozenPrior:
        """The contexts and the frequencies in each of them; the tables of `static` if nothing was recounted."""
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

    The pictures were distributed to the processes in turn.
    """
    gathered: list[Any] = [pictures]
    if is_distributed():
        gathered = [None] * torch.distributed.get_world_size()
        torch.distributed.all_gather_object(gathered, pictures)
    in_turn = zip_longest(*gathered)  # some processes have one picture fewer
    return [picture[None] for each in in_turn for picture in each if picture is not None]


def _fit(pictures: Sequence[NDArray[np.int16]], probabilities: Floats, prior: RegressionPrior) -> Scores:
    """Fit scores to the symbols of pictures (B, C, h, w). probabilities: (C, S), those of all symbols."""
    channels = len(probabilities)
    bits = np.minimum(np.rint(-_BITS_UNIT * np.log2(probabilities)), 255)
    distances = np.arange(probabilities.shape[1]) - probabilities.argmax(1)[:, None]
    marks = np.stack([bits, distances]).astype(np.int64)
    some = list(_some(pictures, _MAX_NUMBERS // (3 * channels)))
    parents = np.full((channels, 2, prior.parents), -1, np.int64)
    weights, own = np.zeros((len(marks), *parents.shape, 2), np.int64), np.zeros((len(marks), channels), np.int64)
    for stage in (0, 1):
        covariances = [_covariance(some, each, stage) for each in marks]
        for c in range(channels):
            chosen, solutions = _regress(covariances, c, stage, prior.parents)
            parents[c, stage, : len(chosen)] = chosen
            for score, solution in enumerate(solutions):
                whole = _integers(solution, most=_MAX_SCORE // max(1, np.abs(marks).max()))
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
    """Join successive pictures of one size to few large arrays, because each array has an overhead."""
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
    """Evenly spaced pictures, with about `most` positions."""
    positions = sum(each[:, 0].size for each in pictures)
    step = -(-positions // most)
    skip = 0
    for each in pictures:
        if len(each) > skip:
            yield each[skip::step]
        skip = (skip - len(each)) % step


def _covariance(pictures: Sequence[NDArray[np.int16]], marks: Integers, stage: int) -> Floats:
    """The covariance (3·C, 3·C), with a ridge, of marks at the positions of a stage, around them and beside them."""
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
    """The earlier channels that together predict the marks of a channel best, and the weights of a regression on them.

    Channels are added one by one, each time the one that explains most of the rest for all marks together (orthogonal
    matching pursuit), until the gain is too small. The weights are those of their marks at the position, of their marks
    around it and, in the second stage, of the channel's own marks beside it.
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
        if gain.max() < _MIN_GAIN:
            return chosen, solutions
        chosen.append(int(gain.argmax()))


def _integers(weights: Floats, most: int) -> Integers:
    """Weights as integers. The largest is `_UNIT`, or less if the sum of absolute weights would exceed `most`."""
    sizes = np.abs(weights)
    if not sizes.any():
        return np.zeros(len(weights), np.int64)
    scale = min(_UNIT / sizes.max(), (most - len(weights)) / sizes.sum())  # rounding adds at most ½ to each
    return np.rint(weights * scale).astype(np.int64)


def _frequencies(
    pictures: Sequence[NDArray[np.int16]], scores: Scores, channel: int, plain: Floats, weight: float
) -> Floats:
    """The probabilities (columns·contexts, S) in each context of a channel.

    plain: (columns, S), the probabilities without contexts. Columns are those of `RegressionTables.rows`.
    """
    columns, alphabet = plain.shape
    counts = np.zeros(columns * scores.contexts * alphabet)
    for each, stage in product(pictures, (0, 1)):
        indices = halves(each.shape[2:])[stage]
        column = np.array([stage]) if columns == 2 else indices
        rows = column * scores.contexts + scores.context(channel, stage, each)
        found = rows * alphabet + each[:, channel].reshape(len(each), -1)[:, indices]
        counts += np.bincount(found.reshape(-1), minlength=len(counts))
    shared = counts.reshape(columns, -1, alphabet) + weight * plain[:, None]
    frequencies: Floats = (shared / shared.sum(2, keepdims=True)).reshape(-1, alphabet)
    return frequencies
