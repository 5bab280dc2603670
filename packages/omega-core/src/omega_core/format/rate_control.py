"""Rate control: the choice of a cut for a number of channels or bytes, and `truncate`."""

import math
from dataclasses import dataclass, fields

from omega_core.errors import RateError
from omega_core.format.file import OmegaFile
from omega_core.format.packs import Pack, parse


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A limit on the rate of a picture, or on its quality: one of the following, or none for all channels.

    channels: the number of channels, 1 to C.
    fraction: of the C channels, above 0 and up to 1.
    bpp: the most bits of the file per pixel of the picture.
    max_bytes: the most bytes of the file.
    psnr: the least PSNR of the decoded picture, in dB.

    Raises RateError for several limits, or for a value outside its range.
    """

    channels: int | None = None
    fraction: float | None = None
    bpp: float | None = None
    max_bytes: int | None = None
    psnr: float | None = None

    def __post_init__(self) -> None:
        given = [entry.name.replace("_", "-") for entry in fields(self) if getattr(self, entry.name) is not None]
        if len(given) > 1:
            raise RateError(f"{' and '.join(given)} cannot be asked for at once; take one of them.")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise RateError(f"a fraction of the channels is above 0 and up to 1, not {self.fraction}.")
        for name in ("bpp", "max_bytes", "psnr"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise RateError(f"{name.replace('_', '-')} has to be above 0, not {value}.")

    def whole_channels(self, of: int) -> int | None:
        """Return the number of channels, of `of` in all, if it does not depend on the picture; otherwise None."""
        if self.fraction is not None:
            return max(1, round(self.fraction * of))
        if self.channels is None and self == Rate():
            return of
        return self.channels

    def budget(self, pixels: int) -> int | None:
        """Return the most bytes of a file with `pixels` pixels; None without a limit on bytes or bits per pixel."""
        return self.max_bytes if self.bpp is None else int(min(self.bpp * pixels / 8, 1 << 62))


def largest_within(whole: OmegaFile | Pack, budget: int) -> int:
    """Return the channels of the largest cut at which a file or pack has at most `budget` bytes.

    Raises RateError if it is larger at its smallest cut.
    """
    sizes = whole.file_sizes
    fitting = [channels for channels, size in sizes.items() if size <= budget]
    if not fitting:
        least = min(sizes)
        message = f"{budget} bytes are not enough: the smallest cut, {least} channels, takes {sizes[least]}."
        raise RateError(message, least_bytes=sizes[least])
    return max(fitting)


def largest_cut(whole: OmegaFile | Pack, *, channels: int | None = None, max_bytes: int | None = None) -> int:
    """Return the channels of the largest cut within a limit.

    whole: the file or pack.
    channels, max_bytes: the limit, exactly one of them.

    Raises RateError if not exactly one limit is given, or every cut exceeds it.
    """
    if (channels is None) == (max_bytes is None):
        raise RateError("truncate to channels or to bytes: one of them.")
    if max_bytes is not None:
        return largest_within(whole, max_bytes)
    cuts = list(whole.file_sizes)
    fitting = [cut for cut in cuts if cut <= (channels or 0)]
    if not fitting:
        message = f"there is no cut at {channels} channels or fewer: the smallest is at {min(cuts)}."
        raise RateError(message, channels=cuts)
    return max(fitting)


def truncate(data: bytes, *, channels: int | None = None, max_bytes: int | None = None) -> bytes:
    """Truncate an `.omega` file or a pack at its largest cut within a limit, without a model.

    data: the bytes of the file or pack.
    channels, max_bytes: the limit, exactly one of them.

    Returns a complete file, byte for byte the one that compressing with so many channels makes.

    Raises FileFormatError for damaged bytes, RateError if not exactly one limit is given or every cut exceeds it.
    """
    whole = parse(data)
    return whole.truncated(largest_cut(whole, channels=channels, max_bytes=max_bytes)).to_bytes()
