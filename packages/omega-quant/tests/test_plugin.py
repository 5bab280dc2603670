import subprocess
import sys

import pytest

import omega_quant
from omega_core import resolve
from omega_core.contracts import Quantizer
from omega_quant import plugin

NAMES = ("omega", "integer", "identity")


def test_it_lists_the_quantizers_of_this_package():
    assert tuple(component.name for component in plugin.omega_register_quantizers()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_quantizer_is_found_by_name_and_is_what_the_package_exports(name):
    found = resolve("quantizer", name)
    assert issubclass(found, Quantizer)
    assert found is getattr(omega_quant, f"{name.capitalize()}Quantizer")


@pytest.mark.parametrize("module", ["omega_quant", "omega_quant.plugin"])
def test_importing_the_plugin_does_not_import_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
