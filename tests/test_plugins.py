"""Distributions of third parties, installed beside ours and found through the same entry points."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def fsq(beside: Callable[..., dict[str, str]]) -> dict[str, str]:
    return beside("omega-fsq")


@pytest.fixture(scope="module")
def troubled(beside: Callable[..., dict[str, str]]) -> dict[str, str]:
    return beside("omega-broken", "omega-rival")


def test_a_quantizer_of_a_third_party_is_listed_trains_compresses_and_decodes(
    omega: Any, recipe: Any, fsq: dict[str, str], tmp_path: Path
) -> None:
    listed = json.loads(omega("list", "quantizer", "--json", **fsq).stdout)
    assert {"kind": "quantizer", "name": "fsq", "from": "omega-fsq"}.items() <= next(
        row for row in listed if row["name"] == "fsq"
    ).items()

    run = tmp_path / "run"
    options = ("--quantizer", "fsq", "--quantizer-option", "levels=5")
    trained = omega("train", recipe(), *options, "--steps", 8, "--output", run, **fsq)
    assert trained.returncode == 0, trained.stderr

    Image.linear_gradient("L").resize((28, 28)).save(tmp_path / "a.png")
    model = run / "model.safetensors"
    compressed = omega("compress", tmp_path / "a.png", "--output", tmp_path, "--model", model, **fsq)
    assert compressed.returncode == 0, compressed.stderr
    decoded = omega("decompress", tmp_path / "a.omega", "--output", tmp_path / "out", "--model", model, **fsq)
    assert decoded.returncode == 0, decoded.stderr
    with Image.open(tmp_path / "out" / "a.png") as picture:
        assert picture.size == (28, 28)

    told = omega("info", model, **fsq).stdout
    assert "omega-fsq/fsq levels: 5" in told
    assert json.loads(omega("info", model, "--json", **fsq).stdout)["versions"]["omega-fsq"] == "1.2.3"
    without = omega(
        "decompress", tmp_path / "a.omega", "--output", tmp_path / "out", "--model", model, OMEGA_PLUGINS=""
    )
    assert without.returncode == 2
    assert "omega-fsq/fsq" in without.stderr


def test_a_broken_plugin_is_reported_and_breaks_nothing(omega: Any, troubled: dict[str, str]) -> None:
    assert omega("--help", **troubled).returncode == 0
    rows = {row["plugin"]: row for row in json.loads(omega("plugins", "--json", **troubled).stdout)}
    assert "a_module_that_nobody_has" in rows["omega-broken"]["status"]
    assert rows["omega-quant"]["status"] == "ok"


def test_a_plugin_whose_hooks_lack_their_mark_registers_nothing_and_is_told(omega: Any, beside: Any) -> None:
    environment = beside("omega-fsq")
    module = Path(environment["PYTHONPATH"]) / "omega_fsq" / "plugin.py"
    module.write_text(re.sub(r"^@.*$", "", module.read_text(), flags=re.MULTILINE))
    rows = {row["plugin"]: row for row in json.loads(omega("plugins", "--json", **environment).stdout)}
    said = "its hooks return nothing; omega_register_quantizers has no @hookimpl"
    assert rows["omega-fsq"]["status"] == said


def test_a_name_that_might_be_a_broken_plugins_says_so(
    omega: Any, recipe: Any, troubled: dict[str, str], tmp_path: Path
) -> None:
    failed = omega("train", recipe(), "--quantizer", "mystery", "--output", tmp_path / "run", **troubled)
    assert failed.returncode == 2
    assert "omega-broken" in failed.stderr
    assert "a_module_that_nobody_has" in failed.stderr
    assert not (tmp_path / "run").exists()


def test_of_two_plugins_with_one_name_neither_wins(
    omega: Any, recipe: Any, troubled: dict[str, str], tmp_path: Path
) -> None:
    both = omega("train", recipe(), "--output", tmp_path / "run", **troubled)
    assert both.returncode == 2
    assert "omega-quant/omega" in both.stderr
    assert "omega-rival/omega" in both.stderr
    chosen = recipe(quantizer="omega-quant/omega", steps=1)
    one = omega("train", chosen, "--output", tmp_path / "run", **troubled)
    assert one.returncode == 0, one.stderr


def test_omega_plugins_limits_what_is_loaded(omega: Any, recipe: Any, troubled: dict[str, str], tmp_path: Path) -> None:
    ours = omega("train", recipe(), "--steps", 1, "--output", tmp_path / "run", **troubled, OMEGA_PLUGINS="")
    assert ours.returncode == 0, ours.stderr
    only = json.loads(omega("list", "--json", **troubled, OMEGA_PLUGINS="omega-rival").stdout)
    assert {row["from"] for row in only} == {"omega-rival"}


def test_a_component_is_shown_in_full(omega: Any, fsq: dict[str, str]) -> None:
    shown = omega("list", "quantizer", "fsq", **fsq)
    assert shown.returncode == 0, shown.stderr
    assert "omega-fsq" in shown.stdout
    assert "1.2.3" in shown.stdout
    assert re.search(r"^levels +none or an integer +none +L; S if none\.$", shown.stdout, re.MULTILINE)
    [option] = json.loads(omega("list", "quantizer", "omega-fsq/fsq", "--json", **fsq).stdout)["options"]
    assert option == {
        "option": "levels",
        "type": "none or an integer",
        "default": None,
        "required": False,
        "about": "L; S if none.",
    }
    unknown = omega("list", "quantizer", "fsk", **fsq)
    assert unknown.returncode == 2
    assert "Did you mean 'fsq'?" in unknown.stderr


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("levels=many", "the option levels of the quantizer 'fsq' has to be none or an integer, not 'many'."),
        ("level=5", "the quantizer 'fsq' has no option 'level'. Did you mean 'levels'? Its options: levels."),
        ("levels", "an option is name=value, such as levels=8, not 'levels'."),
        ("levels=1", "the quantizer fsq needs at least 2 levels, not 1."),
    ],
)
def test_an_option_that_there_is_not_is_named(
    omega: Any, recipe: Any, fsq: dict[str, str], tmp_path: Path, option: str, message: str
) -> None:
    options = ("--quantizer", "fsq", "--quantizer-option", option)
    failed = omega("train", recipe(), *options, "--output", tmp_path / "run", **fsq)
    assert (failed.returncode, failed.stderr) == (2, f"error: {message}\n")
    assert not (tmp_path / "run").exists()


SOUND = """
from omega_core import Component, hookimpl

