"""Bytes ↔ parts of an `.omega` file. FORMAT.md of this package tells what every byte means.

    magic, format and coder, flags, fingerprint, size, [coder], [group], [fields]
    groups, [lacking], sizes of the groups, stream, checksum

A group is what one cut adds: a file shortened at a cut is a whole file again, whose stream is a prefix of
the longer one's. For a gray picture under 256×256 all this takes 16 bytes, and one for each cut, at the
most, if channels come in whole groups of GROUPS.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError
from omega_core.format.binary import CHECKSUM, Reader, Stream, checksum, coded_size, size_code, varint

MAGIC = "Ω".encode()
VERSION = 1
CODERS = ("", "omega-entropy/range", "omega-entropy/torchac", "omega-entropy/fixed", "omega-entropy/raw")
"""Coders with a number of their own. Numbers are never given to another coder; 15 is the last."""
MODES = ("L", "RGB", "LA", "RGBA")
MAX_GROUPS = 32
GROUPS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 32)
BLOCK_PIXELS = 1 << 20
"""Pixels of several pictures in one file, at the most: all of it is decoded to get one of them."""
MAX_PICTURES = 64
"""Pictures in one file, at the most: what has to be read to get one of them."""

TILE, ALPHA, PICTURES, PROFILE = 1, 2, 3, 132
"""Numbers of fields. From 128 on, a reader that does not know a field may ignore it."""
_MAY_BE_IGNORED = 128


@dataclass(frozen=True, kw_only=True)
class Container:
    """The parts of an `.omega` file.

    fingerprint: the first 4 bytes of the model's.
    coder: its qualified name.
    mode: of the pictures, as Pillow names it: one of MODES.
    height, width: of the first picture.
    channels: how many are in the stream.
    group: channels from one cut to the next.
    sizes: one code for each group but the last, as `divide` gives them.
    fields: what only some files have, by number: `tile`, `alpha`, `shapes` and `profile` read them.
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
    fields: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def groups(self) -> int:
        return -(-self.channels // self.group)

    @property
    def cuts(self) -> dict[int, int]:
        """How many channels are in how many bytes of the stream, for every cut."""
        return self.cuts_of(len(self.stream))

    def cuts_of(self, length: int) -> dict[int, int]:
        """The cuts of a stream of `length` bytes."""
        channels = [min(self.group * (i + 1), self.channels) for i in range(self.groups)]
        return dict(zip(channels, [*accumulate(coded_size(code) for code in self.sizes), length], strict=True))

    @property
    def tile(self) -> int | None:
        """The side in pixels of the tiles that the pictures are transformed in, if they are."""
        return Reader(self.fields[TILE]).varint() if TILE in self.fields else None

    @property
    def alpha(self) -> bytes | None:
        """The opacity of the pictures, as `omega_core.format.planes` codes it, in modes that have one."""
        return self.fields.get(ALPHA)

    @property
    def profile(self) -> bytes:
        """The ICC profile, compressed with zlib; nothing if there is none."""
        return self.fields.get(PROFILE, b"")

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(height, width) of each picture."""
        first = (self.height, self.width)
        if PICTURES not in self.fields:
            return (first,)
        reader = Reader(self.fields[PICTURES])
        many = reader.byte()
        if len(self.fields[PICTURES]) == 1:
            return (first,) * many
        return (first, *((reader.varint(), reader.varint()) for _ in range(many - 1)))

    @property
    def pixels(self) -> int:
        """Pixels of all pictures."""
        return sum(height * width for height, width in self.shapes)

    def file(self, channels: int) -> bytes:
        """The bytes of the file cut after `channels`. Raises ValueError if there is no cut."""
        return assemble(shorten(self, channels))


def pictures_field(shapes: list[tuple[int, int]]) -> dict[int, bytes]:
    """The field of a file with the pictures of these sizes; none if there is just one."""
    if len(shapes) == 1:
        return {}
    others = b"" if len(set(shapes)) == 1 else b"".join(varint(h) + varint(w) for h, w in shapes[1:])
    return {PICTURES: bytes([len(shapes)]) + others}


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
        code = size_code(max(0, cut - reached))
        reached += coded_size(code)
        codes.append(code)
    return bytes(codes), stream.ljust(reached, b"\0")


def shorten(container: Container, channels: int) -> Container:
    """The file cut after `channels`, which has to be one of its cuts. Raises ValueError if it is not."""
    if channels not in container.cuts:
        raise ValueError(f"there is no cut after {channels} channels, only after {list(container.cuts)}")
    return _cut(container, channels, container.stream[: container.cuts[channels]])


def _cut(container: Container, channels: int, stream: bytes) -> Container:
    groups = -(-channels // container.group)
    return replace(container, channels=channels, sizes=container.sizes[: groups - 1], stream=stream)


def shorten_between(container: Container, channels: int, length: int) -> Container:
    """The file with an end after `channels`, between two cuts, where `length` bytes of the stream are needed."""
    cuts = {cut: size for cut, size in container.cuts.items() if cut < channels}
    length = max([length, *cuts.values()])  # the cuts before stay where they are
    return replace(container, channels=channels, sizes=container.sizes[: len(cuts)], stream=container.stream[:length])


def assemble(container: Container) -> bytes:
    """The bytes of an `.omega` file."""
    body = _head_bytes(container, len(container.stream)) + container.stream
    return body + checksum(body)


def _head_bytes(container: Container, length: int) -> bytes:
    """All before a stream of `length` bytes."""
    small = 1 <= container.height <= 256 and 1 <= container.width <= 256
    coder = CODERS.index(container.coder) if container.coder in CODERS else 0
    group = GROUPS.index(container.group) if container.group in GROUPS else 0
    flags = MODES.index(container.mode) | small << 2 | bool(container.fields) << 3 | group << 4
    head = bytearray(MAGIC + bytes([VERSION << 4 | coder, flags]) + container.fingerprint)
    if small:
        head += bytes([container.height - 1, container.width - 1])
    else:
        head += varint(container.height) + varint(container.width)
    if not coder:
        name = container.coder.encode()
        head += varint(len(name)) + name
    if not group:
        head += varint(container.group)
    if container.fields:
        for number, payload in sorted(container.fields.items()):
            head += bytes([number]) + varint(len(payload)) + payload
        head.append(0)
    last = length - sum(map(coded_size, container.sizes))
    octets = max(1, -(-last.bit_length() // 8))
    lacking = container.groups * container.group - container.channels
    head.append(container.groups - 1 | (lacking > 0) << 5 | octets - 1 << 6)
    if lacking:
        head += varint(lacking)
    return bytes(head) + container.sizes + last.to_bytes(octets, "little")


def fingerprint_of(data: bytes) -> bytes:
    """The first 4 bytes of the fingerprint of the model that a file was made with. Raises FileFormatError."""
    return Arriving(data).head.fingerprint


def parse(data: bytes, *, partial: bool = False) -> Container:
    """The parts of a whole `.omega` file; with `partial`, of what is intact of one that breaks off.

    Raises CutOffError if the file breaks off, DamagedFileError if it was changed, FileFormatError if it is
    something else.
    """
    arriving = Arriving(data)
    container = arriving.head
    start = len(arriving.reader.taken)
    missing = start + arriving.length + CHECKSUM - len(data)
    if missing < 0:
        raise DamagedFileError(f"the file is damaged: {-missing} bytes more than it says. Get it again.")
    if missing == 0:
        arriving.finish()
        return replace(container, stream=data[start:-CHECKSUM])
    there = data[start : start + arriving.length]
    intact = arriving.intact(len(there))
    if partial and intact:
        return shorten(replace(container, stream=there), intact)
    raise _cut_off(missing, intact, container.channels)


class Arriving:
    """An `.omega` file that is read as it arrives.

    head: its parts, but for the stream.
    length: of the stream, in bytes.

    Raises as `parse` does.
    """

    def __init__(self, source: Stream | bytes) -> None:
        self.reader = Reader(source)
        self.head, self.length = _head(self.reader)
        self.start = len(self.reader.taken)

    def up_to(self, channels: int) -> Container:
        """The file cut after `channels`, which has to be one of its cuts, once so much has arrived."""
        cuts = self.head.cuts_of(self.length)
        self.reader.some(self.start + cuts[channels] - len(self.reader.taken))
        there = len(self.reader.taken) - self.start
        if there < cuts[channels]:
            raise _cut_off(self.length + CHECKSUM - there, self.intact(there), self.head.channels)
        if channels == self.head.channels:
            self.finish()
        return _cut(self.head, channels, bytes(self.reader.taken[self.start : self.start + cuts[channels]]))

    def intact(self, there: int) -> int:
        """How many channels are in the first `there` bytes of the stream, whole."""
        return max((n for n, size in self.head.cuts_of(self.length).items() if size <= there), default=0)

    def finish(self) -> None:
        """Read to the end and check what was read."""
        end = self.start + self.length
        self.reader.some(end + CHECKSUM - len(self.reader.taken))
        taken = bytes(self.reader.taken)
        if len(taken) < end + CHECKSUM:
            raise _cut_off(end + CHECKSUM - len(taken), self.head.channels, self.head.channels)
        if checksum(taken[:end]) != taken[end:]:
            raise DamagedFileError("the file is damaged: its checksum does not match. Get it again.")


def _cut_off(missing: int, intact: int, channels: int) -> CutOffError:
    hope = f"Its first {intact} of {channels} channels are intact" if intact else "No channel is intact"
    return CutOffError(f"the file breaks off: {missing} bytes are missing. {hope}.", intact=intact)


def _head(reader: Reader) -> tuple[Container, int]:
    """All but the stream, and how long that is."""
    if reader.some(len(MAGIC)) != MAGIC:
        raise FileFormatError("this is not an .omega file.")
    version, coder_number = divmod(reader.byte(), 16)
    if version != VERSION:
        raise FileFormatError(f"this .omega file has version {version}, this Omega reads version {VERSION}. Update it.")
    flags = reader.byte()
    fingerprint = reader.bytes(4)
    if flags & 4:
        height, width = reader.byte() + 1, reader.byte() + 1
    else:
        height, width = reader.varint(), reader.varint()
    if coder_number >= len(CODERS):
        raise FileFormatError(f"this .omega file has coder number {coder_number}, unknown to this Omega. Update it.")
    coder = CODERS[coder_number] or reader.bytes(reader.varint()).decode(errors="replace")
    group = GROUPS[flags >> 4] or reader.varint()
    fields = _fields(reader) if flags & 8 else {}
    counts = reader.byte()
    groups = (counts & 31) + 1
    lacking = reader.varint() if counts & 32 else 0
    sizes = reader.bytes(groups - 1)
    length = sum(map(coded_size, sizes)) + int.from_bytes(reader.bytes((counts >> 6) + 1), "little")
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
        fields=fields,
    )
    sound = height and width and 0 <= lacking < group and _consistent(container)
    if not sound or _head_bytes(container, length) != bytes(reader.taken):  # there is one way only to write it
        raise DamagedFileError("the file is damaged: its header contradicts itself. Get it again.")
    return container, length


def _fields(reader: Reader) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    while number := reader.byte():
        if number <= max(fields, default=0):
            raise DamagedFileError("the file is damaged: fields of its header are out of order. Get it again.")
        if number not in (TILE, ALPHA, PICTURES) and number < _MAY_BE_IGNORED:
            raise FileFormatError(f"this .omega file has a field {number} that this Omega does not know. Update it.")
        fields[number] = reader.bytes(reader.varint())
    return fields


def _consistent(container: Container) -> bool:
    """Whether the fields are of the form that they have to be of, and fit the mode."""
    try:
        shapes, tile = container.shapes, container.tile
    except (CutOffError, DamagedFileError):
        return False
    rebuilt = pictures_field(list(shapes)) if 1 <= len(shapes) <= MAX_PICTURES else None
    one_way = rebuilt == {n: payload for n, payload in container.fields.items() if n == PICTURES}
    tile_whole = tile is None or (tile > 0 and varint(tile) == container.fields[TILE])
    named = container.coder.count("/") == 1 and container.fields.get(PROFILE) != b""
    opacity = (container.alpha is not None) == ("A" in container.mode)
    return one_way and tile_whole and named and opacity and all(map(all, shapes))
