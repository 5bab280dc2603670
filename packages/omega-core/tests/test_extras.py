import sys

import pytest

from omega_core.errors import MissingExtraError, OmegaError
from omega_core.extras import TORCH, require


@pytest.fixture
def without(monkeypatch):
    """Makes modules look as if they were not installed."""

    def leave_out(*gone):
        for name in gone:
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.setattr("omega_core.extras.find_spec", lambda name: None if name in gone else object())

    return leave_out


def test_nothing_is_asked_for_where_all_is_installed():
    require("omega_core.codec", *TORCH)


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (["PIL"], "needs pillow, which is not installed: install omega-core with its extra torch or onnx."),
        (
            ["numpy", "PIL"],
            "needs numpy, pillow, which are not .* with its extra torch or onnx.",
        ),
        (
            list(TORCH),
            "needs numpy, pillow, safetensors, torch, which are not installed: .* its extra torch.",
        ),
        (["constriction"], "needs constriction, which is not installed: install omega-core with its extra onnx."),
        (["onnxscript", "PIL"], "needs onnxscript, pillow, .* install omega-core with its extra onnx-export."),
    ],
)
def test_what_is_missing_is_named_with_the_extras_that_bring_it(gone, named, without):
    without(*gone)
    with pytest.raises(MissingExtraError, match=named):
        require("omega_core.codec", *gone)


def test_what_is_installed_is_not_named(without):
    without("PIL")
    with pytest.raises(MissingExtraError, match="needs pillow, which is not"):
        require("omega_core.images", "numpy", "PIL")


def test_what_is_missing_is_an_error_of_ours_and_an_import_error():
    assert issubclass(MissingExtraError, OmegaError)
    assert issubclass(MissingExtraError, ImportError)
