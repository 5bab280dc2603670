"""Rate control: `Rate`, a limit on size or quality, and `truncate`."""

import math
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING

from omega_core.errors import RateError
from omega_core.format.file import OmegaFile
from omega_core.format.packs import Pack, parse

if TYPE_CHECKING:
    from omega_core.file_io import Source


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A limit on the rate or the quality of a picture: one of the following, or none for all channels.

    channels: a number of channels, 1 to C: the file has as many symbols as these, the first ones in coding order.
    fraction: the fraction of the C channels, above 0 and at most 1.
    bpp: the maximum size of the file, in bits per pixel of the picture.
    max_bytes: the maximum size of the file, in bytes.
    psnr: the minimum PSNR of the decoded picture, in dB.

    Raises RateError for several limits, or for a value of another type or outside its range.
    """

    channels: int | None = None
    fraction: float | None = None
    bpp: float | None = None
    max_bytes: int | None = None
    psnr: float | None = None

    def __post_init__(self) -> None:
        given = {entry.name.replace("_", "-"): getattr(self, entry.name) for entry in fields(self)}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) > 1:
            raise RateError(f"give only one of {' and '.join(given)}.")
        for name, value in given.items():
            kind = Integral if name == "channels" else Real
            if not isinstance(value, kind):
                raise RateError(f"{name} is a {'whole ' if kind is Integral else ''}number, not {value!r}.")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise RateError(f"fraction is above 0 and at most 1, not {self.fraction}.")
        for name in given.keys() & {"bpp", "max-bytes", "psnr"}:
            if not 0 < given[name] < math.inf:
                raise RateError(f"{name} is a finite number above 0, not {given[name]}.")

    def whole_channels(self, of: int) -> int | None:
        """Return the number of channels, out of `of`, if it does not depend on the picture; otherwise None."""
        if self.fraction is not None:
            return max(1, round(self.fraction * of))
        return of if self == Rate() else self.channels

    def budget(self, pixels: int) -> int | None:
        """Return the maximum size of a file with `pixels` pixels, in bytes; None without a limit on its size."""
        return self.max_bytes if self.bpp is None else int(min(float(self.bpp) * pixels / 8, 1 << 62))


def length_within(whole: OmegaFile | Pack, budget: int) -> int:
    """Return the largest number of bytes of the streams with which a file or pack has at most `budget` bytes.

    Raises RateError if it exceeds the budget with one byte of each stream.
    """
    least = whole.truncated_size(1)
    if least > budget:
        raise RateError(f"{budget} bytes are not enough: the smallest file takes {least}.", least_bytes=least)
    fitting, above = 0, whole.stream_bytes + 1
    while above - fitting > 1:
        middle = (fitting + above) // 2
        if whole.truncated_size(middle) <= budget:
            fitting = middle
        else:
            above = middle
    return fitting


def truncate(source: "Source", *, max_bytes: int | None = None, bpp: float | None = None) -> bytes:
    """Truncate an `.omega` file or a pack, without a model.

    source: the bytes of the file or pack, its path or URL, or an open binary file.
    max_bytes, bpp: the maximum size of the result in bytes, or in bits per pixel: exactly one of them.

    Returns a file or pack that can be decompressed to all pictures, with as much of each stream as fits.

    Raises FileFormatError for damaged bytes, OmegaError for a source that cannot be read, RateError if not exactly one
    limit is given, or if the limit is below the size of the smallest file.
    """
    whole = parse(source if isinstance(source, bytes) else _read(source))
    budget = Rate(max_bytes=max_bytes, bpp=bpp).budget(whole.pixels)
    if budget is None:
        raise RateError("give max-bytes or bpp.")
    return whole.truncated(length_within(whole, budget)).to_bytes()


def _read(source: "Source") -> bytes:
    from omega_core.file_io import bytes_of  # not needed for bytes

    return bytes_of(source)
