"""Bytes ↔ parts of an `.omega` file.

    magic      2   CE A9, the letter Ω in UTF-8
    format     1   high 4 bits: version, 1; low 4 bits: coder, a number of CODERS or 0: its name follows
    flags      1   bits 0–1: mode, 0 L (grey), 1 RGB
                   bit 2: height and width are one byte each, less one
                   bit 3: 0, kept for extensions
                   bits 4–7: channels per group, as an index of GROUPS, or 0: the number follows
    model      4   the first bytes of the model's fingerprint
    height, width  one byte each, less one; or two varints
    [coder]        varint length and name in UTF-8
    [group]        varint: channels per group
    groups     1   bits 0–4: groups, less one; bit 5: the last group lacks channels
                   bits 6–7: bytes of the last group's size, less one
    [lacking]      varint: how many channels the last group lacks
    sizes      1   for each group but the last: its bytes of the stream, as `_size` reads them
    last       1–4 the last group's bytes of the stream, little-endian
    stream
    checksum   4   CRC-32 of all bytes before it, little-endian

Varints are LEB128. A group is what one cut adds: a file shortened at a cut is a whole file again, whose
stream is a prefix of the longer one's. For a grey picture under 256×256 all this takes 16 bytes, and one
for each cut, at the most, if channels come in whole groups of GROUPS.
"""

import zlib
from dataclasses import dataclass, replace
from itertools import accumulate

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError

MAGIC = "Ω".encode()
VERSION = 1
CODERS = ("", "omega-entropy/range", "omega-entropy/torchac", "omega-entropy/fixed", "omega-entropy/raw")
"""Coders with a number of their own. Numbers are never given to another coder; 15 is the last."""
MODES = ("L", "RGB")
MAX_GROUPS = 32
GROUPS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 32)
_CHECKSUM = 4


