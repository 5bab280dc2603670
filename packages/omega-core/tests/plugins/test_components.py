from dataclasses import FrozenInstanceError

import pytest

from omega_core.plugins.components import KINDS, Component
from omega_core.plugins.hookspecs import hookimpl

GOOD = {"name": "mine", "target": "package.module:Class", "summary": "A thing."}


@pytest.mark.parametrize("name", ["a", "fsq", "omega-8", "vq2-ema", "0"])
def test_a_name_has_lower_case_letters_digits_and_single_hyphens(name):
    assert Component(**GOOD | {"name": name}).name == name


@pytest.mark.parametrize("name", ["", "Fsq", "f_sq", "f sq", "-fsq", "fsq-", "f--sq", "a/b", "Ω", "fsq\n"])
def test_any_other_name_is_refused(name):
    with pytest.raises(ValueError, match="component name"):
        Component(**GOOD | {"name": name})


@pytest.mark.parametrize("target", ["", "module", "module.Class", "module:", ":Class", "m:a:b", "m:a.b", "1m:A"])
def test_a_target_that_is_not_module_and_attribute_is_refused(target):
    with pytest.raises(ValueError, match="module:attribute"):
        Component(**GOOD | {"target": target})


@pytest.mark.parametrize("summary", ["", "one\ntwo"])
def test_a_summary_is_one_line(summary):
    with pytest.raises(ValueError, match="one line"):
        Component(**GOOD | {"summary": summary})


def test_a_component_is_described_by_keywords_and_never_changes():
    component = Component(**GOOD)
    with pytest.raises(FrozenInstanceError):
        component.name = "other"
    with pytest.raises(TypeError):
        Component("mine", "package.module:Class", "A thing.")


def test_there_is_one_hook_for_each_kind():
    from omega_core.plugins import hookspecs

    hooks = {name for name in vars(hookspecs) if name.startswith("omega_register_")}
    assert hooks == {f"omega_register_{kind}s" for kind in (*KINDS, "model")}


def test_the_markers_of_hooks_are_those_of_the_public_package():
    import omega_core

    assert omega_core.hookimpl is hookimpl
