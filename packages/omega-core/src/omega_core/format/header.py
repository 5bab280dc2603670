"""`Header`: the bytes of an `.omega` file before its stream.

    magic, format and coder, flags, fingerprint, size, [coder], [fields], length of the stream

For a picture of up to 256×256 pixels without fields it takes 11 to 14 bytes. Every header has exactly one valid
encoding.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from omega_core.errors import DamagedFileError, FileFormatError
from omega_core.format.binary import Reader, varint
from omega_core.format.limits import MAX_PICTURES

MAGIC, PACK_MAGIC = "Ω".encode(), "ω".encode()
"""The first bytes of a file, and of a pack of files."""
VERSION = 2
CODERS = ("", "omega-entropy/range", "omega-entropy/torchac", "omega-entropy/fixed", "omega-entropy/raw")
"""Coders by number. A number is never reassigned to another coder; the largest is 15."""
MODES = ("L", "RGB", "LA", "RGBA")
FINGERPRINT = 4
"""The number of bytes of a model's fingerprint in a header."""

_TILE, _ALPHA, _PICTURES, _PROFILE = 1, 2, 3, 132
"""Numbers of fields."""
_OPTIONAL = range(128, 256)
"""Numbers of fields that a reader may ignore if it does not support them."""
_SMALL, _FIELDS, _COMPLETE, _LENGTH = 1 << 2, 1 << 3, 1 << 4, 5
"""Bits of the flags, and the first of the two bits with the number of bytes of the length, less one."""
MAX_CODER_BYTES = 255
"""The maximum length of the qualified name of a coder, in bytes."""
MAX_STREAM_BYTES = (1 << 32) - 1
"""The maximum length of a stream, in bytes."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """The header of an `.omega` file.

    fingerprint: the first 4 bytes of the fingerprint of the model.
    coder: the qualified name of the coder.
    mode: the mode of the pictures in Pillow, one of MODES.
    sizes: (height, width) of each of the 1 to 64 pictures, in pixels.
    length: the number of bytes of the stream.
    complete: whether the stream has all symbols of the pictures; False for the first bytes of a longer stream.
    tile: the side, in pixels, of the tiles in which the pictures are transformed; None without tiles.
    alpha: the alpha planes of the pictures, compressed by `omega_core.images.alpha_and_profile`; None without alpha.
    profile: the ICC profile of the pictures, compressed with zlib; empty if there is none.
    unknown: the bytes of optional fields unknown to this version, by number, 128 to 255; they are kept.

    Raises ValueError for invalid values.
    """

    fingerprint: bytes
    coder: str
    mode: str
    sizes: tuple[tuple[int, int], ...]
    length: int
    complete: bool = True
    tile: int | None = None
    alpha: bytes | None = None
    profile: bytes = b""
    unknown: Mapping[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.fingerprint) != FINGERPRINT:
            raise ValueError(f"a header has {FINGERPRINT} bytes of a fingerprint, not {len(self.fingerprint)}")
        if self.coder.count("/") != 1 or len(self.coder.encode(errors="replace")) > MAX_CODER_BYTES:
            raise ValueError(f"{self.coder[:MAX_CODER_BYTES]!r} is not the qualified name of a coder")
        if self.mode not in MODES:
            raise ValueError(f"{self.mode!r} is not one of the modes {', '.join(MODES)}")
        if not 1 <= len(self.sizes) <= MAX_PICTURES or any(min(size) < 1 for size in self.sizes):
            raise ValueError(f"a header has 1 to {MAX_PICTURES} pictures, each of at least one pixel")
        if not 0 <= self.length <= MAX_STREAM_BYTES:
            raise ValueError(f"a stream has 0 to {MAX_STREAM_BYTES} bytes, not {self.length}")
        if self.tile is not None and self.tile < 1:
            raise ValueError(f"tiles have at least one pixel, not {self.tile}")
        if (self.alpha is not None) != ("A" in self.mode):
            raise ValueError(f"the modes LA and RGBA need alpha, and others exclude it; the mode is {self.mode}")
        if any(number not in _OPTIONAL or number == _PROFILE for number in self.unknown):
            raise ValueError(f"{sorted(self.unknown)} are not all numbers of unknown optional fields")

    @property
    def pixels(self) -> int:
        """The number of pixels of all pictures."""
        return sum(height * width for height, width in self.sizes)

    def truncated(self, length: int) -> "Header":
        """Return the header of the file with the first `length` bytes of the stream.

        Raises ValueError if the stream has fewer bytes.
        """
        if length > self.length:
            raise ValueError(f"the stream has {self.length} bytes, not {length}")
        return replace(self, length=length, complete=self.complete and length == self.length)

    def to_bytes(self) -> bytes:
        """Return the bytes of the header. Raises ValueError for numbers of 2²⁸ and more."""
        height, width = self.sizes[0]
        small = max(height, width) <= 256
        coder = CODERS.index(self.coder) if self.coder in CODERS else 0
        fields = dict(self._fields())
        length = self.length.to_bytes(max(1, -(-self.length.bit_length() // 8)), "little")
        flags = MODES.index(self.mode) | (_SMALL if small else 0) | (_FIELDS if fields else 0)
        flags |= (_COMPLETE if self.complete else 0) | len(length) - 1 << _LENGTH
        written = bytearray(MAGIC + bytes([VERSION << 4 | coder, flags]) + self.fingerprint)
        written += bytes([height - 1, width - 1]) if small else varint(height) + varint(width)
        if not coder:
            name = self.coder.encode()
            written += varint(len(name)) + name
        if fields:
            for number, payload in sorted(fields.items()):
                written += bytes([number]) + varint(len(payload)) + payload
            written.append(0)
        return bytes(written) + length

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
            sides = (
                b"" if {*others} == {first} else b"".join(varint(height) + varint(width) for height, width in others)
            )
            yield _PICTURES, bytes([len(self.sizes)]) + sides

    @classmethod
    def parse(cls, data: bytes) -> "Header":
        """Parse the header at the beginning of the bytes of a file. Raises as `read` does."""
        return cls.read(Reader(data))

    @classmethod
    def read(cls, reader: Reader) -> "Header":
        """Read the header of a file.

        reader: a reader at the beginning of the file.

        Raises FileFormatError for another format or a later version, CutOffError for an incomplete header,
        DamagedFileError for a damaged one.
        """
        first_bytes = reader.read_up_to(len(MAGIC))
        if first_bytes == PACK_MAGIC:
            raise FileFormatError("this is a pack of .omega files: `omega decompress` unpacks it.")
        if first_bytes != MAGIC:
            raise FileFormatError("this is not an .omega file.")
        version, coder_number = divmod(reader.byte(), 16)
        if version != VERSION:
            advice = "Update Omega." if version > VERSION else "Encode the picture again."
            raise FileFormatError(f"this .omega file has version {version}; this Omega reads {VERSION}. {advice}")
        flags = reader.byte()
        fingerprint = reader.bytes(FINGERPRINT)
        first = (reader.byte() + 1, reader.byte() + 1) if flags & _SMALL else (reader.varint(), reader.varint())
        if coder_number >= len(CODERS):
            message = f"this .omega file has coder number {coder_number}, which is unknown. Update Omega."
            raise FileFormatError(message)
        coder = CODERS[coder_number] or reader.bytes(reader.varint()).decode(errors="replace")
        fields = _read_fields(reader) if flags & _FIELDS else {}
        length = int.from_bytes(reader.bytes((flags >> _LENGTH & 3) + 1), "little")
        try:
            header = cls(
                fingerprint=fingerprint,
                coder=coder,
                mode=MODES[flags & 3],
                sizes=_sizes(first, fields.pop(_PICTURES, b"\1")),
                length=length,
                complete=bool(flags & _COMPLETE),
                tile=Reader(fields.pop(_TILE)).varint() if _TILE in fields else None,
                alpha=fields.pop(_ALPHA, None),
                profile=fields.pop(_PROFILE, b""),
                unknown=fields,
            )
            if header.to_bytes() != bytes(reader.taken):
                raise ValueError("this is not the only valid encoding of the header")
        except (FileFormatError, ValueError) as problem:
            raise DamagedFileError("the file is damaged: its header contradicts itself. Get it again.") from problem
        return header


def _read_fields(reader: Reader) -> dict[int, bytes]:
    """Read the fields, by number. Raises FileFormatError for an unknown field that must not be ignored."""
    fields: dict[int, bytes] = {}
    while number := reader.byte():
        if number <= max(fields, default=0):
            raise DamagedFileError("the file is damaged: fields of its header are out of order. Get it again.")
        if number not in (_TILE, _ALPHA, _PICTURES) and number not in _OPTIONAL:
            raise FileFormatError(f"this .omega file has a field {number}, which is unknown. Update Omega.")
        fields[number] = reader.bytes(reader.varint())
    return fields


def _sizes(first: tuple[int, int], payload: bytes) -> tuple[tuple[int, int], ...]:
    """Return (height, width) of each picture, from the first and the field of the others. Raises FileFormatError."""
    reader = Reader(payload)
    count = reader.byte()
    if len(payload) == 1:
        return (first,) * count
    return (first, *((reader.varint(), reader.varint()) for _ in range(count - 1)))
