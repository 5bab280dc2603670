"""From nothing to plugins that work: `omega new` as its users run it, with nothing but wheels."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from omega_core.codec.model_file import read_model

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


def test_new_plugins_are_listed(author: Any) -> None:
    rows = json.loads(author("omega list --json"))
    listed = {(row["kind"], row["name"], row["from"]) for row in rows}
    assert listed >= {(kind, f"my-{kind}", f"omega-my-{kind}") for kind in KINDS}


def test_new_components_train_together(author: Any) -> None:
    kinds = ("architecture", "prior", "coder", "dataset", "trainer")
    chosen = " ".join(f"--{kind} my-{kind}" for kind in kinds)
    author(f"omega train glyphs-omega-8 {chosen} --steps 20 --output together")
    recipe = (author.folder / "together" / "recipe.toml").read_text("utf-8")
    assert {f"my-{kind}" for kind in kinds} <= set(re.findall(r"my-[a-z]+", recipe))
    assert read_model(author.folder / "together" / "model.safetensors").description.coder == "omega-my-coder/my-coder"


def test_a_new_codec_is_measured(author: Any) -> None:
    author("omega evaluate --images digits --against my-codec,jpeg --codec-option my-codec.level=1 --output codec")
    assert "level=1" in (author.folder / "codec" / "evaluation.json").read_text("utf-8")


def test_a_model_with_a_new_quantizer_makes_files(author: Any, tmp_path: Path) -> None:
    fewer = "--batch-size 64 --dataset-option training=512 --dataset-option validation=64"
    author(f"omega train glyphs-omega-8 --quantizer my-quantizer --steps 20 {fewer} --output quantizer")
    author(f"omega compress digits --output {tmp_path}/files --model quantizer/model.safetensors")
    author(f"omega decompress {tmp_path}/files --output {tmp_path}/out --model quantizer/model.safetensors")
    with Image.open(tmp_path / "out" / "a.png") as picture:
        assert picture.size == (28, 28)
