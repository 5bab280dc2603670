"""Options of components: the arguments of their classes, except those that the codec passes.

Names, types and defaults come from the signature, descriptions from the lines `name: …` of the docstring.
"""

import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Union

from omega_core.errors import ComponentError
from omega_core.plugins.deprecation import renamed_arguments, warn_of

GIVEN: Mapping[str, frozenset[str]] = {
    "architecture": frozenset({"latent_channels"}),
    "quantizer": frozenset({"latent_channels", "channels", "alphabet"}),
    "prior": frozenset({"channels", "alphabet", "lowest", "latent_size"}),
    "coder": frozenset(),
    "dataset": frozenset({"data", "seed"}),
    "trainer": frozenset({"recipe", "data"}),
}
"""The arguments with which a component of each kind is made, whatever the user chose."""

NO_DEFAULT = inspect.Parameter.empty
_ENTRY = re.compile(r"(\w+(?:, \w+)*): (.*)")


@dataclass(frozen=True)
class Option:
    """One argument that the user of a component may choose.

    type: the annotation; Any where there is none.
    default: NO_DEFAULT where it has to be given.
    about: what the docstring says about it.
    """

    name: str
    type: Any
    default: Any
    about: str

    @property
    def key(self) -> str:
        """The name as recipes and commands have it."""
        return self.name.replace("_", "-")

    def checked(self, value: Any) -> Any:
        """The value as the type has it: a whole number becomes a float, and "none", as recipes have it, None.

        Raises ValueError.
        """
        for hint in _alternatives(self.type):
            found, taken = _coerce(hint, value)
            if found:
                return taken
        raise ValueError(f"has to be {type_name(self.type)}, not {value!r}")

    def parsed(self, text: str) -> Any:
        """The value that a text on a command line stands for. Raises ValueError."""
        for hint in _alternatives(self.type):
            found, value = _parse_text(hint, text)
            if found:
                return value
        raise ValueError(f"has to be {type_name(self.type)}, not {text!r}")


