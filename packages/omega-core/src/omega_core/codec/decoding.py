"""Decoded symbols of a file to pictures, at once or cut after cut."""

from collections.abc import Sequence

from omega_core.codec.file_codec import FileCodec
from omega_core.coding.tables import Integers
from omega_core.contracts.coder import Coder
from omega_core.format.file import OmegaFile
from omega_core.format.header import Header
from omega_core.images.alpha_and_profile import decompress_planes, decompress_profile
from omega_core.images.pictures import Picture, Pixels


class PictureMaker:
    """Turns the symbols of a file into pictures. Alpha and profile are decompressed once.

    files: the codec of the model.
    header: of the file, with any number of channels.

    Raises DamagedFileError if alpha or profile cannot be decompressed.
    """

    def __init__(self, files: FileCodec, header: Header) -> None:
        self.files, self.tile, self.sizes = files, header.tile, header.sizes
        self.colors = 3 if "RGB" in header.mode else 1
        self.planes = [] if header.alpha is None else decompress_planes(header.alpha, self.sizes)
        self.profile = decompress_profile(header.profile) if header.profile else b""

    def pictures(self, symbols: Sequence[Integers]) -> list[Picture]:
        """Return the first pictures of the file; symbols: of each, its first n channels (n, h, w)."""
        sizes = self.sizes[: len(symbols)]
        return self.completed(self.files.pixels_of_all(symbols, sizes, tile=self.tile, colors=self.colors))

    def picture(self, symbols: Integers) -> Picture:
        """Return the first picture of the file; symbols: its first n channels (n, h, w)."""
        return self.pictures([symbols])[0]

    def completed(self, pixels: Sequence[Pixels]) -> list[Picture]:
        """Add alpha and profile to the pixels (colors, H, W) of the first pictures of the file."""
        planes = self.planes[: len(pixels)] if self.planes else [None] * len(pixels)
        return [Picture(own, plane, self.profile) for own, plane in zip(pixels, planes, strict=True)]


class CutDecoder:
    """Decodes a file of one picture cut after cut, and the symbols of each channel once.

    files: the codec of the model.
    header: of the file with all its channels.
    coder: that of the file.
    size: (h, w) of the symbols.

    channels: the number of channels decoded so far.

    Raises CoderError if the file has more channels than the codec, DamagedFileError as `PictureMaker` does.
    """

    def __init__(self, files: FileCodec, header: Header, coder: Coder, size: tuple[int, int]) -> None:
        self.files = files
        self.symbols = files.undecoded(header.channels, [size])
        self.maker = PictureMaker(files, header)
        self.decoder = coder.growing_decoder(b"")
        self.channels = self.length = 0

    def decode(self, cut: OmegaFile) -> Picture:
        """Decode the channels up to a cut, and return the picture. Raises CoderError for damaged bytes.

        cut: the file up to a later cut than before.
        """
        channels = cut.header.channels
        self.decoder.extend(cut.stream[self.length :])
        self.files.decode_channels(self.decoder, self.symbols, range(self.channels, channels))
        self.channels, self.length = channels, len(cut.stream)
        return self.maker.picture(self.symbols[0][:channels])
