import numpy as np
import pytest
import torch

from omega_core.errors import ImageError
from omega_core.images.arrays import picture_of_tensor
from omega_core.images.pictures import Picture
from omega_core.images.reading import is_batch, pictures_of, read_picture

FLOATS = [torch.float16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("colors", [1, 3])
def test_every_level_becomes_itself_through_a_tensor(colors, dtype):
    pixels = np.arange(colors * 256, dtype=np.int64).astype(np.uint8).reshape(colors, 16, 16)
    tensor = Picture(pixels).to_tensor()
    assert (tensor.dtype, tuple(tensor.shape)) == (torch.float32, (colors, 16, 16))
    assert (tensor.min(), tensor.max()) == (0, 1)
    for given in (tensor.to(dtype), tensor.to(dtype)[None]):
        assert (read_picture(given).pixels == pixels).all()


def test_values_between_two_levels_become_the_nearest():
    tensor = torch.tensor([0.49, 0.51, 254.49, 254.51]).view(1, 2, 2) / 255
    assert read_picture(tensor).pixels.tolist() == [[[0, 1], [254, 255]]]


def test_a_tensor_with_a_gradient_or_in_another_order_of_memory_is_taken():
    tensor = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = read_picture(tensor).pixels
    assert (read_picture(tensor.clone().requires_grad_()).pixels == expected).all()
    assert (read_picture(tensor.contiguous(memory_format=torch.channels_last)).pixels == expected).all()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.complex64])
def test_a_tensor_of_another_type_is_refused_by_its_type(dtype):
    with pytest.raises(ImageError, match=f"a tensor of {dtype} is not a picture"):
        read_picture(torch.zeros(3, 4, 4, dtype=dtype))


@pytest.mark.parametrize("shape", [(), (4,), (4, 4), (2, 4, 4), (4, 4, 3), (3, 0, 4), (2, 3, 4, 4), (1, 1, 3, 4, 4)])
def test_a_tensor_of_another_rank_or_of_other_colors_is_refused_by_its_shape(shape):
    with pytest.raises(ImageError, match=r"a tensor of shape \("):
        read_picture(torch.zeros(shape))


@pytest.mark.parametrize(
    ("value", "told"),
    [(-0.5, "from -0.5 to 1"), (255.0, "from 0 to 255"), (float("nan"), "nan"), (float("inf"), "inf")],
)
def test_a_tensor_of_values_outside_of_0_to_1_is_refused_by_its_range(value, told):
    tensor = torch.tensor([0.0, 1.0, 0.5, value]).view(1, 2, 2)
    with pytest.raises(ImageError, match=told):
        read_picture(tensor)


def test_a_tensor_with_too_many_pixels_is_refused_before_it_is_looked_at():
    with pytest.raises(ImageError, match="6×4 pixels are more than 23"):
        read_picture(torch.full((1, 4, 6), 9.0), max_pixels=23)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 2), (4, 6, 3), (4, 6, 4)])
def test_a_picture_gives_the_array_that_it_came_from(noise_picture, shape):
    array = noise_picture(*shape)
    picture = read_picture(array)
    found = picture.to_array()
    assert (found.shape, found.dtype) == (shape, np.uint8)
    assert (found == array).all()
    found[:] = 0
    assert (picture.to_array() == array).all()


def test_several_pictures_are_a_list_a_tuple_or_a_tensor_with_another_number_than_one():
    array = np.zeros((4, 4), np.uint8)
    for batch in ([], [array], (array, "a.png"), torch.zeros(2, 1, 4, 4), torch.zeros(0, 1, 4, 4)):
        assert is_batch(batch)
    for single in (
        array,
        "a.png",
        b"",
        torch.zeros(1, 4, 4),
        torch.zeros(1, 1, 4, 4),
        np.zeros((2, 4, 4, 3), np.uint8),
    ):
        assert not is_batch(single)


def test_arrays_and_tensors_of_different_shapes_are_no_batch():
    for batch in (
        [torch.zeros(1, 4, 4), torch.zeros(1, 4, 5)],
        [np.zeros((4, 4), np.uint8), np.zeros((5, 4), np.uint8)],
    ):
        with pytest.raises(ImageError, match=r"one shape, not \[\("):
            pictures_of(batch)


@pytest.mark.parametrize(
    "tensor", [torch.zeros(3, 4, 4, device="meta"), torch.zeros(3, 4, 4).to_sparse()], ids=["meta", "sparse"]
)
def test_a_tensor_without_values_in_a_row_is_refused(tensor):
    with pytest.raises(ImageError, match="give a dense one"):
        picture_of_tensor(tensor, 100)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 2), (1, 1, 3)])
def test_a_picture_keeps_its_pixels_when_its_array_changes(shape):
    array = np.zeros(shape, np.uint8)
    picture = read_picture(array)
    array[:] = 9
    assert not picture.to_array().any()


def test_a_tensor_of_64_bits_is_looked_at_with_all_of_them():
    assert read_picture(torch.full((1, 1, 1), (1.5 - 1e-12) / 255, dtype=torch.float64)).pixels.tolist() == [[[1]]]
    with pytest.raises(ImageError, match="is not a picture; give values from 0 to 1"):
        read_picture(torch.full((1, 1, 1), 1 + 1e-12, dtype=torch.float64))
