"""Options of components: the arguments of their classes, except those that the codec passes.

Names, types and defaults come from the signature, descriptions from the lines `name: …` of the docstring.
"""

import difflib
import inspect
import math
import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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
    "codec": frozenset(),
}
"""The arguments that the codec passes to components of each kind; all others are options."""

NO_DEFAULT = inspect.Parameter.empty
_ENTRY = re.compile(r"(\w+(?:, \w+)*): (.*)")


@dataclass(frozen=True)
class Option:
    """An option of a component.

    name: the name of the argument.
    type: its annotation; Any without one.
    default: its default; NO_DEFAULT if a value is required.
    about: its description in the docstring.
    """

    name: str
    type: Any
    default: Any
    about: str

    @property
    def key(self) -> str:
        """The name in recipes and commands, with hyphens."""
        return self.name.replace("_", "-")

    def checked(self, value: Any) -> Any:
        """Convert a value to the type of the option: integers to float, and the string "none" of recipes to None.

        Raises ValueError for a value of another type.
        """
        return _converted(self.type, value, _coerce)

    def parsed(self, text: str) -> Any:
        """Parse a string from a command line. Raises ValueError if it does not fit the type."""
        return _converted(self.type, text, _parse_text)


class Options:
    """The options of a component, from its signature and docstring.

    kind, name: the kind and name of the component, for messages.
    target: its class.
    given: arguments that are not options. Default: those of the kind in GIVEN.

    known: the options by argument name.
    takes_any: whether the class takes any further options.

    Raises ComponentError if the target cannot be called.
    """

    def __init__(self, kind: str, name: str, target: Any, given: Collection[str] | None = None) -> None:
        self.kind, self.name = kind, name
        try:
            signature = inspect.signature(target)
        except (TypeError, ValueError) as problem:
            raise ComponentError(f"the {kind} {name!r} is not a class: {target!r}.") from problem
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
        """Return options by argument name, with their values converted to the types of the options.

        values: by argument name or recipe key. Renamed options still work under their former names, with a warning.

        Raises ComponentError for unknown options, for one that is given under two names, and for values of another
        type.
        """
        return self._taken(values.items(), Option.checked)

    def parsed(self, texts: Sequence[str]) -> dict[str, Any]:
        """Parse strings such as "levels=8" to options by argument name. Raises ComponentError as `checked` does."""
        parts = [text.partition("=") for text in texts]
        for text, (_, equals, _) in zip(texts, parts, strict=True):
            if not equals:
                raise ComponentError(f"an option is name=value, such as levels=8, not {text!r}.")
        return self._taken(((key.strip(), value.strip()) for key, _, value in parts), Option.parsed)

    def _taken(self, given: Iterable[tuple[str, Any]], take: Callable[[Option, Any], Any]) -> dict[str, Any]:
        """Return options by argument name. given: keys and values. take: converts a value for an option."""
        taken, keys = dict[str, Any](), dict[str, str]()
        for key, value in given:
            option = self._option(key)
            what = f"the option {option.key} of the {self.kind} {self.name!r}"
            other = keys.setdefault(option.name, key)
            if other != key:
                raise ComponentError(f"{what} is given twice: as {other} and as {key}.")
            try:
                taken[option.name] = take(option, value)
            except ValueError as problem:
                raise ComponentError(f"{what} {problem}.") from problem
        return taken

    def _option(self, key: str) -> Option:
        name = key.replace("-", "_")
        if name not in self.known and name in self.renamed:
            new, since = self.renamed[name]
            warn_of(f"the option {key} of the {self.kind} {self.name!r}", new.replace("_", "-"), since, stacklevel=5)
            name = new
        if name in self.known:
            return self.known[name]
        if self.takes_any:
            return Option(name, Any, NO_DEFAULT, "")
        keys = [option.key for option in self.known.values()]
        hint, available = guess(key, keys), ", ".join(keys) or "none"
        raise ComponentError(f"the {self.kind} {self.name!r} has no option {key!r}.{hint} Its options: {available}.")