class Options:
    """All that a component of a kind can be asked for.

    name: of the component, for errors.
    target: what its name stands for.
    given: the arguments that are no options.

    Raises ComponentError if the target is not what can be called.
    """

    def __init__(self, kind: str, name: str, target: Any, given: Collection[str] | None = None) -> None:
        self.kind, self.name = kind, name
        try:
            signature = inspect.signature(target)
        except (TypeError, ValueError) as problem:
            raise ComponentError(f"the {kind} {name!r} is no class: {target!r}.") from problem
        hints, entries = _hints(target), _docstring_entries(inspect.getdoc(target) or "")
        given = GIVEN[kind] if given is None else given
        self.takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        self.renamed = renamed_arguments(target)
        named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self.known = {
            argument: Option(argument, hints.get(argument, Any), p.default, entries.get(argument, ""))
            for argument, p in signature.parameters.items()
            if p.kind in named and argument not in given
        }

    def checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Options with values of the right types. Raises ComponentError for one that there is not, or of another type.

        Names may be those of recipes; those that were given up stand for their successors, for some time.
        """
        checked = {}
        for key, value in values.items():
            option = self._option(key)
            with self._naming(option):
                checked[option.name] = option.checked(value)
        return checked

    def parsed(self, texts: Sequence[str]) -> dict[str, Any]:
        """Options from texts such as "levels=8". Raises ComponentError."""
        parsed = {}
        for text in texts:
            key, equals, value = text.partition("=")
            if not equals:
                raise ComponentError(f"an option is name=value, such as levels=8, not {text!r}.")
            option = self._option(key.strip())
            with self._naming(option):
                parsed[option.name] = option.parsed(value.strip())
        return parsed

    def _option(self, key: str) -> Option:
        name = key.replace("-", "_")
        if name not in self.known and name in self.renamed:
            new, since = self.renamed[name]
            warn_of(f"the option {key} of the {self.kind} {self.name!r}", new.replace("_", "-"), since, stacklevel=4)
            name = new
        if name in self.known:
            return self.known[name]
        if self.takes_any:
            return Option(name, Any, NO_DEFAULT, "")
        keys = [option.key for option in self.known.values()]
        near = difflib.get_close_matches(key, keys, n=1)
        guess = f" Did you mean {near[0]!r}?" if near else ""
        available = ", ".join(keys) or "none"
        raise ComponentError(f"the {self.kind} {self.name!r} has no option {key!r}.{guess} Its options: {available}.")

    @contextmanager
    def _naming(self, option: Option) -> Iterator[None]:
        """Say of which component a value was none."""
        try:
            yield
        except ValueError as problem:
            raise ComponentError(f"the option {option.key} of the {self.kind} {self.name!r} {problem}.") from problem


def type_name(hint: Any) -> str:
    """A type in words, such as "a whole number or none"."""
    names: dict[Any, str] = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        type(None): "none",
        Any: "anything",
    }
    words = []
    for each in _alternatives(hint):
        if typing.get_origin(each) is Literal:
            words += [repr(value) for value in typing.get_args(each)]
        elif _is_sequence(each):
            words.append(f"a list of {type_name(_item(each))}")
        else:
            words.append(names.get(each, getattr(each, "__name__", str(each))))
    return " or ".join(words)


def _alternatives(hint: Any) -> list[Any]:
    """The types of a union, those first that take fewer texts."""
    members = list(typing.get_args(hint)) if typing.get_origin(hint) in (Union, types.UnionType) else [hint]
    order = [type(None), bool, int, float]
    return sorted(members, key=lambda each: order.index(each) if each in order else len(order) + (each is str))


def _coerce(hint: Any, value: Any) -> tuple[bool, Any]:
    """Whether a value is of a type, and the value as it."""
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint), value
    if _is_sequence(hint):
        if not isinstance(value, (list, tuple)):
            return False, None
        option = Option("", _item(hint), NO_DEFAULT, "")
        try:
            items = [option.checked(item) for item in value]
        except ValueError:
            return False, None
        return True, tuple(items) if typing.get_origin(hint) is tuple else items
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return True, float(value)
    if hint is type(None):
        return value in (None, "none"), None
    if hint in (bool, int, float, str):
        return isinstance(value, hint) and (hint is bool or not isinstance(value, bool)), value
    return True, value  # of a type that only the component knows


def _parse_text(hint: Any, text: str) -> tuple[bool, Any]:
    """Whether a text stands for a value of a type, and the value."""
    if hint is Any:
        return True, next(
            value for each in (bool, int, float, str) for found, value in [_parse_text(each, text)] if found
        )
    if typing.get_origin(hint) is Literal:
        same = [value for value in typing.get_args(hint) if str(value) == text]
        return bool(same), same[0] if same else None
    if _is_sequence(hint):
        option = Option("", _item(hint), NO_DEFAULT, "")
        try:
            items = [option.parsed(part.strip()) for part in text.split(",") if part.strip()]
        except ValueError:
            return False, None
        return True, tuple(items) if typing.get_origin(hint) is tuple else items
    if hint is type(None):
        return text.lower() == "none", None
    if hint is bool:
        return text.lower() in ("true", "false"), text.lower() == "true"
    if hint in (int, float):
        try:
            return True, hint(text)
        except ValueError:
            return False, None
    return True, text


def _is_sequence(hint: Any) -> bool:
    return typing.get_origin(hint) in (list, tuple, Sequence)


def _item(hint: Any) -> Any:
    return typing.get_args(hint)[0]


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of what makes a component; none if one of them cannot be worked out."""
    made_by = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(made_by)
    except Exception:  # names that only a type checker knows, and whatever else a stranger wrote there
        return {}


def _docstring_entries(docstring: str) -> dict[str, str]:
    """What the entries `name: …` of a docstring say, each in one line."""
    entries: dict[str, str] = {}
    names: list[str] = []
    for line in docstring.splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry:
            names = entry[1].split(", ")
            entries |= dict.fromkeys(names, entry[2])
        elif names and line.startswith(" ") and line.strip():
            entries |= {name: f"{entries[name]} {line.strip()}" for name in names}
        else:
            names = []
    return entries
