"""An extension of Griffe, which reads the code for mkdocstrings: converts docstrings to Markdown."""

import re

from griffe import Extension, Object

_ENTRY = re.compile(r"(?P<names>[A-Za-z_]\w*(, [A-Za-z_]\w*)*): ")


def as_list(docstring: str) -> str:
    """Return a docstring with its entries `name: …`, of arguments or attributes, as a list."""
    lines = docstring.splitlines()
    return "\n".join(_ENTRY.sub(r"- `\g<names>`: ", line, count=1) if _ENTRY.match(line) else line for line in lines)


class Entries(Extension):
    """Shows the arguments and attributes in docstrings as a list."""

    def on_object(self, *, obj: Object, **others: object) -> None:
        """Rewrite the docstring of an object, after it is read."""
        if obj.docstring is not None:
            obj.docstring.value = as_list(obj.docstring.value)
