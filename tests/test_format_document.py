"""A reader of `.omega` files written from packages/omega-core/FORMAT.md alone, and held against omega_core."""

import bisect
import functools
import hashlib
import itertools
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from safetensors import safe_open
from safetensors.numpy import load_file

import omega_core
from omega_core.codec import model_file as modelfile
from omega_core.codec.loading import model_path
from omega_core.codec.model_file import Choice, Description, write_model
from omega_core.plugins.registry import build
from omega_entropy import RegressionPrior

# --- the reader: nothing of Omega, and NumPy only as safetensors gives the arrays of a model file ---------------------

CODERS = {1: "omega-entropy/range", 2: "omega-entropy/torchac", 3: "omega-entropy/fixed", 4: "omega-entropy/raw"}
MODES = ["L", "RGB", "LA", "RGBA"]
TILE, ALPHA, PICTURES, PROFILE = 1, 2, 3, 132


class Refused(ValueError):
    """What the document does not allow."""


def check(condition: bool, what: str) -> None:
    if not condition:
        raise Refused(what)


class Bytes:
    """Takes bytes from the front."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        check(self.at + count <= len(self.data), "ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    def varint(self) -> int:
        value = 0
        for i in range(4):
            byte = self.byte()
            value |= (byte & 127) << 7 * i
            if byte < 128:
                check(byte > 0 or i == 0, "a varint with more bytes than needed")
                return value
        raise Refused("a varint of more than 4 bytes")


def to_varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + to_varint(value >> 7)


def text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Refused(str(error)) from None


def inflate(data: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(data, most + 1)
    except zlib.error as error:
        raise Refused(str(error)) from None
    check(len(plain) <= most and unpacker.eof and not unpacker.unused_data, "not one zlib stream of its size")
    return plain


@dataclass(frozen=True)
class File:
    """What an `.omega` file says."""

    mode: str
    model: bytes
    shapes: list[tuple[int, int]]
    coder: str
    complete: bool
    stream: bytes
    fields: dict[int, bytes]
    start: int  # of the length

    @functools.cached_property
    def tile(self) -> int | None:
        if TILE not in self.fields:
            return None
        data = Bytes(self.fields[TILE])
        side = data.varint()
        check(256 <= side <= 2048 and data.at == len(data.data), "tiles of a size that is not allowed")
        return side

    @functools.cached_property
    def profile(self) -> bytes | None:
        return inflate(self.fields[PROFILE], 4 << 20) if PROFILE in self.fields else None

    @functools.cached_property
    def alpha(self) -> list[bytes]:
        """The plane of each picture; nothing for the modes without."""
        if ALPHA not in self.fields:
            return []
        pixels = sum(height * width for height, width in self.shapes)
        rows = Bytes(inflate(self.fields[ALPHA], pixels) if self.fields[ALPHA] else b"")
        planes = []
        for height, width in self.shapes:
            plane, above = b"", bytes(width)
            for _ in range(height if rows.data else 0):
                above = bytes((a + d) % 256 for a, d in zip(above, rows.take(width), strict=True))
                plane += above
            planes.append(plane or b"\xff" * (height * width))
        check(rows.at == len(rows.data), "alpha is longer than the pictures")
        return planes


def read_fields(data: Bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    while number := data.byte():
        check(number > max(fields, default=0), "fields do not rise")
        check(number in (TILE, ALPHA, PICTURES) or number >= 128, "an unknown field")
        fields[number] = data.take(data.varint())
    check(bool(fields), "no fields where there are said to be some")
    return fields


def read_pictures(content: bytes, first: tuple[int, int]) -> list[tuple[int, int]]:
    data = Bytes(content)
    count = data.byte()
    check(2 <= count <= 64, "a number of pictures that is not allowed")
    if len(content) == 1:
        return [first] * count
    shapes = [first] + [(data.varint(), data.varint()) for _ in range(count - 1)]
    check(data.at == len(content) and len(set(shapes)) > 1 and all(map(all, shapes)), "sizes that do not fit")
    return shapes


def read(whole: bytes, partial: bool = False) -> File:
    """The file, or, where it may break off, what is left of it: as a file that was shortened there."""
    data = Bytes(whole)
    check(data.take(2) == b"\xce\xa9", "not an .omega file")
    version, number = divmod(data.byte(), 16)
    check(version == 2 and number in (0, *CODERS), "a version or a coder that is not known")
    flags = data.byte()
    check(flags < 128, "a flag that is not known")
    mode, model = MODES[flags & 3], data.take(4)
    if flags & 4:
        height, width = data.byte() + 1, data.byte() + 1
    else:
        height, width = data.varint(), data.varint()
        check(height > 0 and width > 0 and max(height, width) > 256, "sizes that have another form")
    coder = CODERS.get(number) or text(data.take(data.varint()))
    check(bool(number) or (coder not in CODERS.values() and "/" in coder), "a name of a coder that is not one")
    fields = read_fields(data) if flags & 8 else {}
    check((ALPHA in fields) == mode.endswith("A"), "alpha and mode do not fit")
    shapes = read_pictures(fields[PICTURES], (height, width)) if PICTURES in fields else [(height, width)]
    start, last = data.at, data.take((flags >> 5 & 3) + 1)
    check(len(last) == 1 or last[-1] > 0, "a length with more bytes than needed")
    length, complete = int.from_bytes(last, "little"), bool(flags & 16)
    if partial and len(data.data) - data.at < length + 4:
        there = min(length, len(data.data) - data.at)
        check(there > 0, "nothing is there")
        return File(mode, model, shapes, coder, complete and there == length, data.take(there), fields, start)
    stream = data.take(length)
    check(zlib.crc32(whole[: data.at]) == struct.unpack("<I", data.take(4))[0], "the checksum is another")
    check(data.at == len(whole), "something follows")
    return File(mode, model, shapes, coder, complete, stream, fields, start)


def shorten(whole: bytes, length: int) -> bytes:
    """The file with the first bytes of the stream."""
    file = read(whole)
    if length == len(file.stream):
        return whole
    said = length.to_bytes(max(1, (length.bit_length() + 7) // 8), "little")
    flags = whole[3] & 0b1111 | (len(said) - 1) << 5
    data = whole[:3] + bytes([flags]) + whole[4 : file.start] + said + file.stream[:length]
    return data + struct.pack("<I", zlib.crc32(data))


def read_pack(whole: bytes) -> list[tuple[File, list[str]]]:
    """The blocks of a pack, with the names of their pictures."""
    data = Bytes(whole)
    check(data.take(2) == b"\xcf\x89" and data.byte() == 1, "not a pack, or of another version")
    index = Bytes(data.take(data.varint()))
    check(zlib.crc32(whole[: data.at]) == struct.unpack("<I", data.take(4))[0], "the checksum is another")
    blocks = [(index.byte() + 1, index.varint()) for _ in range(index.varint())]
    names = text(inflate(index.rest(), 1 << 28)).split("\0")
    check(names.pop() == "" and len(names) == sum(count for count, _ in blocks) > 0, "names do not fit the pictures")
    for name in names:
        check(not {"", ".", ".."} & set(name.split("/")) and not set("\\:") & set(name), "a name that is not allowed")
    check(len(set(names)) == len(names), "a name twice")
    files = [read(data.take(size)) for _, size in blocks]
    check(data.at == len(whole), "something follows")
    check([len(file.shapes) for file in files] == [count for count, _ in blocks], "blocks of other numbers of pictures")
    rest = iter(names)
    return [(file, [next(rest) for _ in file.shapes]) for file in files]


Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ModelFile:
    """What of a model file the symbols need."""

    fingerprint: str
    architecture: str
    block: int
    channels: int
    cumulative: list[list[int]]  # nothing in a model without a prior
    rows: NDArray[np.int64]
    contexts: dict[str, Any]  # nothing in most
    net: dict[str, NDArray[np.int64]]  # nothing in most

    def latent(self, height: int, width: int) -> tuple[int, int]:
        if self.architecture == "omega-core/mnist":
            return 3, 3
        if self.architecture == "omega-core/compact":
            return -(-height // self.block), -(-width // self.block)
        return max(2, -(-height // 16)), max(2, -(-width // 16))

    def steps(self, symbols: NDArray[np.int64]) -> Iterator[tuple[Indices, Indices]]:
        """The places of the symbols of each step of a picture, and the numbers of their tables."""
        if self.net:
            yield from self.with_net(symbols)
        elif self.contexts:
            yield from self.with_contexts(symbols)
        else:
            positions = symbols[0].size
            rows = np.broadcast_to(self.rows, (self.channels, positions)) if self.cumulative else symbols * 0
            rows = rows.reshape(self.channels, positions)
            one = all(after.min() > before.max() for before, after in itertools.pairwise(rows)) or not self.cumulative
            for first in [0] if one else range(self.channels):
                last = self.channels if one else first + 1
                yield np.arange(first * positions, last * positions), rows[first:last].reshape(-1)

    def symbols(self, file: File) -> list[NDArray[np.int64]]:
        """The symbols (C, h, w) of each picture; −1 for those that are missing."""
        check(file.model.hex() == self.fingerprint[:8], "a file of another model")
        check(file.coder in DECODERS, "a coder that is not here")
        if self.architecture == "omega-core/mnist":
            check(set(file.shapes) == {(28, 28)} and "RGB" not in file.mode, "pictures that it does not take")
        else:
            check(file.tile is not None or max(map(max, file.shapes)) <= 2048, "a large picture without tiles")
        pictures = [np.full((self.channels, *self.latent(*shape)), -1) for shape in file.shapes]
        decoder = DECODERS[file.coder](file.stream)
        tables = self.net["ordered"].tolist() if self.net else self.cumulative
        for parts in zip(*(self.steps(picture) for picture in pictures), strict=True):
            coded = [
                (number, picture, place)
                for picture, (places, numbers) in enumerate(parts)
                for place, number in zip(places.tolist(), numbers.tolist(), strict=True)
            ]
            for number, picture, place in sorted(coded, key=lambda each: each[:1]):
                symbol = decoder.next(tables[number] if tables else None)
                if symbol is None:
                    check(not file.complete, "symbols are missing")
                    return pictures
                pictures[picture].reshape(-1)[place] = symbol
        return pictures

    def with_contexts(self, picture: NDArray[np.int64]) -> Iterator[tuple[Indices, Indices]]:
        _, height, width = picture.shape
        for c, stage in itertools.product(range(self.channels), (0, 1)):
            half = [(y, x) for y, x in np.ndindex(height, width) if (y + x) % 2 == stage]
            places = [(c * height + y) * width + x for y, x in half]
            rows = [self.row(picture, c, stage, y, x) for y, x in half]
            yield np.array(places, np.int64), np.array(rows, np.int64)

    def row(self, picture: NDArray[np.int64], c: int, stage: int, y: int, x: int) -> int:
        _, height, width = picture.shape
        known, context = self.contexts, 0
        for m in range(len(known["marks"])):

            def mark(channel: int, down: int, right: int, numbers: Any = known["marks"][m]) -> int:
                return int(numbers[channel][picture[channel, down, right]])

            score = 0
            for n, a in enumerate(known["parents"][c][stage]):
                if a < 0:
                    continue
                here, there = known["weights"][m][c][stage][n]
                around = 0
                for dy, dx in itertools.product((-1, 0, 1), repeat=2):
                    place = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                    around += (0, 2, 1)[abs(dy) + abs(dx)] * mark(a, *place)
                score += here * mark(a, y, x) + there * around
            if stage:
                near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
                near = [(v, h) for v, h in near if 0 <= v < height and 0 <= h < width]
                score += known["own"][m][c] * sum(mark(c, *place) for place in near) * 12 // len(near)
            thresholds = known[f"thresholds.{m}"][c][stage]
            context = context * (len(thresholds) + 1) + sum(score >= threshold for threshold in thresholds)
        rows = self.rows[c]
        return int(rows[stage if len(rows) == 2 else y * width + x if len(rows) > 2 else 0] + context)

    def with_net(self, picture: NDArray[np.int64]) -> Iterator[tuple[Indices, Indices]]:
        net, (_, height, width) = self.net, picture.shape
        first = np.indices((height, width)).sum(0) % 2 == 0
        known, numbers = np.zeros_like(picture), np.zeros_like(picture)  # b and the numbers of tables of all symbols
        total = np.zeros((len(net["inputs"]), height, width), np.int64)

        group = np.searchsorted(net["bounds"], np.arange(len(picture)), side="right")[:, None, None]

        def refining(g: int) -> tuple[Indices, Indices]:
            refines = (known != 0) & (net["latest"] == g)[:, None, None]
            places = np.flatnonzero(refines)
            turn = (2 * group + ~first)[refines]
            places = places[np.argsort(turn, kind="stable")]
            return places, numbers.reshape(-1)[places]

        def fresh(some: Indices, half: NDArray[np.bool_]) -> tuple[Indices, Indices]:
            own = np.zeros(picture.shape, bool)
            own[some] = half & (known[some] == 0)
            return np.flatnonzero(own), numbers[own]

        for g, (start, end) in enumerate(itertools.pairwise(net["bounds"].tolist())):
            some = np.arange(start, end)
            parents = net["parents"][some]
            b = np.where((parents >= 0)[:, None, None], net["levels"][known[parents] + 31, picture[parents]], 0)
            known[some] = b
            kind = np.searchsorted([-3, -1, 0, 1, 2, 4], b, side="right")
            kind[parents < 0] = 7
            shifts = net["shifts"][g][:, :, None, None]
            z = limited(halved(net["bias"][g][:, None, None] + total, shifts[0]), 0)
            for layer in (0, 1):
                d = limited(halved(self.convolved(g, layer, z), shifts[1 + layer]), -127)
                z = limited(halved(self.mixed(g, layer, d), shifts[4 + layer]), 0)
            size, sign = np.minimum(6, np.abs(b)), np.clip(b, -6, 6)
            around = np.stack([neighbors(size, 2, 1), neighbors(sign, 2, 1)], 1) * net["around"][some][..., None, None]
            scores = self.scored("first", 0, some, z) + net["base"][some][..., None, None] + halved(around, 6)
            scores[:, 0] += net["of_kind"][some[:, None, None], kind]
            numbers[some] = self.chosen(some, scores, kind)
            yield fresh(some, first)
            marks = self.marks(b, np.where(first, picture[some], 0)) * first
            weights = net["own"][:, 2 * start : 2 * end]
            o = np.einsum("fm,myx->fyx", weights, marks.reshape(-1, height, width))
            o = limited(halved(o, shifts[7]), -127)
            u = limited(z + halved(self.convolved(g, 2, o), shifts[3]), 0)
            v = limited(halved(self.mixed(g, 2, u), shifts[6]), 0)
            beside = np.stack([neighbors(marks[:, 1], 1, 0), neighbors(marks[:, 0], 1, 0)], 1)
            scores += self.scored("second", 1, some, v) + halved(beside * net["beside"][some][..., None, None], 6)
            scores[:, 0] += net["in_second"][some][:, None, None]
            numbers[some] = np.where(first, numbers[some], self.chosen(some, scores, kind))
            late, own = refining(g), fresh(some, ~first)
            yield np.concatenate([late[0], own[0]]), np.concatenate([late[1], own[1]])
            weights = net["inputs"][:, 2 * start : 2 * end]
            marks = self.marks(b, picture[some])
            total += np.einsum("fm,myx->fyx", weights, marks.reshape(-1, height, width))

    def marks(self, b: NDArray[np.int64], symbols: NDArray[np.int64]) -> NDArray[np.int64]:
        level = self.net["levels"][31, np.where(b == 0, symbols, 0)]
        signed = np.where(b == 0, 2 * np.clip(level, -3, 3), 0)
        return np.stack([signed, np.abs(signed)], 1)

    def convolved(self, g: int, layer: int, x: NDArray[np.int64]) -> NDArray[np.int64]:
        padded, weights = np.pad(x, ((0, 0), (1, 1), (1, 1))), self.net["spatial"][g, layer]
        height, width = x.shape[1:]
        found: NDArray[np.int64] = np.broadcast_to(self.net["spatial_bias"][g, layer][:, None, None], x.shape).copy()
        for dy, dx in np.ndindex(3, 3):
            found += weights[:, dy, dx, None, None] * padded[:, dy : dy + height, dx : dx + width]
        return found

    def mixed(self, g: int, layer: int, x: NDArray[np.int64]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.einsum("fe,eyx->fyx", self.net["mixing"][g, layer], x)
        return found + self.net["mixing_bias"][g, layer][:, None, None]

    def scored(self, name: str, half: int, some: Indices, z: NDArray[np.int64]) -> NDArray[np.int64]:
        rows = np.stack([2 * some, 2 * some + 1], 1)
        summed = np.einsum("cjf,fyx->cjyx", self.net[name][rows], z) + self.net[f"{name}_bias"][rows][..., None, None]
        return halved(summed, self.net["score_shifts"][half][rows][..., None, None])

    def chosen(self, some: Indices, scores: NDArray[np.int64], kind: NDArray[np.int64]) -> NDArray[np.int64]:
        p = np.clip(scores[:, 0] // 16 + 32, 0, 39)
        q = np.clip((scores[:, 1] + 16) // 32, -12, 12)
        tables = 40 * kind + 960 * (kind > 3) + np.where(np.isin(kind, (3, 7)), 25 * p + q + 12, p)
        found: NDArray[np.int64] = self.net["ranks"][self.net["classes"][some][:, None, None], tables]
        return found


def halved(x: NDArray[np.int64], shift: Any) -> NDArray[np.int64]:
    """⌊x / 2^shift + ½⌋."""
    shift = np.asarray(shift)
    up, down = np.maximum(-shift, 0), np.maximum(shift, 0)
    found: NDArray[np.int64] = ((x << up) + np.where(down > 0, 1 << np.maximum(down - 1, 0), 0)) >> down
    return found


def limited(x: NDArray[np.int64], least: int) -> NDArray[np.int64]:
    return np.clip(x, least, 127)


def neighbors(x: NDArray[np.int64], straight: int, diagonal: int) -> NDArray[np.int64]:
    """Weighted sums of the neighbors in the last two dimensions; 0 beyond the edge."""
    height, width = x.shape[-2:]
    padded = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1), (1, 1)])
    found = np.zeros_like(x)
    for dy, dx in np.ndindex(3, 3):
        weight = (0, straight, diagonal)[abs(dy - 1) + abs(dx - 1)]
        found += weight * padded[..., dy : dy + height, dx : dx + width]
    return found


def read_model(path: Path) -> ModelFile:
    with safe_open(path, "numpy") as opened:
        metadata = opened.metadata()
    check(metadata["format"] == "omega 1", "not a model file")
    arrays, said = load_file(path), json.loads(metadata["omega"])
    names = ["architecture", "quantizer", "prior", "latent_channels", "channels", "alphabet", "channels_min"]
    digest = hashlib.sha256(json.dumps({name: said[name] for name in names}, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    check(digest.hexdigest() == metadata["fingerprint"], "the fingerprint is another")
    own = {name.removeprefix("prior."): array for name, array in arrays.items() if name.startswith("prior.")}
    wide = {name: array.astype(np.int64) for name, array in own.items()}
    for name in ("cumulative", "tables"):
        if name in own and own[name].dtype.itemsize == 2:
            wide[name][:, -1] = 2**16
    contexts = {name: array.tolist() for name, array in wide.items()} if "marks" in own else {}
    net = {name.removeprefix("net."): array for name, array in wide.items()} if "tables" in own else {}
    if net:
        net["ordered"] = np.zeros((net["ranks"].size, net["tables"].shape[1]), np.int64)
        for ranks in net["ranks"]:
            net["ordered"][ranks] = net["tables"]
    cumulative = wide["cumulative"].tolist() if "cumulative" in wide else []
    rows = wide.get("rows", np.zeros((0, 1), np.int64))
    architecture, channels = said["architecture"], said["channels"]
    block = architecture["options"].get("block", 16)
    return ModelFile(metadata["fingerprint"], architecture["name"], block, channels, cumulative, rows, contexts, net)


def to_begins(table: list[int]) -> list[int]:
    S = len(table) - 1
    return [count * (2**24 - S) // 2**16 + s for s, count in enumerate(table)]


class RangeDecoder:
    """Decodes the symbols that a stream determines: it has an interval of the numbers that begin with it."""

    def __init__(self, stream: bytes) -> None:
        self.stream, self.following, self.width = stream, 8, 2**64 - 1
        self.ahead = int.from_bytes(stream[:8].ljust(8, b"\0"), "big")  # the least such number − low
        self.unknown = 256 ** max(0, 8 - len(stream)) - 1  # how much more others are

    def next(self, table: list[int] | None) -> int | None:
        check(table is not None, "a model without probabilities")
        assert table is not None
        begins, unit = to_begins(table), self.width >> 24
        share, last = self.ahead // unit, (self.ahead + self.unknown) // unit
        s = bisect.bisect_right(begins, share) - 1
        if share >= 2**24 or last >= begins[s + 1]:
            return None
        self.ahead, self.width = self.ahead - unit * begins[s], unit * (begins[s + 1] - begins[s])
        if self.width < 2**32:
            words = self.stream[self.following : self.following + 4]
            missing = 4 - len(words)
            self.ahead = self.ahead << 32 | int.from_bytes(words.ljust(4, b"\0"), "big")
            self.unknown = self.unknown << 32 | 256**missing - 1
            self.width, self.following = self.width << 32, self.following + 4
        return s


class FixedDecoder:
    def __init__(self, stream: bytes) -> None:
        self.bits = "".join(f"{byte:08b}" for byte in stream)

    def next(self, table: list[int] | None) -> int | None:
        assert table is not None
        many = (len(table) - 2).bit_length()  # ⌈log₂ S⌉
        taken, self.bits = self.bits[:many], self.bits[many:]
        if len(taken) < many:
            return None
        check(int(taken, 2) < len(table) - 1, "a symbol that the tables do not have")
        return int(taken, 2)


class RawDecoder:
    def __init__(self, stream: bytes) -> None:
        self.stream = Bytes(stream)

    def next(self, table: list[int] | None) -> int | None:
        if self.stream.at + 4 > len(self.stream.data):
            return None
        (symbol,) = struct.unpack("<I", self.stream.take(4))
        check(table is None or symbol < len(table) - 1, "a symbol that the tables do not have")
        return int(symbol)


DECODERS: dict[str, Any] = {CODERS[1]: RangeDecoder, CODERS[3]: FixedDecoder, CODERS[4]: RawDecoder}


# --- what it is held against ------------------------------------------------------------------------------------------

GOLDEN = Path(__file__).parent / "golden"
FANCY = """
import omega_core

