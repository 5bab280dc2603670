"""The decoder for browsers as it is served: JavaScript modules without their comments, a third of their size."""

import re
from importlib.resources import files

_COMMENT = re.compile(r"^\s*(?:/\*\*.*?\*/|//[^\n]*)\s*?\n|(?<=[ (])/\*\*.*?\*/ ?", re.DOTALL | re.MULTILINE)


def decoder_files() -> dict[str, bytes]:
    """Return the contents of the modules by name; `omega-img.js` defines the element, and imports the others."""
    modules = (each for each in files("omega_cli").joinpath("web").iterdir() if each.name.endswith(".js"))
    return {each.name: _COMMENT.sub("", each.read_text(encoding="utf-8")).encode() for each in modules}
