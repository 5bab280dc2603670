"""`PixelCodec`: the interface of the runtime that computes the transforms of a model."""

from typing import TYPE_CHECKING, Protocol

from omega_core.coding.tables import Symbols
from omega_core.images.pictures import Pixels

if TYPE_CHECKING:
    from omega_core.codec.memory import DecodingMemory

BATCH_PIXELS = 1 << 20
"""Maximum number of pixels in a batch of pictures: as many as a tile of a large picture has. In float32, pixels may
differ by one level from those of a picture that is transformed alone."""


class PixelCodec(Protocol):
    """Turns 8-bit pictures into symbols and back: an `ImageCodec`, which is torch's, or an `OnnxCodec`.

    Shapes: B pictures of H×W pixels, C symbol channels, h×w positions.
    """

    colors: int
    """The number of colors: 1 for gray, 3 for RGB."""
    takes_tiles: bool
    """Whether it takes pictures of any size, and large ones in tiles."""
    image_size: tuple[int, int] | None
    """(H, W) if it takes pictures of one size only."""

    @property
    def channels(self) -> int:
        """C, the number of symbol channels."""

    @property
    def alphabet(self) -> int:
        """S, the number of different symbols."""

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Return (h, w) of the symbols of a picture. Raises ImageError for a size that it does not take."""

    def symbols_of(self, pixels: Pixels, *, tile: int | None = None) -> Symbols:
        """Encode pictures of one size to symbols (B, C, h, w), in the `symbol_type` of the alphabet.

        pixels: (B, colors, H, W); gray ones become RGB if the codec takes RGB.
        tile: the side of the tiles, in pixels; None for whole pictures.

        Raises ModelFileError for tiles if it does not take them.
        """

    def pixels_of(
        self, symbols: Symbols, height: int, width: int, *, tile: int | None = None, colors: int | None = None
    ) -> Pixels:
        """Decode symbols to pictures (B, colors, height, width).

        symbols: (B, C, h, w); some may be MISSING.
        tile: as for `symbols_of`.
        colors: 1 to average RGB to gray. Default: `colors` of the codec.
        """

    def positions_at_once(self, tile: int) -> int:
        """Return how many positions of a latent are transformed at once, at most, in tiles of `tile` pixels a side."""

    def decoding_memory(self) -> "DecodingMemory":
        """Return the memory that decoding takes."""
