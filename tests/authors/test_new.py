"""From nothing to a plugin that works: `omega new` as its users run it, with nothing but wheels."""

from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.plugins

USE = {
    "quantizer": "omega train glyphs-omega-8 --quantizer mine --steps 20 --output run",
    "architecture": "omega train glyphs-omega-8 --architecture mine --steps 20 --output run",
    "prior": "omega train glyphs-omega-8 --prior mine --steps 20 --output run",
    "coder": "omega train glyphs-omega-8 --coder mine --steps 20 --output run",
    "dataset": "omega train glyphs-omega-8 --dataset mine --steps 20 --output run",
    "trainer": "omega train glyphs-omega-8 --trainer mine --steps 20 --output run",
}


@pytest.mark.parametrize("kind", USE)
def test_a_new_plugin_installs_passes_and_trains_at_once(shell: Any, kind: str) -> None:
    made = shell(f"omega new {kind} mine")
    assert f"--{kind} mine" in made
    shell('pip install -q -e "omega-mine[test]"')
    assert " passed" in shell("pytest omega-mine")
    shell(USE[kind])
    assert "omega-mine" in shell(f"omega list {kind} mine")
    if kind == "quantizer":  # what follows is the same for all
        shell("omega compress digits --output files --model run/model.safetensors")
        shell("omega decompress files --output out --model run/model.safetensors")
        with Image.open(shell.folder / "out" / "a.png") as picture:
            assert picture.size == (28, 28)