@omega_core.hookimpl
def omega_register_coders():
    return [omega_core.Component(name="rans", target="omega_entropy:FixedCoder", summary="fixed by another name")]
"""

Untrained = Callable[..., Path]


def painted(height: int, width: int, mode: str) -> Image.Image:
    """A picture with ramps, edges and some noise."""
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(height * width).integers(0, 40, (height, width))
    bands = [(rows * (3 + 2 * i) + columns * (7 - i) + (columns // 9 % 2) * 60 + noise) % 256 for i in range(len(mode))]
    return Image.merge(mode, [Image.fromarray(band.astype(np.uint8)) for band in bands])


def compared(model: Any, known: ModelFile, data: bytes) -> File:
    """Reads a file of one picture, after checking that Omega finds the same in it."""
    file = read(data)
    symbols, parsed = model.decode(data)
    [own] = known.symbols(file)
    assert np.array_equal(own, symbols)
    header = parsed.header
    assert (file.mode, tuple(file.shapes), file.coder) == (header.mode, header.sizes, header.coder)
    assert (file.complete, len(file.stream), file.tile) == (header.complete, header.length, header.tile)
    return file


def shortened(model: Any, known: ModelFile, data: bytes, count: int = 7) -> None:
    """Compare the file at some numbers of bytes of its stream, and how it is shortened."""
    length = len(read(data).stream)
    for short in sorted({0, 1, *np.linspace(0, length, count).astype(int).tolist()}):
        shorter = shorten(data, short)
        if short:
            assert shorter == omega_core.truncate(data, max_bytes=len(shorter))
        compared(model, known, shorter)


def checked(data: bytes) -> File:
    """The file, of which everything has been read."""
    file = read(data)
    _ = file.tile, file.alpha, file.profile
    return file


@pytest.fixture(scope="module")
def small(untrained: Untrained) -> tuple[Any, ModelFile]:
    """A model for color pictures, of 11 symbols: not a power of two."""
    path = untrained("openimages", channels=5, symbols=11, latent=8, width=4)
    return omega_core.load_model(path), read_model(path)


def write(path: Path, architecture: str, quantizer: str, cumulative: NDArray[np.int32] | None, channels: int) -> Path:
    """Writes a model of which the first channel alone says something: all others have symbol 0 everywhere."""
    torch.manual_seed(0)
    sizes = {"latent_channels": 4, "channels": channels, "alphabet": 0 if cumulative is None else 16}
    parts = {
        "architecture": build("architecture", architecture, {}, latent_channels=4),
        "quantizer": build("quantizer", quantizer, {}, **sizes),
    }
    arrays = {
        f"{kind}.{name}": array.numpy() for kind, part in parts.items() for name, array in part.state_dict().items()
    }
    if cumulative is not None:
        arrays["quantizer.weight"][1:] = arrays["quantizer.bias"][1:] = 0
        arrays |= {
            "prior.cumulative": cumulative,
            "prior.rows": np.minimum(np.arange(channels), 1)[:, None].astype("i4"),
        }
    description = Description(
        architecture=Choice(name=f"omega-core/{architecture}"),
        quantizer=Choice(name=f"omega-quant/{quantizer}"),
        prior=None if cumulative is None else Choice(name="omega-entropy/static"),
        coder="omega-entropy/raw" if cumulative is None else "omega-entropy/range",
        channels_min=0,
        **sizes,
    )
    write_model(path, description, arrays)
    return path


def test_golden_files_are_read() -> None:
    model, known = omega_core.load_model(GOLDEN / "model.safetensors"), read_model(GOLDEN / "model.safetensors")
    assert known.fingerprint == model.fingerprint
    for count in (2, 4):
        data = (GOLDEN / f"{count}-channels.omega").read_bytes()
        file = compared(model, known, data)
        assert (file.complete, file.shapes, file.mode) == (count == 4, [(28, 28)], "L")
        assert len(data) - len(file.stream) == 15


@pytest.mark.parametrize("name", ["compact", "compact-screen", "compact-small", "mnist-omega-16", "mnist-integer-16"])
def test_files_of_the_bundled_models_are_read(name: str) -> None:
    model, known = omega_core.load_model(name), read_model(model_path(name))
    picture = painted(28, 28, "L") if "mnist" in name else painted(50, 70, "RGB")
    shortened(model, known, model.compress(picture))


@pytest.mark.parametrize("coder", ["range", "fixed", "raw"])
@pytest.mark.parametrize(
    ("height", "width", "mode"),
    [(1, 1, "L"), (20, 31, "RGB"), (33, 17, "LA"), (256, 256, "L"), (257, 3, "RGBA"), (40, 1100, "RGB")],
)
def test_files_of_every_size_mode_and_coder_are_read(
    small: tuple[Any, ModelFile], coder: str, height: int, width: int, mode: str
) -> None:
    model, known = small
    file = compared(model, known, model.compress(painted(height, width, mode), coder=coder))
    assert (file.shapes, file.mode, file.coder) == ([(height, width)], mode, f"omega-entropy/{coder}")
    assert file.tile == (1024 if width > 1024 else None)


def test_files_of_any_length_are_what_omega_makes(small: tuple[Any, ModelFile], untrained: Untrained) -> None:
    path = untrained("mnist", channels=33, symbols=7, latent=8)
    many = omega_core.load_model(path), read_model(path)
    for model, known in (small, many):
        for coder in ("range", "fixed"):
            shortened(model, known, model.compress(painted(28, 28, "LA"), coder=coder), count=30)


def test_symbols_that_take_no_bytes_are_determined(tmp_path: Path) -> None:
    cumulative = np.stack([np.arange(17) * 4096, np.r_[0, np.arange(65536 - 15, 65537)]]).astype(np.int32)
    path = write(tmp_path / "model.safetensors", "openimages", "omega", cumulative, 4)
    model, known = omega_core.load_model(path), read_model(path)
    for height in (16, 208, 592):
        shortened(model, known, model.compress(painted(height, 48, "L")))


def test_symbols_of_the_quantizer_identity_are_the_bits_of_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "model.safetensors", "mnist", "identity", None, 4)
    model, known = omega_core.load_model(path), read_model(path)
    assert known.fingerprint == model.fingerprint
    file = compared(model, known, model.compress(painted(28, 28, "L")))
    assert file.coder == "omega-entropy/raw"
    [symbols] = known.symbols(file)
    assert np.isfinite(symbols.astype(np.uint32).view(np.float32)).all()


def test_a_stream_has_the_fewest_bytes_that_determine_its_symbols(small: tuple[Any, ModelFile]) -> None:
    model, known = small
    for height, width in ((28, 28), (100, 60), (40, 1100)):
        data = model.compress(painted(height, width, "RGB"))
        file = compared(model, known, data)
        [symbols] = known.symbols(read(shorten(data, len(file.stream) - 1)))
        assert (symbols == -1).any()


def test_contexts_are_those_of_the_document(untrained: Untrained, omega_here: Any, tmp_path: Path) -> None:
    for architecture, sizes, mode in (
        ("openimages", [(100, 60), (17, 40), (70, 90)], "RGB"),
        ("mnist", [(28, 28)], "L"),
    ):
        shape = {} if architecture == "mnist" else {"width": 4}
        path = untrained(architecture, channels=5, symbols=11, latent=8, **shape)
        plain = omega_core.load_model(path)
        prior = RegressionPrior(
            channels=5, alphabet=11, latent_size=(3, 3) if architecture == "mnist" else None, parents=3
        )
        prior.recount()
        for number in range(12):
            height, width = sizes[number % len(sizes)]
            symbols = plain.encode(painted(height, width, mode).rotate(30 * number)).symbols
            prior.observe(torch.from_numpy(symbols)[None], torch.tensor([5]))
        file = modelfile.read_model(path)
        arrays = {name: array for name, array in file.arrays.items() if not name.startswith("prior.")}
        arrays |= {f"prior.{name}": array for name, array in prior.freeze().arrays().items()}
        path = tmp_path / f"{architecture}.safetensors"
        write_model(path, replace(file.description, prior=Choice(name="omega-entropy/regression")), arrays)
        model, known = omega_core.load_model(path), read_model(path)
        assert any(any(each) for each in known.contexts["own"])
        for height, width in sizes:
            shortened(model, known, model.compress(painted(height, width, mode)))
        folder = tmp_path / f"{architecture}-pictures"
        folder.mkdir()
        for number, (height, width) in enumerate([*sizes, *sizes]):
            painted(height, width, mode).save(folder / f"{number}.png")
        said = omega_here("compress", folder, "--output", tmp_path / "packed", "--model", path, "--pack")
        assert said.returncode == 0, said.stderr
        for block, names in read_pack((tmp_path / "packed" / f"{folder.name}.omega").read_bytes()):
            for found, name in zip(known.symbols(block), names, strict=True):
                assert np.array_equal(found, model.encode(folder / f"{name}.png").symbols)


def test_alpha_and_profile_come_back(small: tuple[Any, ModelFile]) -> None:
    model, known = small
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for mode in ("LA", "RGBA"):
        picture = painted(50, 70, mode)
        picture.info["icc_profile"] = profile[:16] + (b"RGB " if mode == "RGBA" else b"GRAY") + profile[20:]
        data = model.compress(picture)
        for file in (compared(model, known, data), read(shorten(data, 20))):
            assert file.profile == picture.info["icc_profile"]
            assert file.alpha == [picture.getchannel("A").tobytes()]
        picture.putalpha(255)
        file = read(model.compress(picture))
        assert file.fields[ALPHA] == b""
        assert file.alpha == [b"\xff" * 3500]


def test_packs_are_read(small: tuple[Any, ModelFile], untrained: Untrained, omega_here: Any, tmp_path: Path) -> None:
    model, known = small
    path = untrained("openimages", channels=5, symbols=11, latent=8, width=4)
    pictures = {
        "a": painted(20, 30, "RGB"),
        "b/c": painted(33, 18, "RGB"),
        "b/é": painted(20, 30, "LA"),
        "d": painted(9, 300, "LA"),
        "e": painted(20, 30, "LA"),
        "f": painted(20, 30, "L"),
    }
    for name, picture in pictures.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(tmp_path / "in" / f"{name}.png")
    said = omega_here("compress", tmp_path / "in", "--output", tmp_path / "out", "--model", path, "--pack")
    assert said.returncode == 0, said.stderr
    blocks = read_pack((tmp_path / "out" / "in.omega").read_bytes())
    assert sorted(name for _, names in blocks for name in names) == sorted(pictures)
    assert max(len(names) for _, names in blocks) > 1
    for file, names in blocks:
        for found, name in zip(known.symbols(file), names, strict=True):
            assert np.array_equal(found, model.encode(pictures[name]).symbols)
        assert file.shapes == [pictures[name].size[::-1] for name in names]
        assert {file.mode} == {pictures[name].mode for name in names}
        if file.mode.endswith("A"):
            assert file.alpha == [pictures[name].getchannel("A").tobytes() for name in names]
    whole = (tmp_path / "out" / "in.omega").read_bytes()
    shorter = read_pack(omega_core.truncate(whole, max_bytes=len(whole) - 20))
    for (file, names), (before, expected) in zip(shorter, blocks, strict=True):
        assert names == expected
        assert file.stream == before.stream[: len(file.stream)] != before.stream
        for found, known_before in zip(known.symbols(file), known.symbols(before), strict=True):
            assert np.array_equal(found[found >= 0], known_before[found >= 0])


def test_a_file_that_breaks_off_has_what_is_there(small: tuple[Any, ModelFile]) -> None:
    model, known = small
    whole = model.compress(painted(60, 50, "RGBA"))
    for length in range(0, len(whole), 3):
        with pytest.raises(Refused):
            read(whole[:length])
        try:
            symbols, parsed = model.decode(whole[:length], partial=True)
        except omega_core.OmegaError:
            with pytest.raises(Refused):
                read(whole[:length], partial=True)
        else:
            file = read(whole[:length], partial=True)
            assert (len(file.stream), file.complete) == (parsed.header.length, parsed.header.complete)
            assert np.array_equal(known.symbols(file)[0], symbols)


def test_a_coder_without_a_number_is_named(omega: Any, tmp_path: Path) -> None:
    plugin, installed = tmp_path / "site", tmp_path / "site" / "omega_fancy-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: omega-fancy\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[omega]\nomega-fancy = omega_fancy\n")
    (plugin / "omega_fancy.py").write_text(FANCY)
    picture, path = painted(30, 30, "RGB"), tmp_path / "model.safetensors"
    picture.save(tmp_path / "a.png")
    write(path, "openimages", "omega", np.stack([np.arange(17) * 4096] * 2).astype(np.int32), 4)
    arguments = ("compress", tmp_path / "a.png", "--output", tmp_path, "--model", path, "--coder", "rans")
    said = omega(*arguments, PYTHONPATH=str(plugin))
    assert said.returncode == 0, said.stderr
    data = (tmp_path / "a.omega").read_bytes()
    file, known = read(data), read_model(path)
    assert file.coder == "omega-fancy/rans"
    assert data[2] == 0x20
    fixed = replace(file, coder="omega-entropy/fixed")
    assert np.array_equal(known.symbols(fixed)[0], omega_core.load_model(path).encode(picture).symbols)
    assert shorten(data, 5) == omega_core.truncate(data, max_bytes=len(shorten(data, 5)))


def test_damaged_files_are_refused_as_omega_refuses_them(small: tuple[Any, ModelFile]) -> None:
    model, known = small
    random = np.random.default_rng(0)
    seen = set()
    files = [
        model.compress(painted(20, 30, "RGBA")),
        model.compress(painted(300, 20, "L"), coder="fixed"),
        (GOLDEN / "4-channels.omega").read_bytes(),
    ]
    for _ in range(600):
        data = files[random.integers(len(files))]
        changed = bytearray(data[:-4])
        changed[random.integers(2, read(data).start + 6)] ^= 1 << random.integers(8)
        if changed[2] & 15 == 2:
            continue  # torchac, which is not here
        forged = bytes(changed) + struct.pack("<I", zlib.crc32(changed))
        with pytest.raises(Refused):
            read(bytes(changed) + data[-4:])
        try:
            symbols = model.decode(forged)[0]
            model.decompress_all(forged)
        except omega_core.OmegaError:
            seen.add("refused")
            with pytest.raises(Refused):
                known.symbols(checked(forged))
        else:
            seen.add("read")
            assert np.array_equal(known.symbols(checked(forged))[0], symbols)
    assert seen == {"read", "refused"}