def guess(name: str, known: Sequence[str]) -> str:
    """Return a sentence for messages with the most similar of known names; "" if none is similar."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def type_name(hint: Any) -> str:
    """Describe a type for messages, such as "an integer or none"; hint: an annotation."""
    names: dict[Any, str] = {
        bool: "true or false",
        int: "an integer",
        float: "a number",
        str: "a string",
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
    """The types of a union, in the order in which strings are parsed: those that accept fewer strings come first."""
    members = list(typing.get_args(hint)) if typing.get_origin(hint) in (Union, types.UnionType) else [hint]
    order = [type(None), bool, int, float]
    return sorted(members, key=lambda each: order.index(each) if each in order else len(order) + (each is str))


def _converted(hint: Any, value: Any, convert: Callable[[Any, Any], tuple[bool, Any]]) -> Any:
    """Convert a value to the first alternative of a type that it fits. Raises ValueError if it fits none.

    convert: `_coerce` or `_parse_text`.
    """
    for each in _alternatives(hint):
        found, converted = convert(each, value)
        if found:
            return converted
    raise ValueError(f"has to be {type_name(hint)}, not {value!r}")


def _converted_items(
    hint: Any, values: Iterable[Any], convert: Callable[[Any, Any], tuple[bool, Any]]
) -> tuple[bool, Any]:
    """Whether values fit the items of a sequence, and the sequence; convert: as for `_converted`."""
    try:
        items = [_converted(_item(hint), value, convert) for value in values]
    except ValueError:
        return False, None
    return True, tuple(items) if typing.get_origin(hint) is tuple else items


def _coerce(hint: Any, value: Any) -> tuple[bool, Any]:
    """Whether a value fits a type, and the value converted to the type."""
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint), value
    if _is_sequence(hint):
        return _converted_items(hint, value, _coerce) if isinstance(value, (list, tuple)) else (False, None)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value)
    if hint is type(None):
        return value in (None, "none"), None
    if hint in (bool, int, float, str):
        return isinstance(value, hint) and (hint is bool or not isinstance(value, bool)), value
    return True, value  # the component checks values of all other types


def _parse_text(hint: Any, text: str) -> tuple[bool, Any]:
    """Whether a string can be parsed as a type, and the value."""
    if hint is Any:
        return True, _converted(bool | int | float | str, text, _parse_text)
    if typing.get_origin(hint) is Literal:
        same = [value for value in typing.get_args(hint) if str(value) == text]
        return bool(same), same[0] if same else None
    if _is_sequence(hint):
        return _converted_items(hint, filter(None, map(str.strip, text.split(","))), _parse_text)
    if hint is type(None):
        return text.lower() == "none", None
    if hint is bool:
        return text.lower() in ("true", "false"), text.lower() == "true"
    if hint in (int, float):
        try:
            return (True, int(text)) if hint is int else _finite(float(text))
        except ValueError:
            return False, None
    return True, text


def _finite(number: float) -> tuple[bool, float]:
    """Whether a number is finite as a float, and the float. JSON, and therefore a model file, has no others."""
    try:
        value = float(number)
    except OverflowError:  # the integer is too large
        return False, math.inf
    return math.isfinite(value), value


def _is_sequence(hint: Any) -> bool:
    return typing.get_origin(hint) in (list, tuple, Sequence)


def _item(hint: Any) -> Any:
    return typing.get_args(hint)[0]


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of the constructor of a component; empty if one of them cannot be evaluated."""
    made_by = target.__init__ if inspect.isclass(target) else target
    try:
        return typing.get_type_hints(made_by)
    except Exception:  # names imported for type checkers only, or any error in a plugin
        return {}


def _docstring_entries(docstring: str) -> dict[str, str]:
    """The entries `name: …` of a docstring, each joined to one line, by name."""
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
