"""The codecs of Pillow: JPEG, WebP, AVIF and JPEG 2000."""

import io
from typing import Any, ClassVar, Literal

import numpy as np
import PIL
from PIL import Image, features

from omega_core.contracts.codec import BaselineCodec
from omega_core.errors import ComponentError, ImageError
from omega_core.images.pictures import Pixels
from omega_core.images.writing import to_pillow
from omega_train.evaluation.codecs.options import check_range


class PillowCodec(BaselineCodec):
    """A format that Pillow writes and reads.

    options: arguments of `Image.save`, except those for the setting.

    Raises ComponentError if Pillow was built without the format.
    """

    cacheable = True
    name: ClassVar[str]
    """The name of the codec, for messages."""
    format: ClassVar[str]
    """The name of the format in Pillow."""
    feature: ClassVar[str] = ""
    """The name in `PIL.features`; "" for a format that another package adds to Pillow."""
    library_name: ClassVar[str]
    """The library behind Pillow; `library` adds its version."""

    def __init__(self, **options: Any) -> None:
        if self.feature and self.feature not in features.get_supported():
            raise ComponentError(f"the installed Pillow does not support {self.name}: compare with other codecs.")
        self.options = options

    def for_setting(self, setting: int) -> dict[str, Any]:
        """The arguments of `Image.save` for a setting, which is the quality unless a codec overrides this method."""
        return {"quality": setting}

    def encode(self, pixels: Pixels, setting: int) -> bytes:
        buffer = io.BytesIO()
        try:
            to_pillow(pixels).save(buffer, self.format, **self.options, **self.for_setting(setting))
        except (OSError, ValueError, RuntimeError) as problem:  # for example, if a side is too long for the format
            raise ImageError(f"{self.name} cannot encode this picture: {problem}.") from problem
        return buffer.getvalue()

    def decode(self, data: bytes, colors: int) -> Pixels:
        with Image.open(io.BytesIO(data), formats=[self.format]) as image:
            return pixels_of(image, colors)

    def library(self) -> str:
        """Return the library behind Pillow with its version, such as "libwebp 1.6.0"."""
        return f"{self.library_name} {features.version(self.feature) or 'of unknown version'}"

    def describe(self) -> str:
        options = "".join(f", {name}={value}" for name, value in self.options.items())
        return f"{self.library()} with Pillow {PIL.__version__}{options}"


def pixels_of(image: Image.Image, colors: int) -> Pixels:
    """The pixels (colors, H, W) of a decoded image, which is converted to 1 or 3 colors."""
    return np.atleast_3d(np.asarray(image.convert("L" if colors == 1 else "RGB"))).transpose(2, 0, 1)


class JpegCodec(PillowCodec):
    """JPEG with 4:2:0, progressive with optimized Huffman tables: the smallest files of Pillow at a quality."""

    name, format, feature = "jpeg", "JPEG", "jpg"
    settings = (5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 95)

    def __init__(self) -> None:
        super().__init__(optimize=True, progressive=True)

    def library(self) -> str:
        turbo = features.version("libjpeg_turbo")
        return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"


class WebpCodec(PillowCodec):
    """WebP, lossy.

    method: from 0 (fast) to 6 (small files).
    """

    name, format, feature, library_name = "webp", "WEBP", "webp", "libwebp"
    settings = (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95)

    def __init__(self, *, method: int = 6) -> None:
        check_range(self.name, "method", method, 0, 6)
        super().__init__(method=method)


class AvifCodec(PillowCodec):
    """AVIF with libavif, lossy.

    subsampling: the chroma subsampling.
    speed: from 0 (small files) to 10 (fast).
    tune: what the encoder optimizes. "default" leaves it to libavif, which since version 1.4 takes "iq", a perceptual
        measure; "psnr" makes smaller files of equal PSNR.
    """

    name, format, feature, library_name = "avif", "AVIF", "avif", "libavif"
    settings = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90)

    def __init__(
        self,
        *,
        subsampling: Literal["4:2:0", "4:2:2", "4:4:4"] = "4:2:0",
        speed: int = 6,
        tune: Literal["default", "psnr", "ssim", "iq"] = "default",
    ) -> None:
        check_range(self.name, "speed", speed, 0, 10)
        super().__init__(subsampling=subsampling, speed=speed)
        self.tune = tune

    def for_setting(self, setting: int) -> dict[str, Any]:
        tuned = {} if self.tune == "default" else {"advanced": {"tune": self.tune}}
        return {**super().for_setting(setting), **tuned}

    def describe(self) -> str:
        return f"{super().describe()}, tune={self.tune}"


class Jpeg2000Codec(PillowCodec):
    """JPEG 2000, the bare codestream with the irreversible wavelet. Its settings are compression ratios."""

    name, format, feature, library_name = "jpeg2000", "JPEG2000", "jpg_2000", "OpenJPEG"
    settings = (400, 200, 150, 100, 75, 50, 35, 25, 18, 12, 8)

    def __init__(self) -> None:
        super().__init__(no_jp2=True, irreversible=True, quality_mode="rates")

    def for_setting(self, setting: int) -> dict[str, Any]:
        return {"quality_layers": [setting]}
