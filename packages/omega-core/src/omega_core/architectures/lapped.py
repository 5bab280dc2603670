"""The lapped orthogonal transform (LOT) of blocks.

A filter across the edges of blocks, then a discrete cosine transform of each block, so that quantization leaves no
visible edges (Malvar and Staelin 1989, "The LOT: Transform Coding Without Blocking Effects", IEEE Trans. ASSP).

Its matrices are computed by NumPy: on the device "meta", where models are made, torch would import its compiler.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_POWER = (20.0, 2.2, 0.5)  # power of brightness and of two color differences, with black at −1 and white at 1


def _cosines(n: int) -> NDArray[np.float64]:
    """The orthonormal type-II DCT of n numbers."""
    k = np.arange(n)
    cosines: NDArray[np.float64] = (2 / n) ** 0.5 * np.cos(np.pi / n * (k + 0.5) * k[:, None])
    cosines[0] /= 2**0.5
    return cosines


def lap_filter(side: int) -> NDArray[np.float32]:
    """The filter (side, side) that turns the DCT of blocks of side × side pixels into the LOT.

    It is computed in its fast form, from a DCT-II and a DCT-IV of half a block.
    """
    half = side // 2
    k = np.arange(half) + 0.5
    fourth = (2 / half) ** 0.5 * np.cos(np.pi / half * k * k[:, None])
    odd = (_cosines(half).T @ fourth)[::-1, ::-1]
    one = np.eye(half)
    butterfly = np.block([[one, one[::-1]], [one[::-1], -one]]) / 2**0.5
    middle = np.eye(side)
    middle[half:, half:] = odd
    filter_: NDArray[np.float32] = (butterfly @ middle @ butterfly).astype(np.float32)
    return filter_


def filtered(image: Tensor, lap: Tensor) -> Tensor:
    """An image of whole blocks (B, 3, H, W), filtered across the edges of blocks.

    It is mirrored at its own edges, which leaves the pixels there unchanged.
    """
    side, lap = len(lap), lap.to(image.dtype)
    half = side // 2
    for dim in (2, 3):
        size = image.shape[dim]
        first, last = image.narrow(dim, 0, half), image.narrow(dim, size - half, half)
        mirrored = torch.cat([first.flip(dim), image, last.flip(dim)], dim)
        edges = torch.unflatten(mirrored, dim, (-1, side))
        spread = lap @ edges if dim == 2 else edges @ lap.T  # neither product copies `edges` into another order
        image = spread.flatten(dim, dim + 1).narrow(dim, half, size)
    return image


def cosine_transform(side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Orthonormal rows (K, K), K = 3·side², for blocks in the order of PixelUnshuffle, and the variances (K,).

    They are the type-II DCT in both directions, and brightness and two differences of the colors. Variances fall with
    the third power of the frequency, as in photographs (Field 1987, "Relations between the statistics of natural images
    and the response properties of cortical cells", JOSA A).
    """
    cosines = _cosines(side)
    n = np.arange(side) * (16 / side)  # frequencies per 16 pixels, for which _POWER is defined
    colors = np.array([[1, 1, 1], [1, 0, -1], [-1, 2, -1]]) / np.array([[3], [2], [6]]) ** 0.5
    basis = np.einsum("kc,ui,vj->kuvcij", colors, cosines, cosines).reshape(3 * side**2, -1)
    falling = (n[:, None] ** 2 + n**2 + 0.25) ** -1.5
    variances = np.array(_POWER)[:, None, None] * falling
    return basis.astype(np.float32), variances.ravel().astype(np.float32)
