"""The guide for authors of plugins, followed from its first command to its last."""

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.plugins

HERE = Path(__file__).parent
GUIDE = next(path for folder in HERE.parents if (path := folder / "docs" / "plugins.md").exists())


def test_all_that_the_guide_shows_works(shell: Any) -> None:
    blocks = re.findall(r"^```(console|python)\n(.*?)^```", GUIDE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    written, run = [], 0
    for language, text in blocks:
        if language == "console":
            for line in text.replace("\\\n", " ").splitlines():
                shell(line)
                run += 1
        elif path := re.match(r"# (omega-\S+)\n", text):
            (shell.folder / path[1]).write_text(text[path.end() :])
            written.append(path[1])
        else:
            compile(text, "plugins.md", "exec")
    assert run >= 12
    assert len(written) == 2
    assert (shell.folder / "measured" / "report.html").exists()
    assert list((shell.folder / "dist").glob("omega_ternary-*.whl"))
