"""What is documented is all that there is."""

import re
import runpy
from pathlib import Path

import pluggy
import pytest

from omega_core.plugins import hookspecs
from omega_core.plugins.components import KINDS
from omega_core.testing import checks_of

DOCS = Path(__file__).parent.parent / "docs"


def hooks() -> list[str]:
    manager = pluggy.PluginManager("omega")
    manager.add_hookspecs(hookspecs)
    return [name for name in vars(manager.hook) if name.startswith("omega_")]


def test_the_reference_is_made_from_the_docstrings() -> None:
    made = runpy.run_path(str(DOCS / "reference.py"))["page"]()
    assert (DOCS / "reference.md").read_text("utf-8") == made, "run `python docs/reference.py`"


@pytest.mark.parametrize("hook", hooks())
def test_every_hook_is_documented_and_tested(hook: str) -> None:
    assert f"Hook `{hook}()" in (DOCS / "reference.md").read_text("utf-8")
    kind = hook.removeprefix("omega_register_").removesuffix("s")
    if kind == "model":
        assert hook in (Path(__file__).parent / "test_bundled.py").read_text("utf-8")
        return
    assert kind in KINDS
    assert len(list(checks_of(kind))) >= 8
    tests = (Path(__file__).parent / "plugin_authors" / "test_new.py").read_text("utf-8")
    assert re.search(rf'^KINDS = .*"{kind}"', tests, re.MULTILINE)  # a plugin with this hook is made and used


def test_every_kind_has_its_hook() -> None:
    assert sorted(hooks()) == sorted(f"omega_register_{kind}s" for kind in (*KINDS, "model"))


def test_links_between_pages_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text("utf-8")):
            assert (DOCS / target).exists(), (page.name, target)
