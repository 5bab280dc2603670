"""From the symbols in a file to its pictures, at once or cut after cut."""

from omega_core.codec.image_codec import Codec
from omega_core.coding.tables import Integers
from omega_core.contracts.coder import Coder
from omega_core.format.file import Container
from omega_core.format.planes import decompress_planes, decompress_profile
from omega_core.images.pictures import Picture


class PictureMaker:
    """Makes the pictures of a file from their symbols. Opacity and profile are decompressed once.

    head: the file, of which the stream does not matter.

    Raises DamagedFileError for opacity or a profile that cannot be read.
    """

    def __init__(self, codec: Codec, head: Container) -> None:
        self.codec, self.tile, self.shapes = codec, head.tile, head.shapes
        self.colors = 3 if "RGB" in head.mode else 1
        self.planes = [] if head.alpha is None else decompress_planes(head.alpha, self.shapes)
        self.profile = decompress_profile(head.profile) if head.profile else b""

    def picture(self, symbols: Integers, number: int = 0) -> Picture:
        """The picture of that number from the first n channels of its symbols (n, h, w)."""
        pixels = self.codec.pixels(symbols, *self.shapes[number], tile=self.tile, colors=self.colors)
        return Picture(pixels, self.planes[number] if self.planes else None, self.profile)


class CutDecoder:
    """Decodes a file of one picture cut after cut: the symbols of each channel once.

    head: the file with all its channels, of which the stream does not matter.
    size: (h, w) of its symbols.
    channels: how many are decoded.

    Raises CoderError for more channels than the codec has, DamagedFileError as `PictureMaker` does.
    """

    def __init__(self, codec: Codec, head: Container, coder: Coder, size: tuple[int, int]) -> None:
        self.codec = codec
        self.symbols = codec.undecoded(head.channels, [size])
        self.maker = PictureMaker(codec, head)
        self.decoder = coder.growing_decoder(b"")
        self.channels = self.length = 0

    def decode(self, cut: Container) -> Picture:
        """The picture in the file that ends at a later cut than the last one. Raises CoderError for damaged bytes."""
        self.decoder.extend(cut.stream[self.length :])
        self.codec.decode_channels(self.decoder, self.symbols, range(self.channels, cut.channels))
        self.channels, self.length = cut.channels, len(cut.stream)
        return self.maker.picture(self.symbols[0][: cut.channels])
