"""The limit on the memory that decoding takes, which is known before it is allocated."""

import pytest
import torch
from model_samples import forged
from torch import nn

from omega_core.codec.loading import load_model
from omega_core.codec.memory import MAX_MEMORY, VARIABLE, default_max_memory
from omega_core.codec.memory_measurement import _LiveBytes, measured
from omega_core.errors import ImageError, NotEnoughMemoryError, OmegaError


@pytest.fixture
def limited(model_file):
    """A model, and another of the same file that may take a given number of bytes."""
    path = model_file(block=8)
    return load_model(path), lambda allowed: load_model(path, max_memory=allowed)


def test_a_file_is_decoded_and_made_with_as_much_memory_as_it_needs_and_not_with_less(limited, picture):
    model, with_memory = limited
    data = model.compress(picture)
    needed = model.memory.needed([(16, 24)], None)
    assert with_memory(needed).compress(picture) == data
    with_memory(needed).decompress(data)
    small = with_memory(needed - 1)
    for ask in (
        lambda: small.compress(picture),
        lambda: small.encode(picture),
        lambda: small.decompress(data),
        lambda: small.decompress_all(data),
        lambda: small.decompress_each([data]),
        lambda: small.decode(data),
    ):
        with pytest.raises(NotEnoughMemoryError) as caught:
            ask()
        assert (caught.value.needed, caught.value.allowed) == (needed, needed - 1)


def test_pictures_that_are_made_while_decoding_goes_on_need_memory_for_both(limited, picture):
    model, with_memory = limited
    data = model.compress(picture)
    alone, needed = (model.memory.needed([(16, 24)], None, growing=growing) for growing in (False, True))
    assert alone < needed
    assert list(with_memory(needed).decompress_progressively(data))
    with pytest.raises(NotEnoughMemoryError) as caught:
        next(with_memory(needed - 1).decompress_progressively(data))
    assert (caught.value.needed, caught.value.allowed) == (needed, needed - 1)


def test_a_claim_of_much_memory_is_refused_before_any_is_taken(model, picture, monkeypatch):
    data = forged(model.compress(picture), sizes=((9000, 9000),))
    known = model.memory.needed([(9000, 9000)], None)
    monkeypatch.setattr(type(model.file_codec), "decode", lambda *_, **__: pytest.fail("it was decoded"))
    assert model.max_memory == MAX_MEMORY
    model.max_memory = 1 << 30
    with pytest.raises(NotEnoughMemoryError) as caught:
        model.decompress(data)
    assert caught.value.needed == known > caught.value.allowed == 1 << 30


def test_the_environment_can_have_another_default(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert default_max_memory() == 4 << 30
    monkeypatch.setenv(VARIABLE, "100")
    assert default_max_memory() == 100 << 20
    for wrong in ("", "0", "-1", "1.5", "much", "²", "١", "1\n", "9" * 5000):
        monkeypatch.setenv(VARIABLE, wrong)
        with pytest.raises(OmegaError, match="has to be a number of MiB"):
            default_max_memory()


def test_pictures_of_a_file_count_together_and_batches_by_what_is_transformed_at_once(local):
    memory = local().memory
    one, many = ([(64, 64)] * count for count in (1, 64))
    assert memory.needed(many, None) > memory.needed(one, None)
    tiled, whole = (memory.needed([(2048, 2048)], tile) for tile in (256, None))
    assert tiled < whole


def test_nothing_is_known_of_an_architecture_that_takes_other_sizes_only(model, monkeypatch):
    def refuse(*_):
        raise ImageError("not this size.")

    monkeypatch.setattr(type(model.codec.architecture), "latent_size", refuse)
    assert measured(model.codec).transformed == 0


def test_tensors_are_counted_while_they_are_alive():
    """Input and output of the second convolution are alive at once, and that of the first is not any more."""
    layers = nn.Sequential(nn.Conv2d(1, 64, 3, padding=1), nn.Conv2d(64, 32, 3, padding=1))
    with torch.inference_mode(), _LiveBytes() as live:
        layers(torch.zeros(1, 1, 16, 16))
    assert 16 * 16 * 4 * (64 + 32) <= live.peak <= 16 * 16 * 4 * (1 + 64 + 32 + 64)
