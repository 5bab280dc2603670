"""Arithmetic coding with torchac (Mentzer et al. 2019), the coder of the paper's research code.

torchac is licensed under the GPL, version 3, and compiles itself when it is first imported. It is here
for comparison; `range` codes the same symbols many times faster.
"""

import numpy as np
import torch
import torchac

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, GrowingDecoder, check_length, check_symbols
from omega_core.errors import CoderError

_SLACK = 4  # bytes by which a stream may be shorter than its information, as trailing zeros are dropped


class TorchacCoder(Coder):
    """Arithmetic coding of whole streams: decoding a group of channels decodes all groups before it again."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """See `Coder.encode`. A cut is the smallest length that decodes, found by decoding."""
        check_symbols(symbols, tables)
        cdf = _cdf(_counts(tables), tables)
        data = _encode(cdf, symbols) if symbols.size else b""
        cuts = [self._cut(data, cdf[:end], symbols[:end]) for end in ends]
        return data[: cuts[-1]], cuts

    def _cut(self, data: bytes, cdf: torch.Tensor, symbols: Symbols) -> int:
        if not symbols.size:
            return 0
        first = max(0, len(_encode(cdf, symbols)) - 2)
        for cut in range(first, len(data)):
            if np.array_equal(_decode(cdf, data[:cut]), symbols):
                return cut
        return len(data)

    def decoder(self, data: bytes) -> Decoder:
        """See `Coder.decoder`."""
        return _TorchacDecoder(data)

    def growing_decoder(self, data: bytes) -> GrowingDecoder:
        """See `Coder.growing_decoder`."""
        return _TorchacDecoder(data)


class _TorchacDecoder(GrowingDecoder):
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.before: list[torch.Tensor] = []  # the cumulative counts of all symbols so far
        self.least = 0.0

    def extend(self, data: bytes) -> None:
        """See `GrowingDecoder.extend`."""
        self.data += data

    def decode(self, tables: Tables) -> Integers:
        """See `Decoder.decode`."""
        cumulative = _counts(tables)
        self.least += tables.least_bits([tables.size])[0]
        check_length(self.data, self.least / 8 - _SLACK)
        self.before.append(_cdf(cumulative, tables))
        everything = torch.cat(self.before)
        return _decode(everything, self.data)[len(everything) - tables.size :]


def _counts(tables: Tables) -> Integers:
    if tables.cumulative is None:
        raise CoderError("the coder torchac needs probabilities, and this model has none; use the coder raw.")
    return tables.cumulative


def _cdf(cumulative: Integers, tables: Tables) -> torch.Tensor:
    """Cumulative counts (symbols, S + 1) in the format of torchac: 16 bits, with 0 for 2¹⁶."""
    return torch.from_numpy(cumulative.astype(np.uint16).view(np.int16)[tables.flat_rows])


def _encode(cdf: torch.Tensor, symbols: Symbols) -> bytes:
    encoded: bytes = torchac.encode_int16_normalized_cdf(cdf, torch.from_numpy(symbols.astype(np.int16)))
    return encoded


def _decode(cdf: torch.Tensor, data: bytes) -> Integers:
    if not len(cdf):
        return np.zeros(0, np.int64)
    decoded: Integers = torchac.decode_int16_normalized_cdf(cdf, data).numpy().astype(np.int64)
    return decoded
