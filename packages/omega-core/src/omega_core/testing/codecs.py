"""Checks of codecs to compare with (`omega_core.contracts.Codec`)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from omega_core.contracts.codec import Codec
from omega_core.errors import ImageError
from omega_core.testing import common
from omega_core.testing.checking import Checks, Subject, Unclaimed, expect

SIZES = ((1, 1), (1, 9), (7, 1), (33, 47), (64, 96))
"""(H, W) of the pictures that are encoded, odd and even."""


@dataclass(frozen=True, kw_only=True)
class CodecSubject(Subject):
    """A codec that is to be checked."""

    kind: str = "codec"

    def make(self) -> Codec:
        """A new one."""
        return self.made_with()


checks: Checks[CodecSubject] = Checks(common.checks)


@checks.add
def has_settings(subject: CodecSubject) -> None:
    """`settings` are integers, at least one, and all of them different."""
    settings = list(subject.make().settings)
    expect(settings, "there is none")
    expect(all(type(setting) is int for setting in settings), f"they are {settings}, which are not all integers")
    expect(len(set(settings)) == len(settings), f"they are {settings}, of which some are the same")


@checks.add
def gives_pictures_of_the_same_shape(subject: CodecSubject) -> None:
    """A picture of any size comes back as uint8 of its shape, gray and RGB, or an ImageError says that it cannot."""
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
                what = f"of {pixels.shape} at the setting {setting}"
                expect(isinstance(data, bytes), f"{what} came {type(data).__name__}, not bytes")
                decoded = codec.decode(data, colors)
                expect(isinstance(decoded, np.ndarray), f"{what} came {type(decoded).__name__}, not an array")
                expect(decoded.dtype == np.uint8, f"{what} came {decoded.dtype}")
                expect(decoded.shape == pixels.shape, f"{what} came {decoded.shape}")
            expect(held, f"it refused pictures of {colors} colors in all sizes")


@checks.add
def every_setting_works(subject: CodecSubject) -> None:
    """At each of its settings it encodes a picture and decodes it."""
    codec = subject.make()
    pixels = _picture(*_held(codec))
    for setting in codec.settings:
        decoded = codec.decode(codec.encode(pixels, setting), len(pixels))
        expect(decoded.shape == pixels.shape, f"of {pixels.shape} at the setting {setting} came {decoded.shape}")


@checks.add
def settings_change_the_size(subject: CodecSubject) -> None:
    """Files of the smallest and of the largest setting differ in size, if it has several settings."""
    codec = subject.make()
    if len(codec.settings) == 1:
        raise Unclaimed("it has one setting")
    pixels = _picture(*_held(codec))
    sizes = [len(codec.encode(pixels, setting)) for setting in _ends(codec)]
    expect(sizes[0] != sizes[1], f"both have {sizes[0]} bytes")


@checks.add
def decodes_the_picture(subject: CodecSubject) -> None:
    """At the setting with the largest file, a smooth picture is decoded closer to it than its mean is."""
    codec = subject.make()
    colors, height, width = _held(codec)
    pixels = _picture(colors, height, width, noise=0)
    data = max((codec.encode(pixels, setting) for setting in codec.settings), key=len)
    decoded = codec.decode(data, colors).astype(float)
    error, spread = np.square(decoded - pixels).mean(), pixels.astype(float).var()
    expect(error < spread, f"the mean squared error is {error:.0f}, that of its mean {spread:.0f}")


@checks.add
def another_instance_decodes(subject: CodecSubject) -> None:
    """Another instance with the same options decodes the same picture: all that it needs is in the bytes."""
    for pixels, setting, data, decoded in _coded(subject.make()):
        try:
            other = subject.make().decode(data, len(pixels))
        except Exception as problem:  # whatever a stranger's codec raises
            expect(False, f"at the setting {setting} it raised {type(problem).__name__}: {problem}")
        expect(np.array_equal(other, decoded), f"at the setting {setting} it decoded another picture")


@checks.add
def encodes_the_same_every_time(subject: CodecSubject) -> None:
    """The same picture at the same setting gives the same bytes, whatever was encoded before."""
    codec = subject.make()
    for pixels, setting, data, _ in _coded(codec):
        codec.encode(255 - pixels, setting)
        expect(codec.encode(pixels, setting) == data, f"other bytes came at the setting {setting}")
        expect(subject.make().encode(pixels, setting) == data, f"a new one gave other bytes at the setting {setting}")


@checks.add
def leaves_the_pixels_alone(subject: CodecSubject) -> None:
    """Pixels that were given are the same afterwards; they may be a view of an array in another order."""
    codec = subject.make()
    colors, height, width = _held(codec)
    pixels = np.moveaxis(np.moveaxis(_picture(colors, height, width), 0, 2).copy(), 2, 0)
    before = pixels.copy()
    for setting in _ends(codec):
        data = codec.encode(pixels, setting)
        expect(np.array_equal(pixels, before), f"they are others after encoding at the setting {setting}")
        expect(data == codec.encode(before, setting), f"of a view came other bytes at the setting {setting}")


@checks.add
def describes_itself(subject: CodecSubject) -> None:
    """`describe` returns one line, which is the same for another instance with the same options."""
    described = subject.make().describe()
    expect(isinstance(described, str), f"it returned {type(described).__name__}, not a string")
    expect(described.strip() and len(described.splitlines()) == 1, f"it returned {described!r}")
    again = subject.make().describe()
    expect(described == again, f"it returned {described!r}, then {again!r}")


def _picture(colors: int, height: int, width: int, noise: float = 12) -> NDArray[np.uint8]:
    """Waves with some noise, (colors, H, W), of which a small file has less than a large one."""
    random = np.random.default_rng(height * width + colors)
    down, right = np.mgrid[:height, :width] / 16
    waves = [128 + 90 * np.sin(down * (1 + 0.2 * color) + 0.3 * color) * np.cos(right) for color in range(colors)]
    return (np.stack(waves) + random.normal(0, noise, (colors, height, width))).clip(0, 255).astype(np.uint8)


def _ends(codec: Codec) -> list[int]:
    """The smallest and the largest setting."""
    return sorted({min(codec.settings), max(codec.settings)})


def _held(codec: Codec) -> tuple[int, int, int]:
    """The shape of the largest picture that it encodes, RGB rather than gray. Raises ImageError if there is none."""
    for colors, (height, width) in ((colors, size) for colors in (3, 1) for size in reversed(SIZES)):
        try:
            codec.encode(_picture(colors, height, width), codec.settings[0])
        except ImageError:
            continue
        return colors, height, width
    raise ImageError("it refused pictures of all sizes.")


def _coded(codec: Codec) -> Iterator[tuple[NDArray[np.uint8], int, bytes, NDArray[np.uint8]]]:
    """Pictures with a setting, the file, and the picture that was decoded from it."""
    for colors in (1, 3):
        pixels = _picture(colors, *SIZES[-1])
        for setting in _ends(codec):
            try:
                data = codec.encode(pixels, setting)
            except ImageError:
                continue
            yield pixels, setting, data, codec.decode(data, colors)
