"""Drafts, which thumbnails are made of: they decode a part of the stream."""

import io

import numpy as np
import pytest
from PIL import Image

from omega_core.format.file import OmegaFile


@pytest.fixture
def large(model, noise_picture):
    """The bytes of a file whose stream has more bytes than are decoded in any case."""
    return model.compress(noise_picture(64, 96, 3))


def of_first_bytes(data, model, length):
    return model.decompress(OmegaFile.parse(data).truncated(length).to_bytes())


@pytest.mark.parametrize(
    ("size", "share"), [((48, 32), 1 / 2), ((72, 48), 3 / 4), ((96, 16), 1 / 4), ((24, 16), 1 / 4), ((1, 1), 1 / 8)]
)
def test_a_draft_decodes_a_share_of_the_stream(large, model, size, share):
    length = OmegaFile.parse(large).header.length
    with Image.open(io.BytesIO(large)) as image:
        assert image.draft("L", size) == ("RGB", (0, 0, 96, 64))
        assert (image.size, image.mode) == ((96, 64), "RGB")
        assert image.tobytes() == of_first_bytes(large, model, int(length * share)).tobytes()


@pytest.mark.parametrize("size", [None, (96, 64), (300, 64)])
def test_a_draft_that_is_as_large_is_the_image(large, model, size):
    with Image.open(io.BytesIO(large)) as image:
        assert image.draft(None, size) is None
        assert image.tobytes() == model.decompress(large).tobytes()


def test_the_last_draft_counts_and_none_after_loading(large, model):
    with Image.open(io.BytesIO(large)) as image:
        assert image.draft(None, (24, 16))
        assert image.draft(None, (96, 64)) is None
        assert image.tobytes() == model.decompress(large).tobytes()
        assert image.draft(None, (24, 16)) is None


def test_a_small_file_is_decoded_as_a_whole(model, noise_picture):
    data = model.compress(noise_picture(8, 8, 3))
    with Image.open(io.BytesIO(data)) as image:
        assert image.draft(None, (1, 1)) is None


def test_a_thumbnail_is_made_of_a_draft(large, model):
    with Image.open(io.BytesIO(large)) as image:
        image.thumbnail((12, 12))
        assert image.size == (12, 8)
        part = of_first_bytes(large, model, OmegaFile.parse(large).header.length // 4)
        assert image.tobytes() == part.resize((12, 8), box=(0, 0, 96, 64), reducing_gap=2.0).tobytes()


def test_a_thumbnail_without_a_gap_is_made_of_the_whole(large, model):
    with Image.open(io.BytesIO(large)) as image:
        image.thumbnail((12, 12), reducing_gap=None)
        assert np.array_equal(np.asarray(image), np.asarray(model.decompress(large).resize((12, 8))))


def test_damage_after_the_part_that_is_decoded_is_found(large):
    damaged = large[:-10] + bytes([large[-10] ^ 1]) + large[-9:]
    with Image.open(io.BytesIO(damaged)) as image, pytest.raises(OSError, match="damaged"):
        image.thumbnail((12, 12))
