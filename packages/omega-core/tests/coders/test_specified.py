"""Coders that are found by the names that files have, without the plugin that registers them."""

import sys

import pytest

from omega_core.coders import specified_coder, specified_name
from omega_core.errors import MissingExtraError


@pytest.mark.parametrize("name", ["fixed", "raw"])
def test_a_coder_is_found_by_the_name_that_files_have(name):
    found = specified_coder(f"omega-entropy/{name}")
    assert found.__module__ == f"omega_core.coders.{name}"
    assert found.__name__.lower() == f"{name}coder"


def test_range_needs_constriction(monkeypatch):
    monkeypatch.delitem(sys.modules, "constriction", raising=False)
    monkeypatch.setattr("omega_core.extras.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"omega-entropy/range needs constriction.* its extra onnx"):
        specified_coder("omega-entropy/range")


@pytest.mark.parametrize("name", ["fixed", "omega-entropy/torchac", "omega-fancy/raw", "omega-entropy/", ""])
def test_what_files_call_otherwise_is_another_coder(name):
    assert specified_coder(name) is None


@pytest.mark.parametrize(
    ("name", "qualified"),
    [
        ("range", "omega-entropy/range"),
        ("omega-entropy/fixed", "omega-entropy/fixed"),
        ("omega-fancy/range", None),
        ("torchac", None),
    ],
)
def test_a_bare_name_stands_for_the_qualified_one(name, qualified):
    assert specified_name(name) == qualified
