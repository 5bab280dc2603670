"""Colors of invisible pixels: nobody sees them, so they are replaced by colors that take few bits."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from omega_core.images.pictures import Picture

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]


def without_invisible_colors(picture: Picture) -> Picture:
    """Return the picture with colors at pixels of alpha 0 that continue the visible ones smoothly.

    A picture without such pixels is returned as it is, as is the result of an earlier call.
    """
    visible = None if picture.filled else picture.visible
    if visible is None:
        return picture
    pixels = np.stack([_filled(plane, visible) for plane in picture.pixels])
    return replace(picture, pixels=pixels, filled=True)


def _filled(plane: NDArray[np.uint8], visible: Mask) -> NDArray[np.uint8]:
    """One color (H, W), with the pixels that are not visible replaced."""
    return np.where(visible, plane, np.rint(_continued(plane.astype(np.float32), visible)).astype(np.uint8))


def _continued(values: Values, known: Mask) -> Values:
    """Values (H, W) with those that are not known interpolated from the known ones; 0 if none is.

    Source: the push-pull algorithm of Gortler et al., "The Lumigraph" (1996): known values are averaged over 2×2
    pixels again and again, until all are known, and the averages then fill what is unknown at the next finer scale.
    """
    if known.all() or not known.any():
        return np.where(known, values, np.float32(0))
    height, width = values.shape
    padding = ((0, height % 2), (0, width % 2))
    blocks = (height + 1) // 2, 2, (width + 1) // 2, 2
    counts = np.pad(known, padding).reshape(blocks).sum(axis=(1, 3), dtype=np.float32)
    sums = np.pad(np.where(known, values, np.float32(0)), padding).reshape(blocks).sum(axis=(1, 3))
    coarse = _continued(sums / np.maximum(counts, 1), counts > 0)
    return np.where(known, values, _doubled(_doubled(coarse, 0), 1)[:height, :width])


def _doubled(values: Values, axis: int) -> Values:
    """Values at twice the resolution along one axis, by linear interpolation."""
    rows = np.moveaxis(values, axis, 0)
    before, after = np.concatenate([rows[:1], rows[:-1]]), np.concatenate([rows[1:], rows[-1:]])
    doubled = np.stack([0.75 * rows + 0.25 * before, 0.75 * rows + 0.25 * after], axis=1).astype(np.float32)
    return np.moveaxis(doubled.reshape(-1, rows.shape[1]), 0, axis)
