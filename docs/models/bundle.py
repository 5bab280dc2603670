"""Bundles trained models with omega-cli: `python docs/models/bundle.py compact=runs/compact-omega`.

Each model is written with its card, NAME.md in this folder, and its fingerprint is written into the plugin. A released
model is never replaced, because existing files need it: a new model gets a new name.
"""

import re
import sys
from dataclasses import replace
from pathlib import Path

from omega_core.codec.model_file import RELAXATION, read_model, write_model

CARDS = Path(__file__).parent
TRAINED_ON = ("compact",)
"""Models that keep the state of the relaxed phase, for further training and the search for better symbols."""
PACKAGE = CARDS.parents[1] / "packages" / "omega-cli" / "src" / "omega_cli"


def bundle(name: str, model: Path) -> None:
    """Write a trained model with its card into the package of the command."""
    file = read_model(model / "model.safetensors" if model.is_dir() else model)
    described = replace(file.description, card=(CARDS / f"{name}.md").read_text("utf-8"))
    arrays = {key: array for key, array in file.arrays.items() if name in TRAINED_ON or not key.startswith(RELAXATION)}
    mark = write_model(PACKAGE / "bundled" / f"{name}.safetensors", described, arrays)
    plugin = PACKAGE / "plugin.py"
    entry = rf'(name="{name}",.*?fingerprint=")[0-9a-f]*(")'
    text, found = re.subn(entry, rf"\g<1>{mark}\g<2>", plugin.read_text("utf-8"), count=1, flags=re.DOTALL)
    if not found:
        raise SystemExit(f"{plugin} lists no model {name}.")
    plugin.write_text(text, "utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        name, _, model = argument.partition("=")
        bundle(name, Path(model))
