"""`Component` and `BundledModel`: the entries that plugins register."""

import re
from dataclasses import dataclass
from pathlib import Path

KINDS = ("architecture", "quantizer", "prior", "coder", "dataset", "trainer", "codec")

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FILE = re.compile(r"[A-Za-z_][\w.]*:[\w./-]+\.safetensors")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class Component:
    """One architecture, quantizer, prior, coder, dataset, trainer or codec.

    name: the name that users type, of lower case letters, digits and hyphens.
    target: "module:attribute" of the class, imported when the component is used.
    summary: one line for `omega list`.
    install: a requirement to install if the import of the target fails, such as "omega-fancy[gpu]"; "" for none.

    Raises ValueError for an invalid name, target or summary.
    """

    name: str
    target: str
    summary: str
    install: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"component name {self.name!r}: use lower case letters, digits and hyphens")
        if not _TARGET.fullmatch(self.target):
            raise ValueError(f'component {self.name}: target {self.target!r} is not "module:attribute"')
        if not self.summary or "\n" in self.summary:
            raise ValueError(f"component {self.name}: the summary has to be one line")


@dataclass(frozen=True, kw_only=True)
class BundledModel:
    """A model file that comes with a distribution.

    name: the name that users type, of lower case letters, digits and hyphens.
    file: "package:file", the path of the file in an installed package, such as "my_package:models/mine.safetensors".
    summary: one line for `omega models`.
    fingerprint: 64 hexadecimal digits, by which `.omega` files identify their model. It must never be used for another
        model, so that existing files stay readable.

    Raises ValueError for invalid values.
    """

    name: str
    file: str
    summary: str
    fingerprint: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"model name {self.name!r}: use lower case letters, digits and hyphens")
        if not _FILE.fullmatch(self.file):
            raise ValueError(f'model {self.name}: file {self.file!r} is not "package:file.safetensors"')
        if not self.summary or "\n" in self.summary:
            raise ValueError(f"model {self.name}: the summary has to be one line")
        if not re.fullmatch("[0-9a-f]{64}", self.fingerprint):
            raise ValueError(f"model {self.name}: the fingerprint has 64 hexadecimal digits")

    def path(self) -> Path:
        """Return the path of the file. Raises ModuleNotFoundError if the package is not installed."""
        from importlib.resources import files

        package, _, file = self.file.partition(":")
        return Path(str(files(package))) / file
