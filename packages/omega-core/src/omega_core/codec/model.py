"""`Model`: a trained codec that compresses pictures to `.omega` files and decompresses them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, cached_property
from numbers import Integral
from os import PathLike
from typing import TYPE_CHECKING, TypeVar

from PIL import Image

from omega_core.codec.decoding import GrowingPicture, PictureMaker
from omega_core.codec.description import Description
from omega_core.codec.encoding import Encoded, RateEncoder
from omega_core.codec.file_codec import FileCodec
from omega_core.codec.memory import DecodingMemory, default_max_memory
from omega_core.codec.picture_encoder import PictureEncoder
from omega_core.codec.pixel_codec import BATCH_PIXELS
from omega_core.coders import specified_coder, specified_name
from omega_core.coding.order import geometric_counts
from omega_core.coding.tables import Symbols
from omega_core.contracts.coder import Coder
from omega_core.errors import (
    CoderError,
    ComponentError,
    DamagedFileError,
    ImageError,
    OmegaWarning,
    RateError,
    WrongModelError,
)
from omega_core.file_io import Source, bytes_of
from omega_core.format.binary import Stream
from omega_core.format.file import OmegaFile
from omega_core.format.header import FINGERPRINT, Header
from omega_core.format.limits import MAX_PICTURES, MAX_SHARED_PIXELS
from omega_core.format.rate_control import Rate
from omega_core.format.streaming import StreamingFile
from omega_core.images.alpha_and_profile import compress_planes, compress_profile
from omega_core.images.invisible import without_invisible_colors
from omega_core.images.pictures import MAX_PIXELS, Picture, check_size
from omega_core.images.reading import PictureLike, read_picture
from omega_core.locations import Url, location_of
from omega_core.plugins.registry import registry, resolve

if TYPE_CHECKING:
    from omega_core.codec.symbol_search import SymbolSearch

Item = TypeVar("Item")

TILE_SIZE = 1024
"""The side, in pixels, of the tiles of pictures with a longer side."""
TILE_SIZES = range(256, 2049)
"""Accepted sides of tiles, in pixels. A picture with a longer side has to be coded in overlapping tiles, so that its
memory is bounded."""

EFFORTS = (0, 1, 4, 16)
"""The number of steps of the search for better symbols, by effort (0 to 3)."""

GROWTH = 1.25
"""By default, a picture is decoded again when its stream has grown by this factor."""
_FIRST_BYTES = 100  # bytes of the stream that have to arrive before the first picture is decoded


class Model(PictureEncoder):
    """A trained architecture, quantizer and frozen prior, for use without gradients. `load_model` returns it.

    file_codec: codes pictures for files with the model's components.
    description: the description in the model file.
    fingerprint: the fingerprint of the model, 64 hexadecimal digits.
    max_pixels: maximum number of pixels of a picture; larger pictures are refused before memory is allocated.
    max_memory: maximum number of bytes for decoding a file, besides the model. Files that may need more are neither
        decoded nor encoded. Default: the environment variable OMEGA_MAX_MEMORY, in MiB, or 4 GiB if it is not set.
    search: creates the search for better symbols when it is first needed, and raises ComponentError if the model does
        not support it; None for a runtime without a search.

    codec: the `codec` of `file_codec`, which transforms pictures: an `ImageCodec`, or another runtime.
    tile_size: the side, in pixels, of the tiles of larger pictures, if the architecture is local.
    """

    def __init__(
        self,
        file_codec: FileCodec,
        description: Description,
        fingerprint: str,
        *,
        max_pixels: int = MAX_PIXELS,
        max_memory: int | None = None,
        search: Callable[[], SymbolSearch] | None = None,
    ) -> None:
        self.file_codec, self.codec = file_codec, file_codec.codec
        self._make_search = search
        self.description = description
        self.fingerprint = fingerprint
        self.max_pixels = max_pixels
        self.max_memory = default_max_memory() if max_memory is None else max_memory
        self.tile_size = TILE_SIZE

    def __repr__(self) -> str:
        described = self.description
        parts = (described.architecture, described.quantizer, described.prior)
        names = ", ".join(choice.name for choice in parts if choice is not None)
        rates = (
            f"{described.fewest_channels} to {described.channels}" if described.adaptive else f"{described.channels}"
        )
        colors = "gray" if self.codec.colors == 1 else "RGB"
        return f"<Model {self.fingerprint[:8]}: {names}; {rates} channels; {colors}>"

    @property
    def channels(self) -> int:
        """C, the number of channels of a whole file."""
        return self.description.channels

    @cached_property
    def memory(self) -> DecodingMemory:
        """The memory that decoding takes."""
        return replace(self.codec.decoding_memory(), coding=self.file_codec.prior.coding_memory)

    @property
    def _most_pixels(self) -> int:
        """The maximum number of pixels of all pictures of one file together."""
        return max(self.max_pixels, MAX_SHARED_PIXELS)

    def encode(
        self, picture: PictureLike | Picture, *, coder: str | None = None, counts: Sequence[int] = ()
    ) -> Encoded:
        """Encode all channels of a picture.

        picture: as for `compress`.
        coder: the name of a coder. Default: the coder of the model.
        counts: rising numbers of channels, from 1 to C, for `Encoded.lengths`. Default: `channel_counts`.

        Raises ImageError for an unusable picture, RateError for invalid counts, NotEnoughMemoryError if decoding the
        file may take more than `max_memory`, ComponentError or CoderError for an unusable coder.
        """
        possible = range(1, self.channels + 1) if self.description.adaptive else [self.channels]
        if list(counts) != sorted(set(counts)) or not all(count in possible for count in counts):
            raise RateError(f"{list(counts)} are not rising numbers of channels of this model.", channels=possible)
        return self._encode([self.read(picture)], coder, counts or self.channel_counts)

    @property
    def channel_counts(self) -> list[int]:
        """The numbers of channels at which a curve is measured: `geometric_counts`, or C for a model with one rate."""
        return geometric_counts(self.channels) if self.description.adaptive else [self.channels]

    def encode_together(
        self, pictures: Sequence[Picture], *, channels: int | None = None, coder: str | None = None
    ) -> OmegaFile:
        """Encode up to 64 small pictures to one file, so that they share its header.

        pictures: the pictures, all with the same mode and ICC profile.
        channels: the number of channels to keep. Default: all.
        coder: the name of a coder. Default: the coder of the model.

        Raises ImageError for pictures that do not fit one file, and otherwise as `encode_at_rate` does.
        """
        if not 1 <= len(pictures) <= MAX_PICTURES or len({(each.mode, each.profile) for each in pictures}) > 1:
            raise ImageError(f"one file has 1 to {MAX_PICTURES} pictures, all of one mode and color profile.")
        pictures = [self.read(picture) for picture in pictures]
        pixels, most = sum(height * width for height, width in (each.size for each in pictures)), self._most_pixels
        if pixels > most:
            raise ImageError(f"one file has at most {most} pixels, not {pixels}: take fewer pictures.")
        self.check_rate(Rate(channels=channels))
        encoded = self._encode(pictures, coder, [channels or self.channels])
        return encoded.whole.truncated(encoded.lengths[channels or self.channels])

    def read(self, picture: PictureLike | Picture) -> Picture:
        """Return a `Picture` without invisible colors; read it unless it is one.

        Raises ImageError, also for more than `max_pixels`.
        """
        if isinstance(picture, Picture):
            height, width = picture.size
            check_size(width, height, self.max_pixels)
            return without_invisible_colors(picture)
        try:
            return without_invisible_colors(read_picture(picture, max_pixels=self.max_pixels))
        except ImageError as problem:
            if not isinstance(picture, (str, PathLike, Url)):
                raise
            raise ImageError(f"{location_of(picture)}: {problem}") from problem

    def _encode(self, pictures: Sequence[Picture], coder: str | None, counts: Sequence[int]) -> Encoded:
        """Encode all channels of pictures. counts: rising numbers of channels, for `Encoded.lengths`."""
        header = self._header(pictures, coder)
        symbols = self.file_codec.symbols_of_all([picture.pixels for picture in pictures], tile=header.tile)
        return Encoded.of(self.file_codec.coded(symbols), _coder(header.coder), header, counts)

    def _header(self, pictures: Sequence[Picture], coder: str | None) -> Header:
        """Return the header of a file with these pictures, with 0 as the length of its stream.

        It has tiles if a side of a picture is longer than `tile_size` and the architecture is local. Raises as `encode`
        does.
        """
        first, shapes = pictures[0], [picture.size for picture in pictures]
        for picture in pictures:
            self.file_codec.check(picture.pixels)
        if self.tile_size not in TILE_SIZES:
            raise ImageError(f"tiles have {TILE_SIZES[0]} to {TILE_SIZES[-1]} pixels a side, not {self.tile_size}.")
        tile = self.tile_size if self.codec.takes_tiles and max(map(max, shapes)) > self.tile_size else None
        self.memory.check(shapes, tile, self.max_memory)
        planes = [picture.alpha for picture in pictures if picture.alpha is not None]
        return Header(
            fingerprint=bytes.fromhex(self.fingerprint)[:FINGERPRINT],
            coder=self._coder_name(coder),
            mode=first.mode,
            sizes=tuple(shapes),
            length=0,
            tile=tile,
            alpha=compress_planes(planes) if planes else None,
            profile=compress_profile(first.profile) if first.profile else b"",
        )

    def encode_at_rate(
        self,
        picture: PictureLike | Picture,
        rate: Rate,
        *,
        coder: str | None = None,
        effort: int = 0,
        name: str = "the picture",
    ) -> OmegaFile:
        """Encode a picture to a file of a given rate: the file with all symbols, truncated.

        picture: one picture, as for `compress`.
        rate: the number of channels, size or quality of the file.
        coder: the name of a coder. Default: the coder of the model.
        effort: from 0 to 3. With 0, each value of the latent has its nearest symbol. Otherwise, `EFFORTS[effort]` steps
            of a search change symbols to improve the trade-off between rate and distortion at this rate. If the rate is
            a number of channels, the file may become larger. Truncated to lower rates, it is about as good as with
            effort 0. Decoding is the same. For pictures other than photos, more effort is not always better.
        name: the name of the picture, for warnings.

        Raises as `compress` does. Warns (OmegaWarning) if the whole file does not reach the PSNR of the rate.
        """
        self.check_rate(rate)
        self.check_effort(effort)
        file, reached = self.encode_towards(picture, rate, coder=coder, effort=effort)
        warn_if_missed(rate, reached, name)
        return file

    def encode_towards(
        self, picture: PictureLike | Picture, rate: Rate, *, coder: str | None = None, effort: int = 0
    ) -> tuple[OmegaFile, float]:
        """Encode a picture as `encode_at_rate` does, without a warning, and without `check_rate` and `check_effort`.

        picture, rate, coder, effort: as for `encode_at_rate`.

        Returns the file, and the PSNR of its picture in dB if the rate is a PSNR; otherwise inf.
        """
        read = self.read(picture)
        header = self._header([read], coder)
        encoder = RateEncoder(self.file_codec, _coder(header.coder), header, read, rate)
        if not effort:
            cut = encoder.cut(self.file_codec.symbols(read.pixels, tile=header.tile))
            return cut.file, cut.psnr
        symbols, file, reached = self._searched(encoder, EFFORTS[effort])
        cut = encoder.cut(symbols)
        # for a wanted PSNR, the file of the searched symbols may miss it or be larger: keep the first file then
        if file is not None and (cut.psnr < min(reached, rate.psnr or 0.0) or cut.length > file.header.length):
            return file, reached
        return cut.file, cut.psnr

    def _searched(self, encoder: RateEncoder, steps: int) -> tuple[Symbols, OmegaFile | None, float]:
        """Search for better symbols (C, h, w) of a picture.

        Returns them and, if the rate is a PSNR, the file of the nearest symbols and its PSNR in dB (else None, inf).
        """
        pixels, file, reached = encoder.picture.pixels, None, math.inf
        latent = self._search.latent_of(pixels, tile=encoder.header.tile)
        nearest = self._search.nearest(latent)
        if encoder.rate.psnr is None:
            known = encoder.known(nearest)
        else:
            cut = encoder.cut(nearest)
            known, file, reached = cut.known(), cut.file, cut.psnr
            del cut  # for a large picture, it takes as much memory as the search
        del nearest
        return self._search.symbols_of(pixels, latent, known, steps), file, reached

    @cached_property
    def _search(self) -> SymbolSearch:
        """The search for better symbols. Raises ComponentError if there is none."""
        if self._make_search is None:
            advice = "use effort 0, or the .safetensors file"
            raise ComponentError(f"an exported model cannot search for better symbols: {advice}.")
        return self._make_search()

    def check_effort(self, effort: int) -> None:
        """Raise RateError for an invalid effort, ComponentError for an effort above 0 if the model has no search."""
        if not isinstance(effort, Integral) or isinstance(effort, bool) or effort not in range(len(EFFORTS)):
            raise RateError(f"the effort is a whole number from 0 to {len(EFFORTS) - 1}, not {effort!r}.")
        if effort:
            _ = self._search

    def check_rate(self, rate: Rate) -> None:
        """Raise RateError for a rate that the model lacks; warn (OmegaWarning) if it was not trained for the rate."""
        exact = rate.whole_channels(self.channels)
        if not self.description.adaptive and exact != self.channels:
            raise RateError(
                f"this model has one rate, {self.channels} channels; only models that are trained for several numbers"
                " of channels have others.",
                channels=[self.channels],
            )
        if exact is None:
            return
        if not 1 <= exact <= self.channels:
            possible = range(1, self.channels + 1)
            raise RateError(f"{exact} channels: this model has 1 to {self.channels}.", channels=possible)
        least = self.description.fewest_channels
        if exact < least:
            warnings.warn(f"{exact} channels: this model was trained for {least} and more.", OmegaWarning, stacklevel=3)

    def check_coder(self, coder: str | None) -> None:
        """Raise ComponentError for a coder that is not installed or cannot be imported. coder: its name, or None."""
        _coder(self._coder_name(coder))

    def decompress(self, source: Source, *, partial: bool = False) -> Image.Image:
        """Decompress an `.omega` file to a Pillow image.

        source: the bytes of the file, its path, or an open binary file.
        partial: whether to decode what has arrived of an incomplete file, instead of raising CutOffError.

        Raises FileFormatError for damaged bytes, WrongModelError for a file of another model, CoderError for a file
        that has too many pixels, NotEnoughMemoryError for one that may take more than `max_memory`, ImageError for a
        file with several pictures, OmegaError if the source cannot be read.
        """
        return self.decompress_picture(source, partial=partial).to_pillow()

    def decompress_picture(self, source: Source, *, partial: bool = False) -> Picture:
        """Decompress as `decompress` does, to a `Picture` with `pixels`, `to_array()` and `to_tensor()`."""
        file = OmegaFile.parse(bytes_of(source), partial=partial)
        _single(self._checked(file.header))  # otherwise, all of several pictures would be decoded
        [found] = self._decompressed(file)
        return found

    def decompress_all(self, source: Source, *, partial: bool = False) -> list[Image.Image]:
        """Decompress all pictures of an `.omega` file. Arguments and errors are those of `decompress`."""
        file = OmegaFile.parse(bytes_of(source), partial=partial)
        return [picture.to_pillow() for picture in self._decompressed(file)]

    def _decompressed(self, file: OmegaFile) -> list[Picture]:
        symbols = self._decode(file)
        return PictureMaker(self.file_codec, file.header).pictures(symbols)

    def decompress_each(self, files: Sequence[bytes]) -> list[Picture]:
        """Decompress several files; pictures of one size go through the synthesis in batches.

        files: the bytes of `.omega` files with one picture each.

        Raises as `decompress` does.
        """
        parsed = [OmegaFile.parse(data) for data in files]
        groups: dict[tuple[str, int | None], list[int]] = {}
        for index, file in enumerate(parsed):
            _single(file.header.sizes)
            groups.setdefault((file.header.mode, file.header.tile), []).append(index)
        found: dict[int, Picture] = {}
        for (_, tile), indices in groups.items():
            symbols = [self._decode(parsed[index])[0] for index in indices]
            headers = [parsed[index].header for index in indices]
            makers = [PictureMaker(self.file_codec, header) for header in headers]  # once headers are checked
            sizes = [maker.sizes[0] for maker in makers]
            pixels = self.file_codec.pixels_of_all(symbols, sizes, tile=tile, colors=makers[0].colors)
            for index, maker, own in zip(indices, makers, pixels, strict=True):
                [found[index]] = maker.completed([own])
        return [found[index] for index in range(len(files))]

    def decompress_progressively(
        self, stream: Stream | bytes | StreamingFile, *, growth: float = GROWTH
    ) -> Iterator[Image.Image]:
        """Yield better and better pictures of an `.omega` file, as soon as the bytes for each have arrived.

        stream: the source of the file: an open file, a pipe, a server response, or bytes.
        growth: the factor, above 1, by which the stream grows from one picture to the next.

        The last picture is that of the whole file. `info["stream_bytes"]` of each is the number of bytes of the stream
        that were decoded. Raises as `decompress` does, after the pictures of the bytes that arrived.
        """
        arriving = stream if isinstance(stream, StreamingFile) else StreamingFile(stream)
        growing = self.growing_picture(arriving.header)
        for length in _growing_lengths(arriving.header.length, growth):
            picture = growing.decode(arriving.up_to(length)).to_pillow()
            picture.info["stream_bytes"] = length
            yield picture

    def decompress_prefixes(self, source: Source, lengths: Sequence[int]) -> Iterator[Picture]:
        """Yield the pictures of an `.omega` file truncated to each of `lengths`, decoding each symbol only once.

        source: as for `decompress`.
        lengths: rising numbers of bytes of the stream.

        Pictures go through the synthesis in batches. Raises ValueError if the numbers do not rise, and as `decompress`
        does.
        """
        if list(lengths) != sorted(lengths):
            raise ValueError(f"the numbers of bytes have to rise, unlike {list(lengths)}")
        file = OmegaFile.parse(bytes_of(source))
        growing, done = self.growing_picture(file.header), 0
        together = max(1, BATCH_PIXELS // file.pixels)
        for first in range(0, len(lengths), together):
            symbols = []
            for length in lengths[first : first + together]:
                growing.decoder.decode(file.stream[done:length])
                symbols.append(growing.decoder.pictures[0].copy())
                done = length
            yield from growing.maker.pictures(symbols)

    def growing_picture(self, header: Header) -> GrowingPicture:
        """Return a decoder of a file with one picture while its bytes arrive. Raises as `decompress` does.

        header: the header of the file.
        """
        [size] = _single(self._checked(header, growing=True))
        return GrowingPicture(self.file_codec, header, _coder(header.coder), size)

    def decode(self, source: Source, *, partial: bool = False) -> tuple[Symbols, OmegaFile]:
        """Decode the symbols (C, h, w) of the first picture of a file, and return them with the parsed file.

        Symbols that the file lacks are −1 (`omega_core.coding.tables.MISSING`).

        Arguments and errors are those of `decompress`.
        """
        file = OmegaFile.parse(bytes_of(source), partial=partial)
        return self._decode(file)[0], file

    def _decode(self, file: OmegaFile) -> list[Symbols]:
        """Decode the symbols (C, h, w) of each picture."""
        sizes, header = self._checked(file.header), file.header
        return self.file_codec.decode(file.stream, _coder(header.coder), sizes, complete=header.complete)

    def _checked(self, header: Header, *, growing: bool = False) -> list[tuple[int, int]]:
        """Check a header before memory is allocated, and return (h, w) of the symbols of each picture.

        growing: as for `DecodingMemory.needed`.
        """
        if header.fingerprint != bytes.fromhex(self.fingerprint)[:FINGERPRINT]:
            raise WrongModelError(
                f"this file was made with the model {header.fingerprint.hex()}, not {self.fingerprint[:8]}."
                " Give the model that it was made with.",
                made_with=header.fingerprint.hex(),
                given=self.fingerprint,
            )
        shapes = header.sizes
        for height, width in shapes:
            if height * width > self.max_pixels:
                size = f"{width}×{height}"
                raise CoderError(
                    f"the file has {size} pixels, more than {self.max_pixels};"
                    " allow more with max_pixels (--max-pixels)."
                )
        if header.pixels > self._most_pixels:
            raise CoderError(f"the file has {header.pixels} pixels in all, more than {self._most_pixels}.")
        if self.codec.takes_tiles:
            side, limits = max(map(max, shapes)), f"{TILE_SIZES[0]} to {TILE_SIZES[-1]} pixels"
            if header.tile is not None and header.tile not in TILE_SIZES:
                raise DamagedFileError(
                    f"the file is damaged: its tiles have {header.tile}, not {limits}. Get it again."
                )
            if header.tile is None and side > TILE_SIZES[-1]:
                raise DamagedFileError(
                    f"the file is damaged: {side} pixels a side need tiles of {limits}. Get it again."
                )
        if "RGB" in header.mode and self.codec.colors != 3:
            raise DamagedFileError("the file is damaged: its mode is RGB, its model is for gray. Get it again.")
        latent_sizes = [self.codec.latent_size(*shape) for shape in shapes]
        self.memory.check(shapes, header.tile, self.max_memory, growing=growing)
        return latent_sizes

    def reconstruct(self, picture: PictureLike | Picture, *, channels: int | None = None) -> Image.Image:
        """Return the picture that `decompress` would return after `compress`, without entropy coding.

        The picture of a truncated file may have a few more symbols, which the last byte of the file determines.

        picture: one picture, as for `compress`.
        channels: the number of channels to keep. Default: all.

        Raises as `compress` does.
        """
        self.check_rate(Rate(channels=channels))
        count = channels or self.channels
        encoded = self.encode(picture, counts=[count])
        [symbols] = encoded.coded.first(encoded.coded.end_of(count))
        return PictureMaker(self.file_codec, encoded.whole.header).picture(symbols).to_pillow()

    def _coder_name(self, name: str | None) -> str:
        wanted = name or self.description.coder
        try:
            return registry().find("coder", wanted).qualified_name
        except ComponentError:
            if specified := specified_name(wanted):
                return specified
            raise


def warn_if_missed(rate: Rate, reached: float, name: str) -> None:
    """Warn (OmegaWarning) if a whole file does not reach the PSNR of its rate.

    reached: the PSNR of its picture, in dB.
    name: the name of the picture.
    """
    if rate.psnr is not None and reached < rate.psnr:
        message = f"{name}: cannot reach {rate.psnr:g} dB; the best this model can do is {reached:.2f} dB."
        warnings.warn(message, OmegaWarning, stacklevel=3)


def _single(each: Sequence[Item]) -> Sequence[Item]:
    """Return a sequence with one item for each picture of a file. Raises ImageError if there are several."""
    if len(each) > 1:
        raise ImageError(f"this file has {len(each)} pictures, not one.")
    return each


def _growing_lengths(length: int, growth: float) -> Iterator[int]:
    """Numbers of bytes that grow by a factor, up to `length`."""
    if not growth > 1:
        raise ValueError(f"growth has to be above 1, not {growth}")
    smaller = [float(length)]
    while smaller[-1] / growth > _FIRST_BYTES:
        smaller.append(smaller[-1] / growth)
    yield from sorted({*map(int, smaller)})


@cache
def _coder(name: str) -> Coder:
    made: Coder = (specified_coder(name) or resolve("coder", name))()
    return made
