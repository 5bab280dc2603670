"""Arithmetic coding with torchac (Mentzer et al. 2019), the coder of the paper's research code.

torchac is licensed under the GPL, version 3, and compiles itself when it is first imported. It is included
for comparison; `range` codes the same symbols many times faster.
"""

import numpy as np
import torch
import torchac

from omega_core.coding.tables import Integers, Symbols, Tables
from omega_core.contracts.coder import Coder, Decoder, check_symbols
from omega_core.errors import CoderError

_BEYOND = 16  # bytes that are appended to a truncated stream, more than torchac reads ahead


class TorchacCoder(Coder):
    """Arithmetic coding of whole streams: decoding further symbols decodes all earlier ones again."""

    def encode(self, symbols: Symbols, tables: Tables, ends: list[int]) -> tuple[bytes, list[int]]:
        """See `Coder.encode`. The lengths of prefixes are found by decoding."""
        check_symbols(symbols, tables)
        cdf = _cdf(tables)
        data = _encode(cdf, symbols) + bytes(_BEYOND) if symbols.size else b""
        lengths = [self._determining(data, cdf[:end], symbols[:end]) for end in ends]
        return data[: lengths[-1]], lengths

    def _determining(self, data: bytes, cdf: torch.Tensor, symbols: Symbols) -> int:
        if not symbols.size:
            return 0
        first = max(1, len(_encode(cdf, symbols)) - 2)
        return next(n for n in range(first, len(data) + 1) if len(_determined(cdf, data[:n])) == len(cdf))

    def decoder(self, data: bytes, *, complete: bool = False) -> Decoder:
        return _TorchacDecoder(data)


class _TorchacDecoder(Decoder):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.before: list[torch.Tensor] = []  # the cumulative counts of all symbols so far

    def decode(self, tables: Tables) -> Integers:
        cdf = _cdf(tables)
        everything = torch.cat([*self.before, cdf])
        symbols = _determined(everything, self.data)[len(everything) - tables.size :]
        self.before.append(cdf[: len(symbols)])
        return symbols


def _determined(cdf: torch.Tensor, data: bytes) -> Integers:
    """The first symbols of a stream, as far as they do not depend on further bytes."""
    lowest, highest = (_decode(cdf, data + fill * _BEYOND) for fill in (b"\0", b"\xff"))
    return lowest[: len(lowest) if np.array_equal(lowest, highest) else int((lowest != highest).argmax())]


def _cdf(tables: Tables) -> torch.Tensor:
    """Cumulative counts (symbols, S + 1) in the format of torchac: 16 bits, with 0 for 2¹⁶."""
    if tables.cumulative is None:
        raise CoderError("the coder torchac needs probabilities, and this model has none; use the coder raw.")
    return torch.from_numpy(tables.cumulative.astype(np.uint16).view(np.int16)[tables.rows])


def _encode(cdf: torch.Tensor, symbols: Symbols) -> bytes:
    encoded: bytes = torchac.encode_int16_normalized_cdf(cdf, torch.from_numpy(symbols.astype(np.int16)))
    return encoded


def _decode(cdf: torch.Tensor, data: bytes) -> Integers:
    if not len(cdf):
        return np.zeros(0, np.int64)
    decoded: Integers = torchac.decode_int16_normalized_cdf(cdf, data).numpy().astype(np.int64)
    return decoded
