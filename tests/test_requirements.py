"""What a package imports comes with it: in an environment with all packages nothing else would tell."""

import ast
import importlib
import re
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PACKAGES = ("omega_core", "omega_quant", "omega_entropy", "omega_train", "omega_cli")


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(distribution: str, extras: set[str]) -> set[str]:
    """The distributions that come with one and some of its extras, as far as ours declare them."""
    names = {distribution}
    for text in requires(distribution) or ():
        requirement = Requirement(text)
        if requirement.marker and not any(requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            continue
        name = normalized(requirement.name)
        names |= declared(name, requirement.extras) if name.replace("-", "_") in PACKAGES else {name}
    return names


def imported(package: str) -> dict[str, str]:
    """The distributions that the modules of a package import, each with the module that does."""
    [folder] = importlib.import_module(package).__path__
    providers = packages_distributions()
    found = {}
    for path in sorted(Path(folder).rglob("*.py")):
        if "templates" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            for module in {name.partition(".")[0] for name in modules} - sys.stdlib_module_names:
                found[normalized(providers.get(module, [module])[0])] = path.name
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_requires_what_it_imports(package: str) -> None:
    distribution = package.replace("_", "-")
    extras = {extra for text in requires(distribution) or () for extra in re.findall(r"extra == [\"'](.*?)[\"']", text)}
    there = declared(distribution, extras) | {"pytest"}  # which runs the conformance kit
    assert {name: where for name, where in imported(package).items() if name not in there} == {}
