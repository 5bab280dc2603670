"""Images and files that several tests of reading use."""

import io
import struct
import zlib

import numpy as np
from PIL import ExifTags, Image, ImageCms

from omega_core.errors import ImageError
from omega_core.images.reading import read_picture

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

GRAY_PROFILE = SRGB[:16] + b"GRAY" + SRGB[20:]

PALETTE = [[10, 20, 30], [200, 100, 0], [255, 255, 255], [0, 0, 0]]

TURNED = {  # stored pixels to upright ones, by EXIF orientation
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: np.swapaxes(stored, 0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.fliplr(np.rot90(stored)),
    8: np.rot90,
}


def image_of(mode, rows, palette=None, palette_mode="RGB", **info):
    """A Pillow image made of the bytes of its rows of pixels."""
    values = np.array(rows, np.uint8)
    image = Image.frombytes(mode, (values.shape[1], values.shape[0]), values.tobytes(), "raw", mode)
    if palette:
        image.putpalette([number for color in palette for number in color], palette_mode)
    image.info |= info
    return image


def png_of(width, height, depth, color_type, rows, *chunks):
    """The bytes of a PNG file, made by hand."""

    def chunk(kind, payload):
        return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    between = b"".join(chunk(*each) for each in chunks)
    return b"\x89PNG\r\n\x1a\n" + head + between + data + chunk(b"IEND", b"")


def saved(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def colors_last(picture):
    return picture.pixels.transpose(1, 2, 0)


def of_ink(cyan, magenta, yellow, black):
    return [(255 - ink) * (255 - black) / 255 for ink in (cyan, magenta, yellow)]


def gamma(linear):
    linear = min(1.0, max(0.0, linear))
    return 255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055)


def of_lab(lightness, a, b):
    """CIE L*a*b* under D50 to sRGB. The numbers of a and b are signed bytes."""
    signed = [number - 256 if number > 127 else number for number in (a, b)]
    middle = (lightness * 100 / 255 + 16) / 116
    parts = (middle + signed[0] / 500, middle, middle - signed[1] / 200)
    linear = [part**3 if part > 6 / 29 else 3 * (6 / 29) ** 2 * (part - 4 / 29) for part in parts]
    xyz = np.array([0.9642, 1.0, 0.8249]) * linear
    from_d50 = [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.033454],
        [0.0719453, -0.2289914, 1.4052427],
    ]
    return [gamma(number) for number in np.array(from_d50) @ xyz]


INK = [[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0]], [[0, 0, 0, 255], [100, 50, 25, 0], [100, 50, 25, 100]]]

LABS = [[[0, 0, 0], [255, 0, 0], [128, 0, 0]], [[138, 60, 40], [190, 236, 30], [100, 20, 216]]]


def converted(convert, rows):
    return [[convert(*pixel) for pixel in row] for row in rows]


DEEP = [[0, 255, 256], [32767, 32768, 65535]]


def oriented(number):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = number
    exif[ExifTags.Base.Make] = "a camera"
    return exif


def read_or_refused(path):
    try:
        return read_picture(path)
    except ImageError:
        return None
