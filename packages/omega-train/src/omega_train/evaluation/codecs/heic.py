"""HEIC with x265, by the optional package pillow-heif.

pillow-heif is licensed under BSD. Its wheels contain x265, and so are licensed under the GPL, version 2.
"""

import io

from omega_core.contracts.codec import BaselineCodec
from omega_core.errors import ComponentError, ImageError
from omega_core.images.pictures import Pixels
from omega_core.images.writing import to_pillow
from omega_train.evaluation.codecs.options import library
from omega_train.evaluation.codecs.pillow import pixels_of

_PARAMETERS = {"preset": "slow", "tune": "psnr"}


class HeicCodec(BaselineCodec):
    """HEVC still pictures by x265 with the preset slow, tuned for PSNR; 4:4:4, or gray without chroma."""

    cacheable = True
    settings = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90)

    def __init__(self) -> None:
        self.heif = library("pillow_heif", "codec heic", "omega-train[heic]")  # this adds nothing to Pillow
        if "x265" not in self.heif.libheif_info()["encoders"]:
            raise ComponentError("the installed pillow-heif has no x265 and cannot encode: install its wheel.")

    def encode(self, pixels: Pixels, setting: int) -> bytes:
        image, buffer = to_pillow(pixels), io.BytesIO()
        parameters = {"chroma": "444", "enc_params": dict(_PARAMETERS)}
        try:
            self.heif.encode(image.mode, image.size, image.tobytes(), buffer, quality=setting, **parameters)
        except (OSError, ValueError, RuntimeError) as problem:  # for example, if a side is too long for the format
            raise ImageError(f"heic cannot encode this picture: {problem}.") from problem
        return buffer.getvalue()

    def decode(self, data: bytes, colors: int) -> Pixels:
        return pixels_of(self.heif.open_heif(io.BytesIO(data)).to_pillow(), colors)

    def describe(self) -> str:
        found = self.heif.libheif_info()
        options = "".join(f", {name}={value}" for name, value in {"chroma": "4:4:4", **_PARAMETERS}.items())
        encoder = found["encoders"]["x265"]
        return f"{encoder} with libheif {found['libheif']} of pillow-heif {self.heif.__version__}{options}"
