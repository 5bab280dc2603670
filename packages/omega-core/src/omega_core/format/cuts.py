"""Groups of channels, and the bytes of the stream at the cuts between them.

A group is what one cut adds: a file shortened at a cut is a whole file again, whose stream is a prefix of
the longer one's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from omega_core.format.limits import MAX_GROUPS

CHANNELS_PER_GROUP = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 32)
"""Numbers of channels that a header has an index for; index 0 is for all others."""

MAX_LAST_GROUP_BYTES = (1 << 32) - 1
"""Bytes of the stream in the last group, as many as a header can say."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The groups of channels that a stream consists of.

    channels: in all groups together.
    channels_per_group: from one cut to the next; the last group may have fewer.
    codes: of the size in bytes of each group but the last, one byte each; see `size_code`.
    length: bytes of the stream.

    Raises ValueError for numbers that do not belong together, or for more than 32 groups.
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
        """How many groups there are."""
        return -(-self.channels // self.channels_per_group)

    @property
    def lacking(self) -> int:
        """How many channels the last group has fewer than the others."""
        return self.count * self.channels_per_group - self.channels

    @property
    def last_length(self) -> int:
        """Bytes of the stream in the last group."""
        return self.length - sum(map(coded_size, self.codes))

    @cached_property
    def cuts(self) -> Mapping[int, int]:
        """The bytes of the stream that the channels up to each cut take, by the number of these channels."""
        lengths = [*accumulate(map(coded_size, self.codes)), self.length]
        return dict(zip(group_ends(self.channels, self.channels_per_group), lengths, strict=True))

    def intact(self, length: int) -> int:
        """How many channels are whole in the first `length` bytes of the stream; 0 if none is."""
        return max((channels for channels, size in self.cuts.items() if size <= length), default=0)

    def truncated(self, channels: int) -> "Groups":
        """The groups of the first `channels`. Raises ValueError if there is no cut after so many."""
        if channels not in self.cuts:
            raise ValueError(f"there is no cut after {channels} channels, only after {list(self.cuts)}")
        count = -(-channels // self.channels_per_group)
        return replace(self, channels=channels, codes=self.codes[: count - 1], length=self.cuts[channels])


def channels_per_group(channels: int) -> int:
    """From one cut to the next, so that a file of all C channels has at most 32 cuts."""
    least = -(-channels // MAX_GROUPS)
    return next((size for size in CHANNELS_PER_GROUP if size >= least), least)


def group_ends(channels: int, per_group: int) -> list[int]:
    """The numbers of channels up to the end of each group, rising; the last of them is `channels`."""
    return [*range(per_group, channels, per_group), channels]


def divide(stream: bytes, ends: Mapping[int, int], per_group: int) -> tuple[Groups, bytes]:
    """Divide a stream into groups whose sizes have codes.

    stream: at least the bytes that the last end needs.
    ends: the bytes of the stream that the channels up to the end of each group need, by their number, rising.
    per_group: channels from one cut to the next.

    Returns the groups and the stream as a file has it. Codes round sizes up: a group then has bytes of the next
    one too, or zeros where the stream has no more. Raises ValueError if the numbers of channels are not those of
    groups of that size.
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
    """A size as a floating-point number in one byte, rounded up: 5 bits of exponent, 3 of mantissa."""
    if size < 8:
        return size
    exponent = size.bit_length() - 3
    mantissa = -(-size // (1 << (exponent - 1))) - 8
    return (exponent << 3) + mantissa  # a mantissa of 8 carries into the exponent


def coded_size(code: int) -> int:
    """The size that a code stands for: exact up to 16, above at most an eighth more than it was made from."""
    exponent, mantissa = code >> 3, code & 7
    return mantissa if exponent == 0 else (8 + mantissa) << (exponent - 1)
