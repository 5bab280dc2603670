"""Components and models of the installed distributions, found by name and imported on demand.

Omega's own packages use the same entry points as other plugins. The environment variable OMEGA_PLUGINS limits the
plugins that are loaded: if empty, to Omega's own; otherwise to those in its comma-separated list of distributions.
"""

import inspect
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

import pluggy

from omega_core.errors import ComponentError, MissingExtraError, ModelFileError, OmegaError
from omega_core.plugins import hookspecs
from omega_core.plugins.components import KINDS, BundledModel, Component
from omega_core.plugins.options import Options, guess

_log = logging.getLogger(__name__)

FIRST_PARTY = frozenset({"omega-core", "omega-quant", "omega-entropy", "omega-train", "omega-cli"})


class _Named:
    """An entry that a distribution registered under a name."""

    name: str
    distribution: str

    @property
    def qualified_name(self) -> str:
        return f"{self.distribution}/{self.name}"

    def is_called(self, name: str) -> bool:
        """Whether a name is the bare or the qualified name of the entry."""
        return name in (self.name, self.qualified_name)


@dataclass(frozen=True)
class Registered(_Named):
    """A component, its kind and its distribution."""

    kind: str
    component: Component
    distribution: str

    @property
    def name(self) -> str:  # type: ignore[override]  # read-only, as all fields
        return self.component.name


@dataclass(frozen=True, kw_only=True)
class RegisteredModel(BundledModel, _Named):
    """A bundled model and its distribution."""

    distribution: str

    def __repr__(self) -> str:
        return f"<{self.qualified_name}: {self.summary}>"

    def path(self) -> Path:
        """Return the path of the model file. Raises ModelFileError if the distribution lacks it."""
        try:
            path = super().path()
        except (ImportError, TypeError, ValueError) as problem:
            raise ModelFileError(f"the file of the model {self.qualified_name} is missing: {problem}.") from problem
        if not path.is_file():
            raise ModelFileError(f"the file of the model {self.qualified_name} is missing: {path}.")
        return path


@dataclass(frozen=True)
class Plugin:
    """An entry point of the group `omega`, with its components and models, or with the error of its import.

    distribution, version: the distribution of the entry point, and its version, "" if it is unknown.
    module: the value of the entry point.
    components, models: the entries that its hooks returned.
    error: type and message of the exception that importing or registering raised; "" if none did.
    left_out: whether OMEGA_PLUGINS excludes it.
    remarks: warnings about its hooks: deprecated ones, and functions without `hookimpl`.
    """

    distribution: str
    version: str
    module: str
    components: tuple[Registered, ...] = ()
    error: str = ""
    left_out: bool = False
    remarks: tuple[str, ...] = ()
    models: tuple[RegisteredModel, ...] = ()

    @property
    def out_of_range(self) -> str:
        """Why the distribution does not support the installed omega-core; "" if it does."""
        from omega_core.plugins.versions import out_of_range

        return out_of_range(self.distribution)


Named = TypeVar("Named", Registered, RegisteredModel)
Entry = TypeVar("Entry", Component, BundledModel)


