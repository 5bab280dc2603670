import subprocess
import sys

import pytest

import omega_entropy
from omega_core import resolve
from omega_core.contracts import Coder, Prior
from omega_entropy import plugin

PRIORS = ("static", "context", "regression", "factorized")
CODERS = ("range", "torchac", "fixed", "raw")


def test_it_lists_the_priors_and_coders_of_this_package():
    assert tuple(component.name for component in plugin.omega_register_priors()) == PRIORS
    assert tuple(component.name for component in plugin.omega_register_coders()) == CODERS


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_is_found_by_name_and_is_what_the_package_exports(name):
    found = resolve("prior", name)
    assert issubclass(found, Prior)
    assert found is getattr(omega_entropy, f"{name.capitalize()}Prior")


@pytest.mark.parametrize("name", [name for name in CODERS if name != "torchac"])
def test_a_coder_is_found_by_name_and_is_what_the_package_exports(name):
    found = resolve("coder", name)
    assert issubclass(found, Coder)
    assert found is getattr(omega_entropy, f"{name.capitalize()}Coder")


@pytest.mark.torchac
def test_the_coder_of_an_extra_is_found_by_name_and_is_no_export_which_would_need_the_extra():
    found = resolve("coder", "torchac")
    assert issubclass(found, Coder)
    assert not hasattr(omega_entropy, found.__name__)


def test_only_what_is_optional_says_what_to_install():
    hints = {component.name: component.install for component in plugin.omega_register_coders()}
    assert [name for name, hint in hints.items() if hint] == ["torchac"]
    assert "extra torchac" in hints["torchac"]


@pytest.mark.parametrize(
    "module",
    ["omega_entropy", "omega_entropy.plugin", *(f"omega_core.coders.{name}" for name in ("range", "fixed", "raw"))],
)
def test_importing_the_plugin_and_the_coders_does_not_import_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
