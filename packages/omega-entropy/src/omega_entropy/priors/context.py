"""Tables that depend on earlier symbols: conditional probabilities, from a small net whose arithmetic is exact.

If the neighborhood is busy (unlikely symbols), the next symbol will be too. Hyperpriors (Ballé et al. 2018) send side
information for this. Channel-conditional priors (Minnen and Singh 2020, "Channel-wise Autoregressive Entropy Models for
Learned Image Compression", ICIP) and checkerboard priors (He et al. 2021, "Checkerboard Context Model for Efficient
Learned Image Compression", CVPR) predict it from decoded symbols. `context` does the latter:

    earlier symbols ─net→ two scores for each symbol ─rounded→ the index of a table ─→ probabilities

The network (`omega_entropy.priors.context_net`) is trained in the decoder and the prior phase, on symbols of files.
Then its weights are rounded (`omega_entropy.priors.context_rounding`), so that every machine selects the same tables.
Last, tables are counted over the training set: how often each symbol occurred where the network selected each table.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from omega_core.coding.context_tables import ContextTables
from omega_core.coding.integer_net import KINDS
from omega_core.coding.net_arithmetic import TABLES, NetArithmetic
from omega_core.coding.tables import FrozenPrior, cumulative_counts
from omega_core.contracts.quantizer import Refinement
from omega_core.errors import ComponentError
from omega_entropy.priors.conditional import ConditionalPrior
from omega_entropy.priors.context_net import ContextNet, SymbolStatistics
from omega_entropy.priors.context_order import indices_of, probabilities, symbol_order
from omega_entropy.priors.context_rounding import rounded
from omega_entropy.priors.context_unrounding import fits, unround
from omega_entropy.priors.symbol_counts import maximum, summed


class ContextPrior(ConditionalPrior):
    """Probabilities given earlier channels and the other half of a checkerboard.

    groups: the maximum number of groups of channels. Each group is coded given all earlier ones.
    width: the number of features of the network at each position.
    weight: pseudo-count, in symbols, of the network's own probabilities in each counted table.
    marginal_share: the share, from 0 to 1, of the rate in the relaxed phase of training that is measured with
        unconditional densities (`omega_entropy.priors.latent_density`).
    per_position, decay, smoothing: see `StaticPrior`, for the frequencies that are used until the network is trained.

    In a joint phase, the rate is that of `static`. Without a phase that trains the network, it is frozen like `static`.
    Raises ComponentError for options out of range.
    """

    def __init__(
        self,
        *,
        channels: int,
        alphabet: int,
        lowest: int = 0,
        latent_size: tuple[int, int] | None = None,
        groups: int = 28,
        width: int = 96,
        weight: float = 16.0,
        marginal_share: float = 0.0,
        per_position: bool = True,
        decay: float = 0.9,
        smoothing: float = 1.0,
    ) -> None:
        if min(groups, width) < 1 or not weight > 0:
            raise ComponentError(
                "the prior context needs at least 1 group, a width of 1 and a weight above 0, not"
                f" {groups}, {width} and {weight}."
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
        self.net = ContextNet(channels=channels, alphabet=alphabet, groups=min(groups, channels), width=width)
        self._rounded: NetArithmetic | None = None
        self._counts = np.zeros((TABLES, alphabet))

    def follow(self, refinement: Refinement) -> None:
        """See `Prior.follow`. The network has to be trained again if its groups or parents change."""
        known = self.net.parents.tolist(), self.net.bounds.tolist()
        self.net.follow(refinement)
        if known != (self.net.parents.tolist(), self.net.bounds.tolist()):
            self.net.ready.fill_(False)

    @property
    def knows_channels(self) -> bool:
        """See `Prior.knows_channels`. True once the network has begun to train, or with a trained one.

        It begins when its bits are asked for in training mode with gradients: in the decoder or the prior phase. Before
        that, the quantizer may still change which symbols there are.
        """
        return bool(self.net.ready)

    def begin_with(self, frozen: FrozenPrior) -> bool:
        """See `Prior.begin_with`. Uses the network of frozen tables if it has the sizes of this one."""
        if not isinstance(frozen, ContextTables) or not fits(self.net, frozen.net):
            return False
        unround(self.net, frozen)
        return True

    def channel_bits(self, symbols: Tensor) -> Tensor:
        """See `Prior.channel_bits`. With a trained network, they depend on earlier groups and half of the positions."""
        if not self._has_begun(symbols):
            return super().channel_bits(symbols)
        bits: Tensor = self.net(symbols).bits.sum(dim=(2, 3))
        return bits

    def coding_order(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """See `Prior.coding_order`. With a trained network, it is that of the network before rounding."""
        if not self._has_begun(symbols):
            return super().coding_order(symbols)
        statistics: SymbolStatistics = self.net(symbols)
        return statistics.bits, indices_of(self.net, statistics)

    @torch.no_grad()
    def observe(self, symbols: Tensor, kept: Tensor) -> None:
        """Count the symbols (B, C, h, w) of the kept (B,) channels, over all processes of torch.distributed.

        While recounting, also count symbols for each table that the network selects, in samples with all channels.
        """
        super().observe(symbols, kept)
        if self.recounting and self._rounded is not None:
            fresh = np.zeros_like(self._counts)
            for picture in symbols[kept >= symbols.shape[1]].cpu().numpy():
                for indices, ranks in self._rounded.steps(picture):
                    tables = self._rounded.order.tables[ranks]
                    seen = tables * fresh.shape[1] + picture.reshape(-1)[indices]
                    fresh += np.bincount(seen, minlength=fresh.size).reshape(fresh.shape)
            self._counts += summed(torch.from_numpy(fresh).to(symbols.device)).cpu().numpy()

    def _has_begun(self, symbols: Tensor) -> bool:
        """Whether the network is trained; the first step of training that asks starts it with its symbols."""
        if not self.net.ready and self.training and torch.is_grad_enabled():
            self._start(symbols)
        return bool(self.net.ready)

    @torch.no_grad()
    def _start(self, symbols: Tensor) -> None:
        """Initialize the network from the frequencies of symbols (B, C, h, w), over all processes."""
        before, after = self.net.levels_of(symbols)
        seen = self.net.kinds(before) * self.net.alphabet + symbols
        of_kinds = torch.bincount(seen.flatten(), minlength=KINDS * self.net.alphabet)
        at_zero = before == 0
        moved = (at_zero & (after != 0)).sum(dim=(0, 2, 3))
        of_channels = torch.stack([at_zero.sum(dim=(0, 2, 3)) - moved, moved], dim=1)
        self.net.start(summed(of_kinds).view(KINDS, -1), summed(of_channels))

    def recount(self) -> None:
        """Clear the counts, and round the network. From now on, symbols are counted without decay.

        Ranges of activations become the largest of all processes of torch.distributed, so that all round alike.
        """
        super().recount()
        maximum(self.net.ranges)
        trained = bool(self.net.ready) and bool(self.net.ranges.any())
        self._rounded = NetArithmetic(rounded(self.net), symbol_order(self.net)) if trained else None
        self._counts[:] = 0

    def select_channels(self, order: Sequence[int]) -> None:
        """Keep these channels, in this order. The network has to be trained again for them."""
        super().select_channels(order)
        like = self.net.base
        with torch.random.fork_rng(devices=[]):  # the same in all processes and in resumed runs
            torch.manual_seed(0)
            self.net = ContextNet(
                channels=len(order),
                alphabet=self.net.alphabet,
                groups=min(self.net.most_groups, len(order)),
                width=self.net.width,
            ).to(like)
        self._rounded = None

    def freeze(self) -> FrozenPrior:
        """The rounded network and the recounted tables; the tables of `static` if the network was not trained."""
        if self._rounded is None:
            return super().freeze()
        counts = self._counts + self.weight * probabilities(self.net).cpu().numpy()
        chances = counts / counts.sum(axis=1, keepdims=True)
        return ContextTables(self._rounded.net, cumulative_counts(chances), self._rounded.order)
