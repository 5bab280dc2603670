"""Lazy imports of the public names of a package."""

import ast
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any


def lazily(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `__getattr__`, `__dir__` (PEP 562) and `__all__` of a package, from the imports in its source.

    Public names are those imported as themselves, `from module import Name as Name` (PEP 484), and functions defined in
    the package. Imports below `if TYPE_CHECKING:` are made when a name is first used. So every name is listed once.
    `__version__` of a top-level package is the version of the distribution with its name.

    package: `__name__` of the package, which calls this while it is imported.

    Raises ImportError if the package is installed without its source. `__getattr__` raises MissingExtraError for a name
    that needs a module of omega-core's extras which is not installed.
    """
    get_source = getattr(sys.modules[package].__loader__, "get_source", None)
    source = None if get_source is None else get_source(package)
    if source is None:
        raise ImportError(f"the package {package} needs the source of its __init__.py", name=package)
    eager, homes = _public(ast.parse(source))
    names = sorted({*eager, *homes})

    def take(name: str) -> Any:
        found: Any
        if name == "__version__" and "." not in package:
            from importlib.metadata import version

            found = version(package.replace("_", "-"))
        elif name in homes:
            try:
                found = getattr(import_module(homes[name]), name)
            except ModuleNotFoundError as problem:
                from omega_core.extras import EXPORT, missing

                if problem.name not in EXPORT:
                    raise
                raise missing(f"{package}.{name}", problem.name) from problem
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, found)
        return found

    def listed() -> list[str]:
        return sorted({*names, *(name for name in vars(sys.modules[package]) if name.startswith("__"))})

    return take, listed, names


def _public(module: ast.Module) -> tuple[set[str], dict[str, str]]:
    """The public names that a module defines or imports, and the lazy ones, each with its module."""
    eager, homes = set[str](), dict[str, str]()
    for statement in module.body:
        if isinstance(statement, ast.FunctionDef) and not statement.name.startswith("_"):
            eager.add(statement.name)
        eager |= {name for name, _ in _exported(statement)}
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            homes |= {name: home for each in statement.body for name, home in _exported(each)}
    return eager, homes


def _exported(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """The names that a statement imports as themselves, each with its module."""
    if isinstance(statement, ast.ImportFrom):
        yield from ((name.name, statement.module or "") for name in statement.names if name.asname == name.name)
