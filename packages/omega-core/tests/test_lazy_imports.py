import importlib
import subprocess
import sys
from importlib.metadata import version

import pytest

import omega_core
import omega_core.contracts
import omega_core.testing

LIGHT = [
    "omega_core",
    "omega_core.plugin",
    "omega_core.contracts",
    "omega_core.codec.model_file",
    "omega_core.format.file",
    "omega_core.pillow",
]


def test_what_only_lists_and_reads_does_not_import_torch():
    program = f"import sys, {', '.join(LIGHT)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


PACKAGES = pytest.mark.parametrize("package", [omega_core, omega_core.contracts, omega_core.testing])


@PACKAGES
def test_every_public_name_can_be_imported(package):
    for name in package.__all__:
        assert getattr(package, name) is not None


@PACKAGES
def test_a_package_lists_its_public_names(package):
    assert {name for name in dir(package) if not name.startswith("__")} == set(package.__all__)


@PACKAGES
def test_a_name_that_is_not_there_is_named_with_its_module(package):
    with pytest.raises(AttributeError, match=rf"'{package.__name__}' has no attribute 'Nothing'"):
        _ = package.Nothing


def test_the_version_is_that_of_the_distribution():
    assert omega_core.__version__ == version("omega-core")
    with pytest.raises(AttributeError, match="has no attribute '__version__'"):
        _ = omega_core.contracts.__version__


def test_public_names_are_listed_before_anything_is_imported_for_them():
    program = (
        "import sys, omega_core, omega_core.contracts, omega_core.testing as kit; "
        "assert {'Model', 'compress', 'decompress', 'load_model', 'list_models', 'OmegaError'} <= {*dir(omega_core)}; "
        "assert {'Architecture', 'Coder', 'implements'} <= {*dir(omega_core.contracts)}; "
        "assert {'CoderContract', 'Check', 'failures'} <= {*dir(kit)}; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes a package of this source, with modules whose import can be seen."""

    def make(source):
        folder = tmp_path / "lazy_package"
        folder.mkdir()
        (folder / "__init__.py").write_text(source)
        (folder / "home.py").write_text("class Thing: pass\nclass Private: pass\n")
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        return importlib.import_module("lazy_package")

    yield make
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazy_package"]:
        del sys.modules[name]


def test_names_are_public_that_are_imported_as_themselves_or_defined(package):
    made = package(
        "from typing import TYPE_CHECKING, Any\n"
        "from fractions import Fraction as Fraction\n"
        "from omega_core.lazy import lazily\n"
        "if TYPE_CHECKING:\n"
        "    from lazy_package.home import Thing as Thing\n"
        "    from lazy_package.home import Private\n"
        "__getattr__, __dir__, __all__ = lazily(__name__)\n"
        "def function(): pass\n"
        "def _helper(): pass\n"
    )
    assert made.__all__ == ["Fraction", "Thing", "function"]
    assert {"Fraction", "Thing", "function", "__name__"} <= {*dir(made)}
    assert "lazy_package.home" not in sys.modules
    assert made.Thing.__module__ == "lazy_package.home"
    assert vars(made)["Thing"] is made.Thing
    with pytest.raises(AttributeError):
        _ = made.Private
