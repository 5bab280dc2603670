"""What a plugin says about a component: enough to list it, and where to import it from."""

import re
from dataclasses import dataclass

KINDS = ("architecture", "quantizer", "prior", "coder", "dataset", "trainer")

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
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
