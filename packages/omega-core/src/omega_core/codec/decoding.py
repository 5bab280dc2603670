"""From the decoded symbols of a file to pictures, all at once or while its bytes arrive."""

from collections.abc import Sequence
from itertools import cycle

from omega_core.codec.file_codec import FileCodec, SymbolDecoder
from omega_core.coding.tables import Symbols
from omega_core.contracts.coder import Coder
from omega_core.format.header import Header
from omega_core.images.alpha_and_profile import decompress_planes, decompress_profile
from omega_core.images.pictures import Picture, Pixels


class PictureMaker:
    """Turns the symbols of a file into pictures. Alpha and profile are decompressed once.

    file_codec: the codec of the model.
    header: the header of the file.

    Raises DamagedFileError if alpha or profile cannot be decompressed.
    """

    def __init__(self, file_codec: FileCodec, header: Header) -> None:
        self.file_codec, self.tile, self.sizes = file_codec, header.tile, header.sizes
        self.colors = 3 if "RGB" in header.mode else 1
        self.planes = [] if header.alpha is None else decompress_planes(header.alpha, self.sizes)
        self.profile = decompress_profile(header.profile) if header.profile else b""

    def pictures(self, symbols: Sequence[Symbols]) -> list[Picture]:
        """Return the first pictures of the file or, for a file with one picture, any number of versions of it.

        symbols: the symbols (C, h, w) of each; some may be MISSING.
        """
        sizes = [size for size, _ in zip(cycle(self.sizes), symbols, strict=False)]
        return self.completed(self.file_codec.pixels_of_all(symbols, sizes, tile=self.tile, colors=self.colors))

    def picture(self, symbols: Symbols) -> Picture:
        """Return the first picture of the file; symbols: (C, h, w), some may be MISSING."""
        return self.pictures([symbols])[0]

    def completed(self, pixels: Sequence[Pixels]) -> list[Picture]:
        """Return pictures with alpha and profile from the pixels (colors, H, W) of each, in the order of `pictures`."""
        planes = cycle(self.planes or [None])
        return [Picture(own, plane, self.profile) for own, plane in zip(pixels, planes, strict=False)]


class GrowingPicture:
    """Decodes a file of one picture while its bytes arrive, and each symbol only once.

    file_codec: the codec of the model.
    header: the header of the file.
    coder: the coder of the file.
    size: (h, w) of the symbols.

    Raises DamagedFileError as `PictureMaker` does.
    """

    def __init__(self, file_codec: FileCodec, header: Header, coder: Coder, size: tuple[int, int]) -> None:
        self.maker = PictureMaker(file_codec, header)
        self.decoder = SymbolDecoder(file_codec, coder, [size])
        self.length = 0
        """The number of bytes of the stream that are decoded."""

    def decode(self, stream: bytes) -> Picture:
        """Decode the new bytes, and return the picture. Raises CoderError for damaged bytes.

        stream: all bytes of the stream so far.
        """
        self.decoder.decode(stream[self.length :])
        self.length = len(stream)
        return self.maker.picture(self.decoder.pictures[0])