@dataclass(frozen=True, kw_only=True)
class Container:
    """The parts of an `.omega` file.

    fingerprint: the first 4 bytes of the model's.
    coder: its qualified name.
    mode: of the picture, as Pillow names it: "L" or "RGB".
    channels: how many are in the stream.
    group: channels from one cut to the next.
    sizes: one code for each group but the last, as `size_codes` gives them.
    """

    fingerprint: bytes
    coder: str
    mode: str
    height: int
    width: int
    channels: int
    group: int
    sizes: bytes
    stream: bytes

    @property
    def groups(self) -> int:
        return -(-self.channels // self.group)

    @property
    def cuts(self) -> dict[int, int]:
        """How many channels are in how many bytes of the stream, for every cut."""
        return self._cuts(len(self.stream))

    def _cuts(self, length: int) -> dict[int, int]:
        channels = [min(self.group * (i + 1), self.channels) for i in range(self.groups)]
        return dict(zip(channels, [*accumulate(_size(code) for code in self.sizes), length], strict=True))


def group_size(channels: int) -> int:
    """Channels from one cut to the next, so that a file of all C channels has at most 32 cuts."""
    least = -(-channels // MAX_GROUPS)
    return next((size for size in GROUPS if size >= least), least)


def divide(stream: bytes, cuts: list[int]) -> tuple[bytes, bytes]:
    """The sizes of groups that end at the rising `cuts`, one byte for all but the last, and the stream.

    A byte holds a size as a floating-point number with 3 bits of mantissa, rounded up: exact up to 16
    bytes, at most an eighth too much above. What is too much is bytes of the next group, or zeros at the
    end of the stream.
    """
    codes, reached = bytearray(), 0
    for cut in cuts[:-1]:
        code = _size_code(max(0, cut - reached))
        reached += _size(code)
        codes.append(code)
    return bytes(codes), stream.ljust(reached, b"\0")


def _size(code: int) -> int:
    exponent, mantissa = code >> 3, code & 7
    return mantissa if exponent == 0 else (8 + mantissa) << (exponent - 1)


def _size_code(size: int) -> int:
    if size < 8:
        return size
    exponent = size.bit_length() - 3
    mantissa = -(-size // (1 << (exponent - 1))) - 8
    return (exponent << 3) + mantissa  # a mantissa of 8 carries into the exponent


def shorten(container: Container, channels: int) -> Container:
    """The file cut after `channels`, which has to be one of its cuts. Raises ValueError if it is not."""
    if channels not in container.cuts:
        raise ValueError(f"there is no cut after {channels} channels, only after {list(container.cuts)}")
    groups = -(-channels // container.group)
    return replace(
        container,
        channels=channels,
        sizes=container.sizes[: groups - 1],
        stream=container.stream[: container.cuts[channels]],
    )


def shorten_between(container: Container, channels: int, length: int) -> Container:
    """The file with an end after `channels`, between two cuts, where `length` bytes of the stream are needed."""
    cuts = {cut: size for cut, size in container.cuts.items() if cut < channels}
    length = max([length, *cuts.values()])  # the cuts before stay where they are
    return replace(container, channels=channels, sizes=container.sizes[: len(cuts)], stream=container.stream[:length])


def pack(container: Container) -> bytes:
    """The bytes of an `.omega` file."""
    small = 1 <= container.height <= 256 and 1 <= container.width <= 256
    coder = CODERS.index(container.coder) if container.coder in CODERS else 0
    group = GROUPS.index(container.group) if container.group in GROUPS else 0
    flags = MODES.index(container.mode) | small << 2 | group << 4
    head = bytearray(MAGIC + bytes([VERSION << 4 | coder, flags]) + container.fingerprint)
    if small:
        head += bytes([container.height - 1, container.width - 1])
    else:
        head += _varint(container.height) + _varint(container.width)
    if not coder:
        name = container.coder.encode()
        head += _varint(len(name)) + name
    if not group:
        head += _varint(container.group)
    last = len(container.stream) - sum(map(_size, container.sizes))
    octets = max(1, -(-last.bit_length() // 8))
    lacking = container.groups * container.group - container.channels
    head.append(container.groups - 1 | (lacking > 0) << 5 | octets - 1 << 6)
    if lacking:
        head += _varint(lacking)
    head += container.sizes + last.to_bytes(octets, "little")
    body = bytes(head) + container.stream
    return body + zlib.crc32(body).to_bytes(_CHECKSUM, "little")


def unpack(data: bytes, *, partial: bool = False) -> Container:
    """The parts of a whole `.omega` file; with `partial`, of what is intact of one that breaks off.

    Raises CutOffError if the file breaks off, DamagedFileError if it was changed, FileFormatError if it is
    something else.
    """
    container, start, length = _head(data)
    missing = start + length + _CHECKSUM - len(data)
    if missing < 0:
        raise DamagedFileError(f"the file is damaged: {-missing} bytes more than it says. Get it again.")
    if missing == 0:
        if zlib.crc32(data[:-_CHECKSUM]) != int.from_bytes(data[-_CHECKSUM:], "little"):
            raise DamagedFileError("the file is damaged: its checksum does not match. Get it again.")
        return replace(container, stream=data[start:-_CHECKSUM])
    there = data[start : start + length]
    intact = max((channels for channels, size in container._cuts(length).items() if size <= len(there)), default=0)
    if partial and intact:
        return shorten(replace(container, stream=there), intact)
    hope = f"Its first {intact} of {container.channels} channels are intact" if intact else "No channel is intact"
    raise CutOffError(f"the file breaks off: {missing} bytes are missing. {hope}.", intact=intact)


def _head(data: bytes) -> tuple[Container, int, int]:
    """All but the stream, and where in `data` that begins and how long it is."""
    if data[: len(MAGIC)] != MAGIC:
        raise FileFormatError("this is not an .omega file.")
    reader = _Reader(data, len(MAGIC))
    version, coder_number = divmod(reader.byte(), 16)
    if version != VERSION:
        raise FileFormatError(f"this .omega file has version {version}, this Omega reads version {VERSION}. Update it.")
    flags = reader.byte()
    if flags & 8 or flags & 3 >= len(MODES):
        raise FileFormatError("this .omega file has extensions that this Omega does not know. Update it.")
    fingerprint = reader.bytes(4)
    if flags & 4:
        height, width = reader.byte() + 1, reader.byte() + 1
    else:
        height, width = reader.varint(), reader.varint()
    if coder_number >= len(CODERS):
        raise FileFormatError(f"this .omega file has coder number {coder_number}, unknown to this Omega. Update it.")
    coder = CODERS[coder_number] or reader.bytes(reader.varint()).decode(errors="replace")
    group = GROUPS[flags >> 4] or reader.varint()
    counts = reader.byte()
    groups = (counts & 31) + 1
    lacking = reader.varint() if counts & 32 else 0
    sizes = reader.bytes(groups - 1)
    length = sum(map(_size, sizes)) + int.from_bytes(reader.bytes((counts >> 6) + 1), "little")
    if not height or not width or not 0 <= lacking < group:
        raise DamagedFileError("the file is damaged: its header contradicts itself. Get it again.")
    container = Container(
        fingerprint=fingerprint,
        coder=coder,
        mode=MODES[flags & 3],
        height=height,
        width=width,
        channels=groups * group - lacking,
        group=group,
        sizes=sizes,
        stream=b"",
    )
    return container, reader.position, length


class _Reader:
    """Takes bytes one after the other. Raises CutOffError where there are no more."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position

    def bytes(self, count: int) -> bytes:
        taken = self.data[self.position : self.position + count]
        if len(taken) < count:
            raise CutOffError("the file breaks off in its header. No channel is intact.", intact=0)
        self.position += count
        return taken

    def byte(self) -> int:
        return self.bytes(1)[0]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 28, 7):
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise DamagedFileError("the file is damaged: a number in its header is too large. Get it again.")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
