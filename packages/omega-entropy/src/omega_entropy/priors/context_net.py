"""The network of `context`: computes two scores for each symbol from already decoded ones.

Channels are divided into groups, and positions into the halves of a checkerboard. The symbols of a group and half are
coded together, given all earlier groups and, in the second half, the first half of the same group:

    first half    marks of earlier groups ─1×1, sum─(+ bias)─ ReLU ─(3×3 depthwise ─ 1×1 ─ ReLU, twice)─ z ─1×1─ scores
    second half   marks of the first half ─1×1─ 3×3 depthwise ─(+ z)─ ReLU ─ 1×1 ─ ReLU ─ 1×1 ─(+ 1×1 of z)─ scores

The inputs are two marks of each symbol: its signed number and its size. Symbols that refine a number (`Refinement`),
because the level of their parent is not 0, have marks of 0. They carry little information about others, and can be
coded later, when they are worth their bits. More terms are added to the scores: a bias of each channel; a bias of each
kind of symbols, which depends on the level of the parent; multiples of sums of the parent's levels around the symbol
and, in the second half, of the channel's own marks beside it. A symbol then has the probability

    softmax over s of (offset[kind, s] + first score · slope[kind, s] + second score · lean[kind, s])

`omega_core.coding.net_arithmetic` computes the same layers with integers.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from omega_core.coding.integer_net import (
    KIND_BORDERS,
    KINDS,
    LARGEST_MARK,
    MAX_LEVEL,
    ROOT_KIND,
    ZERO_KIND,
    marks_of,
)
from omega_core.contracts.quantizer import Refinement

RANGES = 7
"""The number of activations of a group whose ranges are tracked: before, between and after its layers."""
OUTPUT_SCALE = 2.0  # factor of the outputs of the last layers, whose weights start at 0
_NATS_OF_UNUSED = 10.0  # cost in nats of symbols that were never seen with this kind when training began
_SAMPLE = 97  # one in 97 activations is used to track ranges
_FORGET = 0.05  # decay of a tracked range in each step


def kinds_of(before: Tensor, is_root: Tensor) -> Tensor:
    """Return the kinds of symbols from the levels of their parents. is_root: whether they have no parent."""
    borders = torch.tensor(KIND_BORDERS, device=before.device)
    return torch.where(is_root, ROOT_KIND, torch.bucketize(before.contiguous(), borders, right=True))


def first_half(height: int, width: int) -> Tensor:
    """A mask (h, w) of the half of the checkerboard that is coded first."""
    return (torch.arange(height)[:, None] + torch.arange(width)) % 2 == 0


def divide_channels(parents: Sequence[int], most: int) -> tuple[list[int], list[int]]:
    """Divide channels into at most `most` groups. As far as possible, no group contains a channel and its parent.

    parents: the parent of each channel, or −1.

    The first groups are small, because little is known before them. Returns the first channel of each group and C, and
    the parents, with −1 for parents that are not in an earlier group than their child.
    """
    channels = len(parents)
    size = channels / most
    while True:
        bounds = [0]
        for c in range(1, channels):
            length = c - bounds[-1]
            if bounds[-1] <= parents[c] < c or length >= min(size, 3 + 0.6 * bounds[-1]):
                bounds.append(c)
        if len(bounds) <= most or size >= channels:
            break
        size *= 1.1
    bounds = [*bounds[:most], channels]
    starts = [start for start, end in pairwise(bounds) for _ in range(start, end)]
    return bounds, [parent if parent < start else -1 for parent, start in zip(parents, starts, strict=True)]


class Group(nn.Module):
    """The layers of one group of channels, between those for the marks and scores of all channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width))
        self.spatial = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, groups=width) for _ in range(3))
        self.mixing = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in range(3))


class SymbolStatistics(NamedTuple):
    """The predictions of a network for symbols; all are (B, C, h, w).

    bits: their costs. kinds: see `kinds_of`. fresh: whether they do not refine a number. first, second: their scores.
    """

    bits: Tensor
    kinds: Tensor
    fresh: Tensor
    first: Tensor
    second: Tensor


