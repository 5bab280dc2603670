"""Decoded symbols of a file to pictures, at once or cut after cut."""

from collections.abc import Sequence

from omega_core.codec.file_codec import FileCodec
from omega_core.coding.tables import Integers
from omega_core.contracts.coder import Coder
from omega_core.format.file import OmegaFile
from omega_core.format.header import Header
from omega_core.images.pictures import Picture, Pixels
from omega_core.images.planes import decompress_planes, decompress_profile


class PictureMaker:
    """Makes the pictures of a file from their symbols. Alpha and profile are decompressed once.

    header: of the file, with any number of channels.

    Raises DamagedFileError for alpha or a profile that cannot be read.
    """

    def __init__(self, files: FileCodec, header: Header) -> None:
        self.files, self.tile, self.sizes = files, header.tile, header.sizes
        self.colors = 3 if "RGB" in header.mode else 1
        self.planes = [] if header.alpha is None else decompress_planes(header.alpha, self.sizes)
        self.profile = decompress_profile(header.profile) if header.profile else b""

    def pictures(self, symbols: Sequence[Integers]) -> list[Picture]:
        """The first pictures of the file, from the first n channels (n, h, w) of the symbols of each."""
        sizes = self.sizes[: len(symbols)]
        return self.completed(self.files.pixels_of_all(symbols, sizes, tile=self.tile, colors=self.colors))

    def picture(self, symbols: Integers) -> Picture:
        """The first picture of the file, from the first n channels of its symbols (n, h, w)."""
        return self.pictures([symbols])[0]

    def completed(self, pixels: Sequence[Pixels]) -> list[Picture]:
        """The first pictures of the file, from the pixels (colors, H, W) of each."""
        planes = self.planes[: len(pixels)] if self.planes else [None] * len(pixels)
        return [Picture(own, plane, self.profile) for own, plane in zip(pixels, planes, strict=True)]


class CutDecoder:
    """Decodes a file of one picture cut after cut: the symbols of each channel once.

    header: of the file with all its channels.
    size: (h, w) of its symbols.
    channels: how many are decoded.

    Raises CoderError for more channels than the codec has, DamagedFileError as `PictureMaker` does.
    """

    def __init__(self, files: FileCodec, header: Header, coder: Coder, size: tuple[int, int]) -> None:
        self.files = files
        self.symbols = files.undecoded(header.channels, [size])
        self.maker = PictureMaker(files, header)
        self.decoder = coder.growing_decoder(b"")
        self.channels = self.length = 0

    def decode(self, cut: OmegaFile) -> Picture:
        """The picture in the file that ends at a later cut than the last one. Raises CoderError for damaged bytes."""
        channels = cut.header.channels
        self.decoder.extend(cut.stream[self.length :])
        self.files.decode_channels(self.decoder, self.symbols, range(self.channels, channels))
        self.channels, self.length = channels, len(cut.stream)
        return self.maker.picture(self.symbols[0][:channels])
