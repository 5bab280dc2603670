"""`omega new`: creates a plugin from a template, ready to install and test."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

import omega_cli
from omega_cli import completions
from omega_cli.messages import say, say_warning
from omega_cli.output_files import check_new_folder, local_output_option
from omega_core.errors import ComponentError

SUMMARIES = {
    "architecture": "two convolutions on each side, for pictures of any size",
    "quantizer": "each channel rounded to levels between −1 and 1",
    "prior": "the frequency of each symbol in each channel",
    "coder": "two bytes per symbol",
    "dataset": "white discs drawn on black",
    "trainer": "a plain loop on the CPU",
    "codec": "the highest bits of each byte, compressed with zlib",
}
_NEEDS = {"coder": ["numpy"], "dataset": ["numpy"], "trainer": ["torch", "omega-train"], "codec": ["numpy"]}


def new(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            autocompletion=completions.kinds,
            help="Kind of component: architecture, quantizer, prior, coder, dataset, trainer or codec.",
        ),
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name that users will type, such as mine.")],
    output: Annotated[Path | None, local_output_option("A new or empty folder. Default: omega-NAME.")] = None,
    summary: Annotated[
        str | None, typer.Option(metavar="TEXT", help="One line about the component, for `omega list`.")
    ] = None,
) -> None:
    """Create a plugin with a small working component: a package that is ready to install, test and change."""
    from omega_core.file_io import whole_folder, write_whole
    from omega_core.plugins.registry import FIRST_PARTY, registry

    others = registry().components(kind)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ComponentError(
            f"{name!r} is not a valid name: use lower-case letters, digits and hyphens, starting with a letter, such as"
            f" {_valid(name)}."
        )
    distribution = f"omega-{name}"
    if distribution in FIRST_PARTY:
        raise ComponentError(f"{distribution} is a package of Omega itself: choose a name other than {name!r}.")
    if summary and any(each in summary for each in ("\n", '"', "\\")):
        raise ComponentError("a summary must be one line without quotation marks and backslashes.")
    folder = output or Path(distribution)
    check_new_folder(folder)
    words = {
        "__DISTRIBUTION__": distribution,
        "__PACKAGE__": distribution.replace("-", "_"),
        "__CLASS__": "".join(part.capitalize() for part in [*name.split("-"), kind]),
        "__NAME__": name,
        "__KIND__": kind,
        "__SUMMARY__": summary or SUMMARIES[kind],
        "__DEPENDENCIES__": _dependencies(kind),
        "__USE__": _use(kind, name),
    }
    with whole_folder(folder) as unfinished:
        for path, text in _files(kind):
            target = unfinished / _filled(path.removesuffix(".template"), words)
            write_whole(target, _filled(text, words).encode(), overwrite=False)
    say(f"Created {folder} with the {kind} {name}. Next:\n")
    say(f'    pip install -e "{_path(folder)}[test]"\n    pytest {folder}\n    {_use(kind, name)}')
    taken = [each.qualified_name for each in others if each.component.name == name]
    if taken and taken != [f"{distribution}/{name}"]:
        say_warning(
            f"{taken[0]} has the same name: with both installed, users must write {taken[0]} or {distribution}/{name}."
        )


def _valid(name: str) -> str:
    """A valid name that is similar to an invalid one."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return re.sub(r"^[^a-z]+", "", words) or "mine"


def _files(kind: str) -> list[tuple[str, str]]:
    """The paths and texts of a new distribution, with placeholders."""
    templates = Path(__file__).parent / "templates"
    own = {"test.py": "tests/test___PACKAGE__.py", f"{kind}.py": "src/__PACKAGE__/__KIND__.py"}
    return [*_texts(templates / "common"), *((own[path], text) for path, text in _texts(templates / kind))]


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(folder).as_posix(), path.read_text("utf-8")


def _filled(text: str, words: dict[str, str]) -> str:
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


def _dependencies(kind: str) -> str:
    """Requirements for packages of this minor version, within which contracts do not change."""
    major, minor = omega_cli.__version__.split(".")[:2]
    pin = f">={major}.{minor},<{major}.{int(minor) + 1}"
    needed = [
        f"omega-core[torch]{pin}",
        *(f"{each}{pin}" if "omega" in each else each for each in _NEEDS.get(kind, ["torch"])),
    ]
    return ", ".join(f'"{each}"' for each in needed)


def _path(folder: Path) -> str:
    """A folder in a form that pip does not mistake for the name of a package."""
    return str(folder) if folder.is_absolute() else f"./{folder}"


def _use(kind: str, name: str) -> str:
    if kind == "codec":
        return f"omega evaluate --images pictures --against {name},jpeg --output measured"
    return f"omega train glyphs-omega-8 --{kind} {name} --output runs/{name}"
