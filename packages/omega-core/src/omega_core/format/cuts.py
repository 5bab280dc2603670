"""Groups of channels, and the bytes of the stream at the cuts between them.

A group is the channels between two cuts. A file truncated at a cut is a complete file, whose stream is a prefix of the
original stream.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from omega_core.format.limits import MAX_GROUPS

CHANNELS_PER_GROUP = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 32)
"""Numbers of channels per group by their index in a header; index 0 stands for all others."""

MAX_LAST_GROUP_BYTES = (1 << 32) - 1
"""The most bytes of the last group, which a header stores in 4 bytes."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The groups of channels in a stream.

    channels: of all groups together.
    channels_per_group: of every group but the last, which may have fewer.
    codes: the sizes of all groups but the last, one byte each: see `size_code`.
    length: of the stream, in bytes.

    Raises ValueError for inconsistent numbers, or for more than 32 groups.
    """

    channels: int
    channels_per_group: int
    codes: bytes
    length: int

    def __post_init__(self) -> None:
        if self.channels < 1 or self.channels_per_group < 1:
            raise ValueError("a file has one channel at the least, and so has a group")
        if self.count > MAX_GROUPS or self.count != len(self.codes) + 1:
            raise ValueError(f"{self.count} groups: there are at most {MAX_GROUPS}, and a code for each but the last")
        if not 0 <= self.last_length <= MAX_LAST_GROUP_BYTES:
            raise ValueError(f"the last group has {self.last_length} bytes, not 0 to {MAX_LAST_GROUP_BYTES}")

    @property
    def count(self) -> int:
        """The number of groups."""
        return -(-self.channels // self.channels_per_group)

    @property
    def lacking(self) -> int:
        """The number of channels that the last group lacks to `channels_per_group`."""
        return self.count * self.channels_per_group - self.channels

    @property
    def last_length(self) -> int:
        """The size of the last group, in bytes."""
        return self.length - sum(map(coded_size, self.codes))

    @cached_property
    def cuts(self) -> Mapping[int, int]:
        """The length of the stream up to each cut, in bytes, by the number of channels."""
        lengths = [*accumulate(map(coded_size, self.codes)), self.length]
        return dict(zip(group_ends(self.channels, self.channels_per_group), lengths, strict=True))

    def intact(self, length: int) -> int:
        """Return the number of leading channels that are complete in the first `length` bytes of the stream."""
        return max((channels for channels, size in self.cuts.items() if size <= length), default=0)

    def truncated(self, channels: int) -> "Groups":
        """Return the groups up to the cut at `channels`. Raises ValueError if there is no cut there."""
        if channels not in self.cuts:
            raise ValueError(f"there is no cut after {channels} channels, only after {list(self.cuts)}")
        count = -(-channels // self.channels_per_group)
        return replace(self, channels=channels, codes=self.codes[: count - 1], length=self.cuts[channels])


def channels_per_group(channels: int) -> int:
    """Return the number of channels per group with which a file of `channels` has at most 32 cuts."""
    least = -(-channels // MAX_GROUPS)
    return next((size for size in CHANNELS_PER_GROUP if size >= least), least)


def group_ends(channels: int, per_group: int) -> list[int]:
    """Return the rising numbers of channels at the ends of groups of `per_group` channels; the last is `channels`."""
    return [*range(per_group, channels, per_group), channels]


def divide(stream: bytes, ends: Mapping[int, int], per_group: int) -> tuple[Groups, bytes]:
    """Divide a stream into groups, with sizes rounded up to those of `size_code`.

    stream: with at least as many bytes as the last end needs.
    ends: the bytes that the channels up to the end of each group need, by the number of channels, rising.
    per_group: channels per group.

    Returns the groups and the stream of the file. A rounded group also has the first bytes of the next one, or zeros
    after the end of the stream. Raises ValueError if `ends` are not those of groups of `per_group` channels.
    """
    *cuts, last = ends.values()
    codes, reached = bytearray(), 0
    for cut in cuts:
        code = size_code(max(0, cut - reached))
        reached += coded_size(code)
        codes.append(code)
    length = max(last, reached)
    groups = Groups(channels=max(ends), channels_per_group=per_group, codes=bytes(codes), length=length)
    if list(groups.cuts) != list(ends):
        raise ValueError(f"groups of {per_group} channels end after {list(groups.cuts)}, not after {list(ends)}")
    return groups, stream[:length].ljust(length, b"\0")


def size_code(size: int) -> int:
    """Encode a size in bytes as a floating-point number in one byte, rounded up: 5 bits of exponent, 3 of mantissa."""
    if size < 8:
        return size
    exponent = size.bit_length() - 3
    mantissa = -(-size // (1 << (exponent - 1))) - 8
    return (exponent << 3) + mantissa  # a mantissa of 8 carries into the exponent


def coded_size(code: int) -> int:
    """Decode the size of a code: exact up to 16, above it at most an eighth more than the encoded size."""
    exponent, mantissa = code >> 3, code & 7
    return mantissa if exponent == 0 else (8 + mantissa) << (exponent - 1)
