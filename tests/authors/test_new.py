"""From nothing to plugins that work: `omega new` as its users run it, with nothing but wheels."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytestmark = pytest.mark.plugins

KINDS = ("quantizer", "architecture", "prior", "coder", "dataset", "trainer", "codec")


@pytest.fixture(scope="module")
def author(shell_in: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A shell in a folder with a new plugin of each kind, all of them installed."""
    with shell_in(tmp_path_factory.mktemp("author")) as shell:
        for kind in KINDS:
            assert f" my-{kind}" in shell(f"omega new {kind} my-{kind}")
        shell("pip install -q " + " ".join(f'-e "omega-my-{kind}[test]"' for kind in KINDS))
        yield shell


def test_new_plugins_pass_their_tests_at_once(author: Any) -> None:
    passed = author("pytest -v " + " ".join(f"omega-my-{kind}" for kind in KINDS))
    for kind in KINDS:
        assert re.search(rf"^omega-my-{kind}/.* PASSED", passed, re.MULTILINE)
    assert not re.search("FAILED|ERROR", passed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_is_listed_and_used_at_once(author: Any, kind: str) -> None:
    if kind == "codec":
        author("omega evaluate --images digits --against my-codec,jpeg --codec-option my-codec.level=1 --output codec")
        assert "level=1" in (author.folder / "codec" / "evaluation.json").read_text("utf-8")
    else:
        author(f"omega train glyphs-omega-8 --{kind} my-{kind} --steps 20 --output {kind}")
    assert f"omega-my-{kind}" in author(f"omega list {kind} my-{kind}")


def test_a_model_with_a_new_quantizer_makes_files(author: Any, tmp_path: Path) -> None:
    if not (author.folder / "quantizer").exists():
        author("omega train glyphs-omega-8 --quantizer my-quantizer --steps 20 --output quantizer")
    author(f"omega compress digits --output {tmp_path}/files --model quantizer/model.safetensors")
    author(f"omega decompress {tmp_path}/files --output {tmp_path}/out --model quantizer/model.safetensors")
    with Image.open(tmp_path / "out" / "a.png") as picture:
        assert picture.size == (28, 28)
