import math

import numpy as np
import pytest

from omega_core.images.metrics import psnr


def test_psnr_is_that_of_the_mean_squared_error_over_all_colors():
    original = np.zeros((3, 2, 2), np.uint8)
    assert psnr(original, original) == math.inf
    assert psnr(original, original + 255) == 0
    assert psnr(original + 3, original) == pytest.approx(10 * math.log10(255**2 / 9))
    assert psnr(original + 3, original, np.zeros((2, 2), bool)) == math.inf, "no pixel counts"
    one = original.copy()
    one[0, 0, 0] = 6
    assert psnr(original, one) == psnr(one, original) == pytest.approx(10 * math.log10(255**2 / 3))
    assert psnr(original, one, np.array([[True, True], [False, False]])) == pytest.approx(10 * math.log10(255**2 / 6))
