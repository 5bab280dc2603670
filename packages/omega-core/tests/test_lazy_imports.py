import subprocess
import sys

import pytest

import omega_core
import omega_core.contracts
from omega_core.lazy import lazily

LIGHT = [
    "omega_core",
    "omega_core.plugin",
    "omega_core.contracts",
    "omega_core.codec.model_file",
    "omega_core.format.file",
]


def test_what_only_lists_and_reads_does_not_import_torch():
    program = f"import sys, {', '.join(LIGHT)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("module", [omega_core, omega_core.contracts])
def test_every_public_name_can_be_imported(module):
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("module", [omega_core, omega_core.contracts])
def test_a_name_that_is_not_there_is_named_with_its_module(module):
    with pytest.raises(AttributeError, match=rf"'{module.__name__}' has no attribute 'Nothing'"):
        _ = module.Nothing


def test_a_lazy_name_is_taken_from_its_home():
    from fractions import Fraction

    assert lazily("package", {"Fraction": "fractions"})("Fraction") is Fraction
