"""Checks of codecs to compare with (`omega_core.contracts.BaselineCodec`)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from omega_core.contracts.codec import BaselineCodec
from omega_core.errors import ImageError
from omega_core.testing import common
from omega_core.testing.checking import Checks, Subject, Unclaimed, expect

SIZES = ((1, 1), (1, 9), (7, 1), (33, 47), (64, 96))
"""(H, W) of the pictures that are encoded, odd and even."""


@dataclass(frozen=True, kw_only=True)
class CodecSubject(Subject):
    """A codec to check."""

    kind: str = "codec"

    def make(self) -> BaselineCodec:
        """Return a new codec."""
        return self.made_with()


checks: Checks[CodecSubject] = Checks(common.checks)


@checks.add
def has_settings(subject: CodecSubject) -> None:
    """`settings` has one or more integers, all different."""
    settings = list(subject.make().settings)
    expect(settings, "settings is empty")
    expect(all(type(setting) is int for setting in settings), f"settings {settings} are not all integers")
    expect(len(set(settings)) == len(settings), f"settings {settings} are not all different")


@checks.add
def gives_pictures_of_the_same_shape(subject: CodecSubject) -> None:
    """Gray and RGB pictures of any size are decoded as uint8 of the same shape, or refused with ImageError."""
    codec = subject.make()
    for setting in _ends(codec):
        for colors in (1, 3):
            held = 0
            for height, width in SIZES:
                pixels = _picture(colors, height, width)
                try:
                    data = codec.encode(pixels, setting)
                except ImageError:
                    continue
                held += 1
                what = f"for pixels {pixels.shape} at the setting {setting}"
                expect(isinstance(data, bytes), f"{what} encode returned {type(data).__name__}, not bytes")
                decoded = codec.decode(data, colors)
                expect(isinstance(decoded, np.ndarray), f"{what} decode returned {type(decoded).__name__}, no array")
                expect(decoded.dtype == np.uint8, f"{what} decode returned {decoded.dtype}")
                expect(decoded.shape == pixels.shape, f"{what} decode returned {decoded.shape}")
            expect(held, f"it refused pictures with {colors} colors of all sizes")


@checks.add
def every_setting_works(subject: CodecSubject) -> None:
    """A picture can be encoded and decoded at each setting."""
    codec = subject.make()
    pixels = _picture(*_held(codec))
    for setting in codec.settings:
        decoded = codec.decode(codec.encode(pixels, setting), len(pixels))
        expect(decoded.shape == pixels.shape, f"for {pixels.shape} at the setting {setting} it is {decoded.shape}")


@checks.add
def settings_change_the_size(subject: CodecSubject) -> None:
    """If there are several settings, files of the smallest and the largest setting differ in size."""
    codec = subject.make()
    if len(codec.settings) == 1:
        raise Unclaimed("it has only one setting")
    pixels = _picture(*_held(codec))
    sizes = [len(codec.encode(pixels, setting)) for setting in _ends(codec)]
    expect(sizes[0] != sizes[1], f"both have {sizes[0]} bytes")


@checks.add
def decodes_the_picture(subject: CodecSubject) -> None:
    """At the setting with the largest file, the squared error of a smooth picture is below its variance."""
    codec = subject.make()
    colors, height, width = _held(codec)
    pixels = _picture(colors, height, width, noise=0)
    data = max((codec.encode(pixels, setting) for setting in codec.settings), key=len)
    decoded = codec.decode(data, colors).astype(float)
    error, spread = np.square(decoded - pixels).mean(), pixels.astype(float).var()
    expect(error < spread, f"the mean squared error is {error:.0f}, the variance {spread:.0f}")


@checks.add
def another_instance_decodes(subject: CodecSubject) -> None:
    """Another instance with the same options decodes the same picture: the bytes have all that is needed."""
    for pixels, setting, data, decoded in _coded(subject.make()):
        try:
            other = subject.make().decode(data, len(pixels))
        except Exception as problem:  # a codec may raise anything
            expect(False, f"at the setting {setting} it raised {type(problem).__name__}: {problem}")
        expect(np.array_equal(other, decoded), f"at the setting {setting} it decoded another picture")


@checks.add
def encodes_the_same_every_time(subject: CodecSubject) -> None:
    """The same picture at the same setting gives the same bytes, whatever was encoded before."""
    codec = subject.make()
    for pixels, setting, data, _ in _coded(codec):
        codec.encode(255 - pixels, setting)
        expect(codec.encode(pixels, setting) == data, f"the bytes differ at the setting {setting}")
        expect(subject.make().encode(pixels, setting) == data, f"a new instance differs at the setting {setting}")


@checks.add
def leaves_the_pixels_alone(subject: CodecSubject) -> None:
    """`encode` does not change the pixels, which may be a view of an array with another order in memory."""
    codec = subject.make()
    colors, height, width = _held(codec)
    pixels = np.moveaxis(np.moveaxis(_picture(colors, height, width), 0, 2).copy(), 2, 0)
    before = pixels.copy()
    for setting in _ends(codec):
        data = codec.encode(pixels, setting)
        expect(np.array_equal(pixels, before), f"they changed by encoding at the setting {setting}")
        expect(data == codec.encode(before, setting), f"a view was encoded to other bytes at the setting {setting}")


@checks.add
def describes_itself(subject: CodecSubject) -> None:
    """`describe` returns one line, which is the same for another instance with the same options."""
    described = subject.make().describe()
    expect(isinstance(described, str), f"it returned {type(described).__name__}, not a string")
    expect(described.strip() and len(described.splitlines()) == 1, f"it returned {described!r}")
    again = subject.make().describe()
    expect(described == again, f"it returned {described!r}, then {again!r}")


def _picture(colors: int, height: int, width: int, noise: float = 12) -> NDArray[np.uint8]:
    """Return waves with noise, (colors, H, W), so that files of different sizes differ in quality."""
    random = np.random.default_rng(height * width + colors)
    down, right = np.mgrid[:height, :width] / 16
    waves = [128 + 90 * np.sin(down * (1 + 0.2 * color) + 0.3 * color) * np.cos(right) for color in range(colors)]
    return (np.stack(waves) + random.normal(0, noise, (colors, height, width))).clip(0, 255).astype(np.uint8)


def _ends(codec: BaselineCodec) -> list[int]:
    """Return the smallest and the largest setting."""
    return sorted({min(codec.settings), max(codec.settings)})


def _held(codec: BaselineCodec) -> tuple[int, int, int]:
    """Return the shape of the largest picture that it encodes, RGB if possible. Raises ImageError if there is none."""
    for colors, (height, width) in product((3, 1), reversed(SIZES)):
        try:
            codec.encode(_picture(colors, height, width), codec.settings[0])
        except ImageError:
            continue
        return colors, height, width
    raise ImageError("it refused pictures of all sizes.")


def _coded(codec: BaselineCodec) -> Iterator[tuple[NDArray[np.uint8], int, bytes, NDArray[np.uint8]]]:
    """Yield pictures, each with a setting, its file, and the picture that was decoded from the file."""
    for colors in (1, 3):
        pixels = _picture(colors, *SIZES[-1])
        for setting in _ends(codec):
            try:
                data = codec.encode(pixels, setting)
            except ImageError:
                continue
            yield pixels, setting, data, codec.decode(data, colors)
