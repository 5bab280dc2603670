"""Where a model computes."""

import pytest
import torch

from omega_core.codec import devices
from omega_core.codec.devices import device_of
from omega_core.codec.loading import load_model
from omega_core.errors import DeviceError

ABSENT = "meta" if torch.cuda.is_available() else "cuda"


def test_a_device_of_this_machine_is_found_by_its_name():
    assert device_of("cpu") == torch.device("cpu")
    assert device_of(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("there", [True, False])
def test_auto_is_a_gpu_if_there_is_one(monkeypatch, there):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert device_of("auto").type == ("cuda" if there else "cpu")


@pytest.mark.parametrize("name", [ABSENT, "cuda:99", "nothing", "", "meta"])
def test_a_device_that_is_not_there_is_one_clear_error(name):
    with pytest.raises(DeviceError) as caught:
        device_of(name)
    assert "\n" not in str(caught.value)


def test_a_model_is_loaded_to_a_device_or_not_at_all(model_file):
    path = model_file()
    assert load_model(path, device="cpu").codec.device.type == "cpu"
    with pytest.raises(DeviceError):
        load_model(path, device=ABSENT)


@pytest.mark.parametrize(
    ("able", "quick"),
    [("_is_amx_tile_supported", True), ("_is_avx512_bf16_supported", True), ("", False), (None, False)],
)
def test_processors_with_instructions_for_bfloat16_are_quick_with_it(monkeypatch, able, quick):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        if able is None:  # as in other versions of torch
            monkeypatch.delattr(torch.cpu, name, raising=False)
        else:
            monkeypatch.setattr(torch.cpu, name, lambda name=name: name == able, raising=False)
    devices._multiplies_bfloat16.cache_clear()
    try:
        assert devices.is_quick(torch.device("cpu"), torch.bfloat16) == quick
        assert not devices.is_quick(torch.device("cpu"), torch.float16)
        assert not devices.is_quick(torch.device("meta"), torch.bfloat16)
    finally:
        devices._multiplies_bfloat16.cache_clear()
