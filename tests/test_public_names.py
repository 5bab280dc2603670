"""The public names of the packages."""

import pkgutil
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["omega_core", "omega_quant", "omega_entropy", "omega_train", "omega_cli"])
def test_a_public_name_is_no_module_of_its_package_which_would_take_its_place_once_imported(name: str) -> None:
    package = import_module(name)
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    assert not modules & {*getattr(package, "__all__", [])}


@pytest.mark.parametrize("name", ["omega_core", "omega_quant", "omega_entropy", "omega_train"])
def test_every_public_name_can_be_imported(name: str) -> None:
    package = import_module(name)
    assert all(getattr(package, each) is not None for each in package.__all__)