class Registry:
    """The components and models of plugins, found by name."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = tuple(sorted(plugins, key=lambda plugin: (plugin.distribution, plugin.module)))

    def components(self, kind: str | None = None) -> list[Registered]:
        """Return the components of a kind, or of all kinds if None, sorted by kind and name.

        Raises ComponentError for an unknown kind.
        """
        if kind not in (None, *KINDS):
            hint = guess(kind or "", KINDS)
            raise ComponentError(f"there is no kind of component {kind!r}.{hint} The kinds are {', '.join(KINDS)}.")
        found = [c for plugin in self.plugins for c in plugin.components if kind in (None, c.kind)]
        return sorted(found, key=lambda c: (KINDS.index(c.kind), c.component.name, c.distribution))

    def find(self, kind: str, name: str) -> Registered:
        """Return the component of a kind by its bare or qualified name.

        Raises ComponentError if the name is unknown or ambiguous.
        """
        return self._one(kind, name, self.components(kind), ComponentError)

    def models(self, name: str | None = None) -> list[RegisteredModel]:
        """Return the models with a bare or qualified name, or all models if None, sorted by name."""
        found = [m for plugin in self.plugins for m in plugin.models if name is None or m.is_called(name)]
        return sorted(found, key=lambda each: (each.name, each.distribution))

    def find_model(self, name: str) -> RegisteredModel:
        """Return the model with a bare or qualified name. Raises ModelFileError if it is unknown or ambiguous."""
        return self._one("model", name, self.models(), ModelFileError)

    def find_model_by_fingerprint(self, prefix: bytes) -> RegisteredModel | None:
        """Return a model whose fingerprint begins with `prefix`, such as the 4 bytes in a file; None without one."""
        return next((each for each in self.models() if each.fingerprint.startswith(prefix.hex())), None)

    def _one(self, kind: str, name: str, available: list[Named], error: type[OmegaError]) -> Named:
        """Return the only entry with a name. Raises an error of the given class that lists the available names."""
        found = [each for each in available if each.is_called(name)]
        if len(found) == 1:
            return found[0]
        if found:
            if len({each.distribution for each in found}) == 1:
                raise error(f"{found[0].distribution} has the {kind} {name!r} twice, which is a bug in it.")
            choices = " or ".join(each.qualified_name for each in found)
            raise error(f"{len(found)} plugins have a {kind} {name!r}; specify one: {choices}.")
        raise error(self._unknown(kind, name, available))

    def _unknown(self, kind: str, name: str, available: Sequence[Registered | RegisteredModel]) -> str:
        names = [c.name for c in available]
        message = f"there is no {kind} {name!r}.{guess(name, [*names, *(c.qualified_name for c in available)])}"
        message += f" Available: {', '.join(sorted(set(names))) or 'none'}."
        distribution = name.partition("/")[0]
        if "/" in name and distribution not in {plugin.distribution for plugin in self.plugins}:
            message += f" It comes with the distribution {distribution}, which is not installed."
        if failed := [f"{p.distribution} ({_why(p)})" for p in self.plugins if p.error]:
            message += f" It might be in a plugin that failed to load: {'; '.join(failed)}."
        if left_out := [p.distribution for p in self.plugins if p.left_out]:
            message += f" OMEGA_PLUGINS leaves out: {', '.join(left_out)}."
        return message


def load_plugins(points: Iterable[EntryPoint], only: str | None) -> list[Plugin]:
    """Load entry points separately, so that a broken plugin does not affect the others.

    points: the entry points of the group `omega`.
    only: the value of OMEGA_PLUGINS; None if it is not set.
    """
    allowed = None if only is None else {_normalized(name) for name in only.split(",") if name.strip()} or FIRST_PARTY
    return [_load(point, allowed) for point in points]


def _load(point: EntryPoint, allowed: frozenset[str] | set[str] | None) -> Plugin:
    distribution, version = "unknown", ""
    with suppress(Exception):  # an installed folder may have no metadata
        distribution = _normalized(point.dist.name)  # type: ignore[union-attr]
        version = point.dist.version or ""  # type: ignore[union-attr]
    if allowed is not None and distribution not in allowed:
        return Plugin(distribution, version, point.value, left_out=True)
    try:
        with _printing_to_stderr():
            return Plugin(distribution, version, point.value, **_registered(point.load(), distribution))
    except (Exception, SystemExit) as problem:  # a plugin may raise anything
        reason = f"{type(problem).__name__}: {problem}"
        _log.info("the plugin %s failed to load: %s", distribution, reason)
        return Plugin(distribution, version, point.value, error=reason)


def _why(plugin: Plugin) -> str:
    """Return the error of a plugin, and whether its version range excludes the installed omega-core."""
    return f"{plugin.error}; it is {plugin.out_of_range}" if plugin.out_of_range else plugin.error


def _registered(module: object, distribution: str) -> dict[str, Any]:
    """Call the hooks of a plugin module; return their checked results and deprecation warnings for `Plugin`."""
    manager = pluggy.PluginManager("omega")
    manager.add_hookspecs(hookspecs)
    unmarked = [name for name in dir(module) if name.startswith("omega_register_") and _is_unmarked(module, name)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        manager.register(module)
    manager.check_pending()
    return {
        "components": tuple(
            Registered(kind, each, distribution) for kind in KINDS for each in _returned(manager, kind, Component)
        ),
        "models": tuple(
            RegisteredModel(**vars(each), distribution=distribution)
            for each in _returned(manager, "model", BundledModel)
        ),
        "remarks": (*(str(each.message) for each in caught), *(f"{name} has no @hookimpl" for name in unmarked)),
    }


def _is_unmarked(module: object, name: str) -> bool:
    function = getattr(module, name)
    return inspect.isfunction(function) and not hasattr(function, "omega_impl")


@contextmanager
def _printing_to_stderr() -> Iterator[None]:
    """Redirect what a plugin prints during its import to standard error, as standard output may be a picture."""
    with redirect_stdout(sys.stderr) if sys.stderr else nullcontext():
        yield


def _returned(manager: pluggy.PluginManager, kind: str, entry_type: type[Entry]) -> Iterable[Entry]:
    """Return the entries from the hook for a kind. Raises TypeError for other types, ValueError for duplicate names."""
    found = dict[str, Entry]()
    for entries in getattr(manager.hook, f"omega_register_{kind}s")():
        for entry in entries:
            if not isinstance(entry, entry_type):
                raise TypeError(f"the {kind} hook returned {entry!r} instead of a {entry_type.__name__}")
            if entry.name in found:
                raise ValueError(f"the {kind} {entry.name!r} is registered twice")
            found[entry.name] = entry
    return found.values()


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


@cache
def registry() -> Registry:
    """Return the registry of all installed plugins, which is loaded once per process."""
    return Registry(load_plugins(entry_points(group="omega"), os.environ.get("OMEGA_PLUGINS")))


def list_models() -> list[RegisteredModel]:
    """Return the models of the installed distributions, each with its `name`, `summary` and `fingerprint`.

    `load_model` takes the `name`, or the `qualified_name` if two distributions use the same. No model is loaded.
    """
    return registry().models()


def resolve(kind: str, name: str) -> Any:
    """Import a component by name and return its class.

    kind: "architecture", "quantizer", "prior", "coder", "dataset", "trainer" or "codec".
    name: bare, such as "omega", or qualified, such as "omega-quant/omega".

    Raises ComponentError if the component is unknown or ambiguous, or cannot be imported.
    """
    return import_component(registry().find(kind, name))


def import_component(found: Registered) -> Any:
    """Import the target of a registered component, and return it.

    Raises ComponentError if the import fails, MissingExtraError if an extra of omega-core is missing.
    """
    module, _, attribute = found.component.target.partition(":")
    try:
        with _printing_to_stderr():
            return getattr(import_module(module), attribute)
    except MissingExtraError:
        raise
    except (Exception, SystemExit) as problem:  # a plugin may raise anything
        plugin = next((p for p in registry().plugins if found in p.components), None)
        hint = f" Install {found.component.install}." if found.component.install else ""
        hint += f" {found.distribution} is {plugin.out_of_range}." if plugin and plugin.out_of_range else ""
        raise ComponentError(
            f"the {found.kind} {found.qualified_name} could not be imported ({problem}).{hint}"
        ) from problem


def build(kind: str, name: str, options: Mapping[str, Any], **required: Any) -> Any:
    """Make an instance of a component.

    kind, name: as for `resolve`.
    options: chosen by the user, by name.
    required: the arguments that the codec passes to every component of the kind.

    Raises ComponentError for unknown options, values of another type, and all errors of the constructor.
    """
    return make(kind, name, resolve(kind, name), options, **required)


def make(kind: str, name: str, target: Any, options: Mapping[str, Any], **required: Any) -> Any:
    """Make an instance of a class as `build` does; target: the class of the component, imported already."""
    chosen = Options(kind, name, target, required).checked(options)
    try:
        inspect.signature(target).bind(**required, **chosen)
    except TypeError as problem:
        raise ComponentError(f"the {kind} {name!r} cannot be made: {problem}.") from problem
    try:
        return target(**required, **chosen)
    except OmegaError:
        raise
    except Exception as problem:  # a plugin may raise anything
        said = "" if isinstance(problem, KeyError) else str(problem).strip()  # its text is only the key
        reason = said.splitlines()[0] if said else repr(problem)
        raise ComponentError(f"the {kind} {name!r} cannot be made with {chosen}: {reason}") from problem
