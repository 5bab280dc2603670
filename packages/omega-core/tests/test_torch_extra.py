import sys

import pytest

from omega_core.errors import MissingExtraError, OmegaError
from omega_core.torch_extra import TORCH, require_torch


def test_nothing_is_asked_for_where_all_of_the_extra_is_installed():
    require_torch("omega_core.codec")


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (["PIL"], "needs pillow, which is not installed"),
        (list(TORCH), "needs numpy, pillow, safetensors, torch, which are not installed"),
    ],
)
def test_what_is_missing_is_named_with_the_extra_that_brings_it(gone, named, monkeypatch):
    for name in gone:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr("omega_core.torch_extra.find_spec", lambda name: None if name in gone else object())
    with pytest.raises(MissingExtraError, match=f"{named}: install omega-core with its extra torch"):
        require_torch("omega_core.codec")


def test_what_is_missing_is_an_error_of_ours_and_an_import_error():
    assert issubclass(MissingExtraError, OmegaError)
    assert issubclass(MissingExtraError, ImportError)
