"""Tests of the contract of codecs, with the conformance kit."""

import numpy as np
from omega_core.testing import CodecContract

from __PACKAGE__.codec import __CLASS__


class Test__CLASS__(CodecContract):
    name = "__NAME__"


def test_only_the_lowest_bits_are_lost() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    codec = __CLASS__()
    decoded = codec.decode(codec.encode(pixels, 5), 1)
    assert np.abs(decoded.astype(int) - pixels).max() == 4
