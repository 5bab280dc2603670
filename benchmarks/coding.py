"""Coding symbols with one table a channel: the coder `range`, relative to constriction and to torchac.

torchac needs a float table for every symbol, as in its documentation. Making these tables is part of coding with it;
torchac is also measured without that part.
"""

from collections.abc import Iterator

import constriction
import numpy as np
import torch

from measure import Row, times
from omega_core.coding.order import SymbolArrays, in_order
from omega_core.coding.tables import TOTAL, FrozenTables
from omega_core.plugins.registry import build

CHANNELS, SIZE, ALPHABET = 480, (32, 48), 32
"""737,280 symbols: a photo of 768×512 at 480 channels."""


def rows() -> Iterator[Row]:
    random = np.random.default_rng(0)
    steep = random.uniform(0.2, 3, (CHANNELS, 1, 1))
    frozen = FrozenTables.from_probabilities(np.exp(-np.abs(np.arange(ALPHABET) - 15) * steep))
    tables = in_order(frozen, SymbolArrays(CHANNELS, [SIZE]))[1]
    shares = np.diff(frozen.cumulative) / TOTAL
    positions = SIZE[0] * SIZE[1]
    channels = [random.choice(ALPHABET, positions, p=row).astype(np.int32) for row in shares]
    symbols = np.concatenate(channels)  # in the order of the codec

    def encode_directly() -> np.ndarray:
        encoder = constriction.stream.queue.RangeEncoder()
        for share, mine in zip(shares, channels, strict=True):
            encoder.encode(mine, constriction.stream.model.Categorical(share, perfect=False))
        words: np.ndarray = encoder.get_compressed()
        return words

    def decode_directly() -> None:
        decoder = constriction.stream.queue.RangeDecoder(words)
        for share in shares:
            decoder.decode(constriction.stream.model.Categorical(share, perfect=False), positions)

    words = encode_directly()
    coder = build("coder", "range", {})
    data = coder.encode(symbols, tables, [symbols.size])[0]

    def encode() -> None:
        tables.cache.clear()  # as with the first picture of a process
        coder.encode(symbols, tables, [symbols.size])

    def decode() -> None:
        tables.cache.clear()
        coder.decode(data, tables)

    ours, theirs = times(encode, encode_directly)
    yield Row("encoding 737,280 symbols", "constriction", ours, theirs, 1.3)
    decoding, directly = times(decode, decode_directly)
    yield Row("decoding 737,280 symbols", "constriction", decoding, directly, 1.3)

    import torchac

    table = torch.from_numpy(frozen.cumulative / TOTAL).float()
    small = torch.from_numpy(symbols.astype(np.int16))

    def expanded() -> torch.Tensor:
        return table.repeat_interleave(positions, dim=0)

    there = expanded()
    stream = torchac.encode_float_cdf(there, small)
    ours, theirs, alone = times(
        encode,
        lambda: torchac.encode_float_cdf(expanded(), small),
        lambda: torchac.encode_float_cdf(there, small),
    )
    yield Row("encoding 737,280 symbols", "torchac", ours, theirs, 1 / 15)
    yield Row("encoding 737,280 symbols", "torchac given tables", ours, alone)
    ours, theirs, alone = times(
        decode,
        lambda: torchac.decode_float_cdf(expanded(), stream),
        lambda: torchac.decode_float_cdf(there, stream),
    )
    yield Row("decoding 737,280 symbols", "torchac", ours, theirs, 1 / 10)
    yield Row("decoding 737,280 symbols", "torchac given tables", ours, alone)
