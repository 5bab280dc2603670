"""`Component` and `BundledModel`: the entries that plugins register."""

import re
from dataclasses import dataclass
from pathlib import Path

KINDS = ("architecture", "quantizer", "prior", "coder", "dataset", "trainer")

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FILE = re.compile(r"[A-Za-z_][\w.]*:[\w./-]+\.safetensors")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True, kw_only=True)
class Component:
    """One architecture, quantizer, prior, coder, dataset or trainer.

    name: what users type, in lower case letters, digits and hyphens.
    target: "module:attribute", imported only when the component is asked for.
    summary: one line for `omega list`.
    install: what to install if the target's import fails.

    Raises ValueError if the name, the target or the summary is not of this form.
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

    name: what users type, in lower case letters, digits and hyphens.
    file: "package:file", where the file lies in an installed package, such as "my_package:models/mine.safetensors".
    summary: one line for `omega models`.
    fingerprint: of the model, 64 hexadecimal digits, by which files find the model that they were made with. It is
        never used again for another model: what was made with this one has to stay readable.

    Raises ValueError if any of them is not of this form.
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
        """Where the file lies. Raises ModuleNotFoundError if the package is not there."""
        from importlib.resources import files

        package, _, file = self.file.partition(":")
        return Path(str(files(package))) / file