class ContextNet(nn.Module):
    """The network, with the layers in the module docstring.

    channels, alphabet: C and S.
    groups: the maximum number of groups of channels.
    width: the number of features at each position.

    `follow` and `start` have to be called, in this order, before it is used.
    """

    parents: Tensor
    bounds: Tensor
    levels: Tensor
    sizes: Tensor
    ranges: Tensor
    ready: Tensor
    used: Tensor

    def __init__(self, *, channels: int, alphabet: int, groups: int, width: int) -> None:
        super().__init__()
        self.channels, self.alphabet, self.most_groups, self.width = channels, alphabet, groups, width
        self.register_buffer("parents", torch.full((channels,), -1))
        self.register_buffer("bounds", torch.full((groups + 1,), channels))
        self.register_buffer("levels", torch.zeros(2 * MAX_LEVEL + 1, alphabet, dtype=torch.int64))
        self.register_buffer("sizes", torch.ones(channels, dtype=torch.float64))
        self.register_buffer("ranges", torch.zeros(groups, RANGES))
        self.register_buffer("used", torch.ones(KINDS, alphabet, dtype=torch.bool))
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))
        self.inputs = nn.Conv2d(2 * channels, width, 1, bias=False)
        self.groups = nn.ModuleList(Group(width) for _ in range(groups))
        self.own = nn.Conv2d(2 * channels, width, 1, bias=False)
        self.first, self.second = (nn.Conv2d(width, 2 * channels, 1) for _ in range(2))
        for layer in (self.first, self.second):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
        self.base = nn.Parameter(torch.zeros(channels, 2))
        self.of_kind = nn.Parameter(torch.zeros(channels, KINDS))
        self.around = nn.Parameter(torch.zeros(channels, 2))
        self.beside = nn.Parameter(torch.zeros(channels, 2))
        self.in_second = nn.Parameter(torch.zeros(channels))
        self.offset, self.slope, self.lean = (nn.Parameter(torch.zeros(KINDS, alphabet)) for _ in range(3))

    @torch.no_grad()
    def follow(self, refinement: Refinement) -> None:
        """Set how symbols refine each other, which determines the groups of channels."""
        if len(refinement.parents) != self.channels or refinement.levels.shape != self.levels.shape:
            raise ValueError(f"a refinement of {self.channels} channels and {self.alphabet} symbols is needed")
        bounds, parents = divide_channels(refinement.parents, self.most_groups)
        self.bounds.fill_(self.channels)
        self.bounds[: len(bounds)] = torch.tensor(bounds)
        self.parents.copy_(torch.tensor(parents))
        self.levels.copy_(refinement.levels)
        self.sizes.copy_(torch.tensor(refinement.sizes))

    @torch.no_grad()
    def start(self, of_kinds: Tensor, of_channels: Tensor) -> None:
        """Initialize the parameters so that probabilities fit the symbols of a batch.

        of_kinds: (KINDS, S), how often each symbol has each kind.
        of_channels: (C, 2), where the level was 0: how many symbols of each channel leave it at 0, and how many do not.
        """
        some = of_channels.double() + torch.tensor([1.0, 0.3], dtype=torch.float64, device=of_channels.device)
        share = (some[:, 1] / some.sum(1)).clamp(1e-5, 0.6)
        self.base[:, 0] = (share / 2 / (1 - share)).log().float()
        shares = of_kinds.double() + 0.01
        log_shares = (shares / shares.sum(1, keepdim=True)).log().float()
        levels = self.levels[MAX_LEVEL].float()
        used = of_kinds > 0
        used[~used.any(dim=1)] = True  # later batches may have symbols of these kinds
        self.used.copy_(used)
        self.slope.zero_()
        self.lean.zero_()
        for kind in (ZERO_KIND, ROOT_KIND):
            self.slope[kind], self.lean[kind] = levels.abs().sqrt(), levels.sign()
            self.offset[kind] = torch.where(used[kind], -2 * (levels.abs() - 1).clamp_min(0), log_shares[kind])
        before = torch.tensor([-4, -2, -1, 0, 1, 2, 4])  # a level of each kind
        after = self.levels[before.to(self.levels.device) + MAX_LEVEL].cpu()
        farther = torch.where(after.abs() > 2 * before.abs()[:, None], 1.0, -1.0).to(self.offset)
        for kind in range(ROOT_KIND):
            if kind != ZERO_KIND:
                self.offset[kind], self.slope[kind] = log_shares[kind], 0.3 * farther[kind]
        self.ready.fill_(True)

    @property
    def latest_groups(self) -> list[int]:
        """For each channel, the group with which symbols that refine are coded: the last before a child's group."""
        bounds = self.group_bounds
        found = [len(bounds) - 2] * self.channels
        parents = self.parents.tolist()
        for group, (start, end) in reversed(list(enumerate(pairwise(bounds)))):
            for parent in parents[start:end]:
                if parent >= 0:
                    found[parent] = group - 1
        return found

    @property
    def group_bounds(self) -> list[int]:
        """The first channel of each group, and C."""
        found = self.bounds.tolist()
        return found[: found.index(self.channels) + 1]

    @torch.no_grad()
    def levels_of(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Return the levels (B, C, h, w) of the parents of symbols (B, C, h, w), and the levels after the symbols."""
        before, after = torch.zeros_like(symbols), torch.zeros_like(symbols)
        bounds = self.group_bounds
        for start, end in pairwise(bounds):
            parents = self.parents[start:end]
            before[:, start:end] = after[:, parents.clamp_min(0)] * (parents >= 0)[:, None, None]
            index = (before[:, start:end] + MAX_LEVEL) * self.alphabet + symbols[:, start:end]
            after[:, start:end] = self.levels.flatten()[index]
        return before, after

    def kinds(self, before: Tensor) -> Tensor:
        """Return the kinds of symbols from the levels (B, C, h, w) of their parents."""
        return kinds_of(before, (self.parents < 0)[:, None, None])

    def forward(self, symbols: Tensor) -> SymbolStatistics:
        """Return the costs of symbols (B, C, h, w), int64, and the predictions of the network for them."""
        before, _ = self.levels_of(symbols)
        of_symbols = torch.from_numpy(marks_of(self.levels.cpu().numpy())).to(self.base)
        marks = (of_symbols[symbols] * (before == 0)[..., None]).movedim(-1, 2)  # (B, C, 2, h, w)
        first, second = self._scores(marks, before)
        kinds = self.kinds(before).flatten()
        nats = torch.zeros_like(first).flatten()
        for kind in range(KINDS):
            at = torch.nonzero(kinds == kind)[:, 0]
            if len(at):
                of_kind = self._nats(kind, symbols.flatten()[at], first.flatten()[at], second.flatten()[at])
                nats = nats.index_copy(0, at, of_kind)
        return SymbolStatistics(nats.view_as(first) / math.log(2), kinds.view_as(before), before == 0, first, second)

    def _nats(self, kind: int, symbols: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """−ln of the probability of symbols (N,) of one kind with these scores (N,)."""
        used = torch.nonzero(self.used[kind])[:, 0]
        offset, slope, lean = (each[kind, used, None] for each in (self.offset, self.slope, self.lean))
        logits = offset + first * slope + second * lean
        index = torch.cumsum(self.used[kind], 0)[symbols] - 1
        chosen = logits.gather(0, index.clamp_min(0)[None])[0]
        found = torch.logsumexp(logits, dim=0) - chosen
        return torch.where(self.used[kind][symbols], found, _NATS_OF_UNUSED)

    def _scores(self, marks: Tensor, before: Tensor) -> Tensor:
        """The two scores (2, B, C, h, w) of each symbol, float32."""
        height, width = marks.shape[-2:]
        in_first_half = first_half(height, width).to(marks.device)
        shown = marks * in_first_half
        inputs, bounds = self.inputs.weight, self.group_bounds
        total = marks.new_zeros(len(marks), self.width, height, width)
        parts = []
        for number, (start, end) in enumerate(pairwise(bounds)):
            group, both = cast(Group, self.groups[number]), slice(2 * start, 2 * end)
            z = functional.relu(total + group.bias[:, None, None])
            self._track_range(number, 0, z)
            for layer in range(2):
                z = group.spatial[layer](z)
                self._track_range(number, 1 + 2 * layer, z)
                z = functional.relu(group.mixing[layer](z))
                self._track_range(number, 2 + 2 * layer, z)
            at_first = _outputs(self.first, both, z)
            own = functional.conv2d(shown[:, start:end].flatten(1, 2), self.own.weight[:, both])
            self._track_range(number, 5, own)
            z = functional.relu(z + group.spatial[2](own))
            self._track_range(number, 4, z)
            z = functional.relu(group.mixing[2](z))
            self._track_range(number, 6, z)
            at_second = at_first + _outputs(self.second, both, z)
            parts.append(
                torch.where(in_first_half, at_first, at_second).float().view(len(z), end - start, 2, height, width)
            )
            total = total + functional.conv2d(marks[:, start:end].flatten(1, 2), inputs[:, both])
        local = self._local(shown, before, in_first_half)
        return torch.cat(parts, dim=1).movedim(2, 0) * OUTPUT_SCALE + local

    def _local(self, shown: Tensor, before: Tensor, in_first_half: Tensor) -> Tensor:
        """The terms of the scores (2, B, C, h, w) that do not depend on the layers."""
        sizes, signs = before.abs().clamp_max(LARGEST_MARK), before.clamp(-LARGEST_MARK, LARGEST_MARK)
        around = around_sum(torch.stack([sizes, signs]).float()) / 12
        beside = beside_sum(torch.stack([shown[:, :, 1], shown[:, :, 0]]).float()) / 8
        own = torch.stack([self.in_second, torch.zeros_like(self.in_second)])[:, None, :, None, None]
        own = own + self.beside.T[:, None, :, None, None] * beside
        local = self.base.T[:, None, :, None, None] + self.around.T[:, None, :, None, None] * around
        local = local + torch.where(in_first_half, 0.0, own)
        of_kind = self.of_kind.gather(1, self.kinds(before).transpose(0, 1).flatten(1))
        of_kind = of_kind.view(before.shape[1], before.shape[0], *before.shape[2:]).transpose(0, 1)
        return torch.stack([local[0] + of_kind, local[1]])

    @torch.no_grad()
    def _track_range(self, group: int, number: int, activations: Tensor) -> None:
        """Track the range of activations in training, for rounding them to integers later."""
        if self.training:
            found = activations.detach().abs().flatten()[::_SAMPLE].amax().float()
            known = self.ranges[group, number]
            self.ranges[group, number] = torch.maximum(found, known.lerp(found, _FORGET))


def _outputs(layer: nn.Conv2d, some: slice, z: Tensor) -> Tensor:
    """Some outputs of a 1×1 convolution."""
    assert layer.bias is not None  # noqa: S101 (for mypy)
    return functional.conv2d(z, layer.weight[some], layer.bias[some])


def around_sum(numbers: Tensor) -> Tensor:
    """The sum of neighbors (…, h, w), twice the four direct and once the diagonal ones; 0 beyond the edge."""
    padded = functional.pad(numbers, (1, 1, 1, 1))
    pairs = padded[..., :-1, :] + padded[..., 1:, :]
    rows = pairs[..., :-1, :] + pairs[..., 1:, :]
    pairs = rows[..., :-1] + rows[..., 1:]
    return (pairs[..., :-1] + pairs[..., 1:]) - 4 * numbers


def beside_sum(numbers: Tensor) -> Tensor:
    """The sum of the four direct neighbors (…, h, w); 0 beyond the edge."""
    padded = functional.pad(numbers, (1, 1, 1, 1))
    return padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