@hookimpl
def omega_register_quantizers():
    return [Component(name={name!r}, target="{module}.q:Q", summary="one of many")]
"""
BROKEN = [
    "import a_module_that_is_nowhere",
    "def omega(:",
    "raise SystemExit(3)",
    SOUND.replace("return [", "return 3, ["),
    SOUND.replace("name={name!r}", "name='Not A Name'"),
]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Fifty distributions with a plugin each, of which five are broken and two have one name."""
    site = tmp_path_factory.mktemp("crowded")
    for number in range(50):
        name, module = ("twin" if number >= 48 else f"q{number}"), f"plugin_{number}"
        text = BROKEN[number] if number < len(BROKEN) else SOUND
        (site / f"{module}.py").write_text(text.replace("{name!r}", repr(name)).replace("{module}", module))
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        asks = "omega-core<0.1" if number == 10 else "omega-core>=0.1"
        info.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: plugin-{number}\nVersion: 1.0\nRequires-Dist: {asks}\n"
        )
        info.joinpath("entry_points.txt").write_text(f"[omega]\nit = {module}\n")
    return {"PYTHONPATH": str(site)}


def test_among_fifty_plugins_all_that_are_sound_are_listed(omega: Any, crowded: dict[str, str]) -> None:
    assert omega("--help", **crowded).returncode == 0
    listed = omega("list", "quantizer", **crowded, COLUMNS="1000")
    assert listed.returncode == 0
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    names = {row[1] for row in rows if row[2].startswith("plugin-")}
    assert names == {f"q{n}" for n in range(5, 48)} | {"plugin-48/twin", "plugin-49/twin"}
    assert {"omega", "integer", "identity"} <= {row[1] for row in rows}
    warned = listed.stderr.splitlines()
    assert len(warned) == len(BROKEN)
    assert all(line.startswith(f"warning: the plugin plugin-{n} failed to load: ") for n, line in enumerate(warned))
    assert "a_module_that_is_nowhere" in warned[0]


def test_plugins_says_what_is_wrong_with_each(omega: Any, crowded: dict[str, str]) -> None:
    rows = {row["plugin"]: row for row in json.loads(omega("plugins", "--json", **crowded).stdout)}
    assert "No module named 'a_module_that_is_nowhere'" in rows["plugin-0"]["status"]
    assert "SyntaxError" in rows["plugin-1"]["status"]
    assert "SystemExit: 3" in rows["plugin-2"]["status"]
    assert "returned 3 instead of a Component" in rows["plugin-3"]["status"]
    assert "use lower case letters, digits and hyphens" in rows["plugin-4"]["status"]
    assert rows["plugin-10"]["status"].startswith("made for omega-core <0.1, not for 0.")
    assert rows["plugin-10"]["made_for"] == "omega-core <0.1"
    assert rows["plugin-11"]["status"] == "ok"
    assert rows["plugin-10"]["components"] == ["quantizer q10"]  # it may work nonetheless


def test_of_twins_in_a_crowd_neither_wins(omega: Any, recipe: Any, crowded: dict[str, str], tmp_path: Path) -> None:
    failed = omega("train", recipe(), "--quantizer", "twin", "--output", tmp_path / "run", **crowded)
    assert failed.returncode == 2
    assert "specify one: plugin-48/twin or plugin-49/twin." in failed.stderr
    missing = omega("train", recipe(), "--quantizer", "q10", "--output", tmp_path / "run", **crowded)
    assert missing.returncode == 2
    assert "plugin-10/q10 could not be imported" in missing.stderr
    assert "plugin-10 is made for omega-core <0.1, not for 0." in missing.stderr
