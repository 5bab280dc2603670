import numpy as np
import pytest

from omega_core.images.invisible import without_invisible_colors
from omega_core.images.pictures import Picture


@pytest.fixture
def picture(noise_picture):
    """Makes a picture of noise with a visible rectangle."""

    def make(height=33, width=18, colors=3):
        alpha = np.zeros((height, width), np.uint8)
        alpha[height // 3 : height // 2 + 1, width // 4 : width // 2 + 1] = 7
        pixels = noise_picture(height, width, 4)[:, :, :colors].transpose(2, 0, 1)
        return Picture(np.ascontiguousarray(pixels), alpha, b"profile")

    return make


@pytest.mark.parametrize("colors", [1, 3])
@pytest.mark.parametrize("size", [(33, 18), (1, 9), (8, 8), (200, 301)])
def test_visible_colors_stay_and_the_others_do_not_matter(picture, size, colors):
    given = picture(*size, colors)
    found = without_invisible_colors(given)
    assert (found.pixels.dtype, found.pixels.shape) == (np.uint8, given.pixels.shape)
    assert np.array_equal(found.pixels[:, given.visible], given.pixels[:, given.visible])
    assert np.array_equal(found.alpha, given.alpha)
    assert found.profile == given.profile
    other = Picture(np.where(given.visible, given.pixels, 255 - given.pixels), given.alpha)
    for each in (other, Picture(found.pixels, found.alpha)):
        assert np.array_equal(without_invisible_colors(each).pixels, found.pixels)
    assert without_invisible_colors(found) is found


def test_invisible_pixels_continue_the_visible_ones_smoothly():
    rows, columns = np.mgrid[:64, :64]
    slope = (2 * rows + columns + 20).astype(np.uint8)
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[20:40, 20:50] = 0
    found = without_invisible_colors(Picture(np.where(alpha > 0, slope, 0).astype(np.uint8)[None], alpha))
    assert np.abs(found.pixels[0].astype(int) - slope).max() <= 20
    assert np.abs(np.diff(found.pixels[0].astype(int), axis=0)).max() <= 10


def test_without_visible_pixels_one_color_is_left(noise_picture):
    found = without_invisible_colors(Picture(noise_picture(9, 7)[None], np.zeros((9, 7), np.uint8)))
    assert np.ptp(found.pixels) == 0


@pytest.mark.parametrize("alpha", [None, np.full((9, 7), 255, np.uint8), np.full((9, 7), 1, np.uint8)])
def test_without_invisible_pixels_a_picture_is_returned_as_it_is(noise_picture, alpha):
    given = Picture(noise_picture(9, 7)[None], alpha)
    assert given.visible is None
    assert without_invisible_colors(given) is given
