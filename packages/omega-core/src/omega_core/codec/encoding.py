"""Encoded pictures, and the lengths of their files for a rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from omega_core.codec.decoding import PictureMaker
from omega_core.codec.file_codec import CodedSymbols, FileCodec
from omega_core.coding.order import Enough
from omega_core.coding.tables import Symbols
from omega_core.contracts import implements
from omega_core.contracts.coder import Coder
from omega_core.errors import RateError
from omega_core.format.file import OmegaFile
from omega_core.format.header import Header
from omega_core.format.rate_control import Rate, length_within
from omega_core.images.metrics import psnr
from omega_core.images.pictures import Picture

_SPARE_SYMBOLS = 1 << 12  # encoded after the wanted channels, so that bytes of these hardly ever depend on later ones
_SPARE_BITS = 256  # encoded after the wanted bytes, for the same reason
_SHORTER = 0.15  # share of the bits that a shorter file lacks, by which the search measures the value of a bit
_MIN_BITS = 16  # bits of the shortest file that is considered for a PSNR
_GROWTH = 1.01  # factor between the bits of files that are considered for a PSNR


@dataclass(frozen=True)
class Encoded:
    """Encoded pictures, whose file can be truncated to any number of bytes.

    coded: the symbols of the pictures, in the order of coding.
    whole: the file with all of these symbols.
    lengths: by number of channels n, the fewest bytes of the stream that determine as many symbols as n channels have.
    """

    coded: CodedSymbols = field(repr=False)
    whole: OmegaFile
    lengths: Mapping[int, int]

    @property
    def symbols(self) -> Symbols:
        """The symbols (C, h, w) of the first picture."""
        return self.coded.arrays.pictures[0]

    def file(self, channels: int) -> bytes:
        """Return the bytes of the file truncated to `channels`. Raises RateError if these are not in `lengths`."""
        if channels not in self.lengths:
            counts = list(self.lengths)
            raise RateError(f"the length of {channels} channels is not known, only of {counts}.", channels=counts)
        return self.whole.truncated(self.lengths[channels]).to_bytes()

    @classmethod
    def of(cls, coded: CodedSymbols, coder: Coder, header: Header, counts: Sequence[int]) -> Encoded:
        """Encode the symbols of pictures.

        coded: the symbols, in the order of coding.
        coder: the coder of the file.
        header: the header of the file; the length of its stream is replaced.
        counts: rising numbers of channels, for `lengths`.
        """
        channels = len(coded.arrays.pictures[0])
        fewer = [count for count in counts if count < channels]
        stream, lengths = coded.encode(coder, [*map(coded.end_of, fewer), coded.tables.size])
        whole = OmegaFile(replace(header, length=len(stream), complete=coded.complete), stream)
        known = [*fewer, channels] if coded.complete else fewer
        return cls(coded, whole, dict(zip(known, lengths, strict=coded.complete)))


@dataclass(frozen=True)
class Cut:
    """A file of a picture, truncated to a rate.

    encoded: the picture.
    length: the length of the file, in bytes of the stream.
    psnr: the PSNR of the picture in it, in dB, if the rate is a PSNR; otherwise inf.
    """

    encoded: Encoded
    length: int
    psnr: float = math.inf

    @property
    def is_settled(self) -> bool:
        """Whether the file does not depend on the symbols after those of `encoded`."""
        return self.encoded.coded.complete or self.length < self.encoded.whole.stream_bytes

    @property
    def file(self) -> OmegaFile:
        """The file."""
        return self.encoded.whole.truncated(self.length)

    def known(self) -> KnownSymbols:
        """Return the symbols that the file has, except for a few at its end."""
        return _known_until(self.encoded.coded, 8 * self.length)


class KnownSymbols(NamedTuple):
    """The symbols of a picture that its file has.

    symbols: (C, h, w), MISSING where the file ends before them.
    before: (C, h, w), the symbols of a slightly shorter file.
    bits: the bits of the symbols that the shorter file lacks.
    """

    symbols: Symbols
    before: Symbols
    bits: float


@dataclass(frozen=True)
class RateEncoder:
    """Encodes a picture for a file of one rate.

    file_codec: the codec.
    coder: the coder of the file.
    header: the header of the file; the length of its stream is replaced.
    picture: the picture, without invisible colors.
    rate: the number of channels, size or quality of the file.
    """

    file_codec: FileCodec
    coder: Coder
    header: Header
    picture: Picture
    rate: Rate

    def cut(self, symbols: Symbols) -> Cut:
        """Encode symbols (C, h, w) of the picture, as many as the file needs, and find where it ends.

        Raises RateError for fewer bytes than the smallest file takes.
        """
        enough = self._enough(symbols) if implements(self.coder, Coder, "encode_start") else None
        cut = self._cut(symbols, enough)
        if not cut.is_settled:
            del cut  # for a large picture, it takes much memory
            cut = self._cut(symbols, None)
        return cut

    def known(self, symbols: Symbols) -> KnownSymbols:
        """Return which of the symbols (C, h, w) of the picture its file has, estimated from the tables.

        Symbols are encoded only if the rate is a PSNR. Raises RateError as `cut` does.
        """
        if self.rate.psnr is not None:
            return self.cut(symbols).known()
        stream_bytes = math.inf
        if self._budget is not None:
            smallest = OmegaFile(replace(self.header, length=1, complete=False), b"\0")
            length_within(smallest, self._budget)  # raises if it is too large
            stream_bytes = 1 + self._budget - smallest.truncated_size(1)
        coded = self.file_codec.coded([symbols], self._enough(symbols))
        return _known_until(coded, 8 * stream_bytes, None if self._channels is None else coded.end_of(self._channels))

    @property
    def _channels(self) -> int | None:
        """The number of channels whose symbols the file has, if it does not depend on the picture."""
        return self.rate.whole_channels(self.file_codec.codec.channels)

    @cached_property
    def _budget(self) -> int | None:
        height, width = self.picture.size
        return self.rate.budget(height * width)

    def _enough(self, symbols: Symbols) -> Enough | None:
        """How many of the symbols (C, h, w) are encoded at first: at least those of the file; None for all."""
        if self._budget is not None:
            return Enough(bits=8.0 * self._budget + _SPARE_BITS)
        if self._channels is None or self._channels == self.file_codec.codec.channels:
            return None
        return Enough(symbols=self._channels * symbols[0].size + _SPARE_SYMBOLS)

    def _cut(self, symbols: Symbols, enough: Enough | None) -> Cut:
        counts = [] if self._channels is None else [self._channels]
        encoded = Encoded.of(self.file_codec.coded([symbols], enough), self.coder, self.header, counts)
        if self._budget is not None:
            return Cut(encoded, length_within(encoded.whole, self._budget))
        if self.rate.psnr is not None:
            return self._reaching(encoded, self.rate.psnr)
        return Cut(encoded, encoded.lengths.get(self._channels or 0, encoded.whole.stream_bytes))

    def _reaching(self, encoded: Encoded, wanted: float) -> Cut:
        """The cut with the fewest bytes that reach a PSNR, or with all bytes if these do not reach it.

        The bytes are found by bisection, to one percent, as the PSNR hardly ever falls with more bytes.
        """
        coded, header = encoded.coded, encoded.whole.header
        maker, visible = PictureMaker(self.file_codec, header), self.picture.visible

        def quality(symbols: Symbols) -> float:
            return psnr(self.picture.pixels, maker.picture(symbols).pixels, visible)

        ends = _growing_in_bits(coded)
        reached = of_all = quality(coded.first(ends[-1])[0])
        below, index = -1, len(ends) - 1
        while reached >= wanted and index - below > 1:
            middle = (below + index) // 2
            found = quality(coded.first(ends[middle])[0])
            if found >= wanted:
                index, reached = middle, found
            else:
                below = middle
        _, lengths = coded.encode(self.coder, ends)
        while index < len(ends) - 1:  # the last byte may determine more symbols, with which the PSNR is lower
            sizes = [self.file_codec.codec.latent_size(*self.picture.size)]
            stream = encoded.whole.stream[: lengths[index]]
            [symbols] = self.file_codec.decode(stream, self.coder, sizes, complete=False)
            reached = quality(symbols)
            if reached >= wanted:
                break
            index, reached = index + 1, of_all
        return Cut(encoded, lengths[index], reached)


def _known_until(coded: CodedSymbols, end: float, most: int | None = None) -> KnownSymbols:
    """The first symbols with `end` bits. most: the maximum number of symbols, if there is a limit."""
    bits = coded.bits_until()[:most]
    end = min(end, float(bits[-1]))
    count, fewer = (1 + int(np.searchsorted(bits[:-1], part * end)) for part in (1, 1 - _SHORTER))
    less = float(bits[count - 1] - bits[fewer - 1])
    del bits  # for a large picture, it takes as much memory as what follows
    [symbols], [before] = (coded.first(each) for each in (count, fewer))
    return KnownSymbols(symbols, before, less)


def _growing_in_bits(coded: CodedSymbols) -> list[int]:
    """Rising numbers of symbols up to all, each with `_GROWTH` times the bits of the one before."""
    bits = coded.bits_until()
    steps = np.arange(1, 1 + int(np.log(max(bits[-1] / _MIN_BITS, 1)) / np.log(_GROWTH)))
    found = np.searchsorted(bits, bits[-1] * _GROWTH ** -steps[::-1], side="right")
    return [*np.unique(found[(found > 0) & (found < len(bits))]).tolist(), len(bits)]
