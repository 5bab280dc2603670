"""`Header`: the bytes of an `.omega` file before its stream.

    magic, format and coder, flags, fingerprint, size, [coder], [channels per group], [fields]
    groups, [lacking], sizes of the groups

For a gray picture under 256×256 it takes 12 bytes, and one for each cut, at the most, if channels come in
complete groups of one of the sizes CHANNELS_PER_GROUP. Every header has exactly one valid encoding.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from omega_core.errors import DamagedFileError, FileFormatError
from omega_core.format.binary import CHECKSUM, Reader, varint
from omega_core.format.cuts import CHANNELS_PER_GROUP, Groups, coded_size
from omega_core.format.limits import MAX_PICTURES

MAGIC = "Ω".encode()
VERSION = 1
CODERS = ("", "omega-entropy/range", "omega-entropy/torchac", "omega-entropy/fixed", "omega-entropy/raw")
"""Coders by number. Numbers are never given to another coder; 15 is the last."""
MODES = ("L", "RGB", "LA", "RGBA")
FINGERPRINT = 4
"""The bytes of a model's fingerprint in a header."""

_TILE, _ALPHA, _PICTURES, _PROFILE = 1, 2, 3, 132
"""Numbers of fields."""
_OPTIONAL = range(128, 256)
"""Numbers of fields that a reader may ignore if they are unknown to it."""
_SMALL, _FIELDS, _LACKING = 1 << 2, 1 << 3, 1 << 5
"""Bits of the flags, and of the number of groups."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """The header of an `.omega` file.

    fingerprint: the first 4 bytes of the fingerprint of the model.
    coder: the qualified name of the coder.
    mode: of the pictures, one of MODES, which are Pillow's.
    sizes: (height, width) of each of the 1 to 64 pictures, in pixels.
    groups: the groups of channels in the stream.
    tile: the side, in pixels, of the tiles in which the pictures are transformed; None without tiles.
    alpha: the alpha planes of the pictures, compressed by `omega_core.images.alpha_and_profile`; None in modes without.
    profile: the ICC profile of the pictures, compressed with zlib; empty if there is none.
    unknown: the bytes of optional fields unknown to this version, by number, 128 to 255; they are kept.

    Raises ValueError for invalid values.
    """

    fingerprint: bytes
    coder: str
    mode: str
    sizes: tuple[tuple[int, int], ...]
    groups: Groups
    tile: int | None = None
    alpha: bytes | None = None
    profile: bytes = b""
    unknown: Mapping[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.fingerprint) != FINGERPRINT:
            raise ValueError(f"a header has {FINGERPRINT} bytes of a fingerprint, not {len(self.fingerprint)}")
        if self.coder.count("/") != 1:
            raise ValueError(f"{self.coder!r} is not the qualified name of a coder")
        if self.mode not in MODES:
            raise ValueError(f"{self.mode!r} is not one of the modes {', '.join(MODES)}")
        if not 1 <= len(self.sizes) <= MAX_PICTURES or any(min(size) < 1 for size in self.sizes):
            raise ValueError(f"a header has 1 to {MAX_PICTURES} pictures, each of one pixel at the least")
        if self.tile is not None and self.tile < 1:
            raise ValueError(f"tiles have one pixel at the least, not {self.tile}")
        if (self.alpha is not None) != ("A" in self.mode):
            raise ValueError(f"alpha is in the modes LA and RGBA and in no others, of which {self.mode} is one")
        if any(number not in _OPTIONAL or number == _PROFILE for number in self.unknown):
            raise ValueError(f"{sorted(self.unknown)} are not all numbers of optional fields that are not known")

    @property
    def channels(self) -> int:
        """The number of channels in the stream."""
        return self.groups.channels

    @property
    def cuts(self) -> Mapping[int, int]:
        """The length of the stream up to each cut, in bytes, by the number of channels."""
        return self.groups.cuts

    @property
    def pixels(self) -> int:
        """The number of pixels of all pictures."""
        return sum(height * width for height, width in self.sizes)

    @property
    def file_sizes(self) -> Mapping[int, int]:
        """The size of the file at each of its cuts, in bytes, by the number of channels."""
        return {
            channels: len(self._before_groups) + len(_group_bytes(self.groups.truncated(channels))) + length + CHECKSUM
            for channels, length in self.cuts.items()
        }

    def truncated(self, channels: int) -> "Header":
        """Return the header of the file truncated to `channels`. Raises ValueError if there is no cut there."""
        return replace(self, groups=self.groups.truncated(channels))

    def to_bytes(self) -> bytes:
        """Return the bytes of the header. Raises ValueError for numbers of 2²⁸ and more."""
        return self._before_groups + _group_bytes(self.groups)

    @cached_property
    def _before_groups(self) -> bytes:
        """The bytes before the groups, which are the same at all cuts."""
        height, width = self.sizes[0]
        small = max(height, width) <= 256
        coder = CODERS.index(self.coder) if self.coder in CODERS else 0
        per_group = self.groups.channels_per_group
        index = CHANNELS_PER_GROUP.index(per_group) if per_group in CHANNELS_PER_GROUP else 0
        fields = dict(self._fields())
        flags = MODES.index(self.mode) | (_SMALL if small else 0) | (_FIELDS if fields else 0) | index << 4
        written = bytearray(MAGIC + bytes([VERSION << 4 | coder, flags]) + self.fingerprint)
        written += bytes([height - 1, width - 1]) if small else varint(height) + varint(width)
        if not coder:
            name = self.coder.encode()
            written += varint(len(name)) + name
        if not index:
            written += varint(per_group)
        if fields:
            for number, payload in sorted(fields.items()):
                written += bytes([number]) + varint(len(payload)) + payload
            written.append(0)
        return bytes(written)

    def _fields(self) -> Iterator[tuple[int, bytes]]:
        """The numbers and bytes of the fields that this header needs."""
        yield from self.unknown.items()
        if self.tile is not None:
            yield _TILE, varint(self.tile)
        if self.alpha is not None:
            yield _ALPHA, self.alpha
        if self.profile:
            yield _PROFILE, self.profile
        first, *others = self.sizes
        if others:
            told = b"" if {*others} == {first} else b"".join(varint(height) + varint(width) for height, width in others)
            yield _PICTURES, bytes([len(self.sizes)]) + told

    @classmethod
    def parse(cls, data: bytes) -> "Header":
        """Parse the header at the beginning of the bytes of a file. Raises as `read` does."""
        return cls.read(Reader(data))

    @classmethod
    def read(cls, reader: Reader) -> "Header":
        """Read the header of a file.

        reader: at the beginning of the file.

        Raises FileFormatError for another format or a later version, CutOffError for a truncated header,
        DamagedFileError for a damaged one.
        """
        if reader.read_up_to(len(MAGIC)) != MAGIC:
            raise FileFormatError("this is not an .omega file.")
        version, coder_number = divmod(reader.byte(), 16)
        if version != VERSION:
            message = f"this .omega file has version {version}, this Omega reads version {VERSION}. Update it."
            raise FileFormatError(message)
        flags = reader.byte()
        fingerprint = reader.bytes(FINGERPRINT)
        first = (reader.byte() + 1, reader.byte() + 1) if flags & _SMALL else (reader.varint(), reader.varint())
        if coder_number >= len(CODERS):
            message = f"this .omega file has coder number {coder_number}, unknown to this Omega. Update it."
            raise FileFormatError(message)
        coder = CODERS[coder_number] or reader.bytes(reader.varint()).decode(errors="replace")
        per_group = CHANNELS_PER_GROUP[flags >> 4] or reader.varint()
        fields = _read_fields(reader) if flags & _FIELDS else {}
        try:
            header = cls(
                fingerprint=fingerprint,
                coder=coder,
                mode=MODES[flags & 3],
                sizes=_sizes(first, fields.pop(_PICTURES, b"\1")),
                groups=_read_groups(reader, per_group),
                tile=_tile(fields.pop(_TILE, None)),
                alpha=fields.pop(_ALPHA, None),
                profile=fields.pop(_PROFILE, b""),
                unknown=fields,
            )
            if header.to_bytes() == bytes(reader.taken):  # the only valid encoding
                return header
        except ValueError as problem:
            raise _contradiction() from problem
        raise _contradiction()


def _contradiction() -> DamagedFileError:
    return DamagedFileError("the file is damaged: its header contradicts itself. Get it again.")


def _read_fields(reader: Reader) -> dict[int, bytes]:
    """Read the fields, by number. Raises FileFormatError for an unknown field that may not be ignored."""
    fields: dict[int, bytes] = {}
    while number := reader.byte():
        if number <= max(fields, default=0):
            raise DamagedFileError("the file is damaged: fields of its header are out of order. Get it again.")
        if number not in (_TILE, _ALPHA, _PICTURES) and number not in _OPTIONAL:
            raise FileFormatError(f"this .omega file has a field {number} that this Omega does not know. Update it.")
        fields[number] = reader.bytes(reader.varint())
    return fields


def _sizes(first: tuple[int, int], payload: bytes) -> tuple[tuple[int, int], ...]:
    """(height, width) of each picture, from the first and the field of the others. Raises ValueError."""
    reader = Reader(payload)
    try:
        count = reader.byte()
        if len(payload) == 1:
            return (first,) * count
        return (first, *((reader.varint(), reader.varint()) for _ in range(count - 1)))
    except FileFormatError as problem:
        raise ValueError(f"the field of pictures is not what it has to be: {problem}") from problem


def _tile(payload: bytes | None) -> int | None:
    """The side of tiles from their field. Raises ValueError."""
    try:
        return None if payload is None else Reader(payload).varint()
    except FileFormatError as problem:
        raise ValueError(f"the field of tiles is not what it has to be: {problem}") from problem


def _group_bytes(groups: Groups) -> bytes:
    """The number of the groups and the size of each."""
    size = max(1, -(-groups.last_length.bit_length() // 8))
    counts = groups.count - 1 | (_LACKING if groups.lacking else 0) | size - 1 << 6
    lacking = varint(groups.lacking) if groups.lacking else b""
    return bytes([counts]) + lacking + groups.codes + groups.last_length.to_bytes(size, "little")


def _read_groups(reader: Reader, per_group: int) -> Groups:
    """What `_group_bytes` wrote. Raises ValueError for numbers that do not belong together."""
    counts = reader.byte()
    count = (counts & _LACKING - 1) + 1
    lacking = reader.varint() if counts & _LACKING else 0
    codes = reader.bytes(count - 1)
    last = int.from_bytes(reader.bytes((counts >> 6) + 1), "little")
    length = sum(map(coded_size, codes)) + last
    return Groups(channels=count * per_group - lacking, channels_per_group=per_group, codes=codes, length=length)
