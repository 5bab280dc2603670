"""Generates the diagrams and tables of modules in architecture.md from the code: `python docs/architecture.py`.

Diagrams follow from imports, tables from the first lines of docstrings. With `--check` the page is not written, and the
exit status is 1 if it does not match the code, as in `nox -s lint`. Needs grimp, which import-linter installs.
"""

import ast
import re
import sys
from collections.abc import Iterable
from itertools import permutations
from pathlib import Path

import grimp

PAGE = Path(__file__).parent / "architecture.md"
PACKAGES = ("omega_core", "omega_quant", "omega_entropy", "omega_train", "omega_cli")
SOURCES = {package: Path(__file__).parents[1] / "packages" / package.replace("_", "-") / "src" for package in PACKAGES}


def drawn(page: str) -> str:
    """The page with its diagrams and tables generated again.

    page: a diagram follows each line <!-- imports of PACKAGE -->, a table each line <!-- modules of PACKAGE -->.
    """
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True)

    def diagram(found: re.Match[str]) -> str:
        package = found["package"]
        nodes = sorted(PACKAGES if package == "all" else graph.find_children(package))
        text = _mermaid(nodes, _reduced(_imports(graph, nodes))).replace(f"{package}.", "")
        return f"<!-- imports of {package} -->\n```mermaid\n{text}\n```"

    page = re.sub(r"<!-- imports of (?P<package>\w+) -->\n```mermaid\n.*?```", diagram, page, flags=re.DOTALL)
    return re.sub(
        r"<!-- modules of (?P<package>\w+) -->\n(\|.*\n)*",
        lambda found: f"<!-- modules of {found['package']} -->\n{_table(found['package'])}",
        page,
    )


def _table(package: str) -> str:
    """The modules and folders of a package, each with the first line of its docstring."""
    root = SOURCES[package] / package
    rows = []
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).with_suffix("").parts):
        place = path.relative_to(root)
        name = f"{place.parent}/" if path.stem == "__init__" and place.parent != Path() else str(place)
        about = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
        rows.append(f"| `{name}` | {about.removesuffix('.')} |\n")
    return "".join(["| module | contents |\n", "| --- | --- |\n", *rows])


def _imports(graph: grimp.ImportGraph, nodes: Iterable[str]) -> set[tuple[str, str]]:
    """The pairs (importer, imported) of packages, folders or modules."""
    return {
        (one, other)
        for one, other in permutations(nodes, 2)
        if graph.direct_import_exists(importer=one, imported=other, as_packages=True)
    }


def _reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that do not follow from others, so that indirect imports are not drawn twice."""
    return {(one, other) for one, other in edges if not _reaches(edges - {(one, other)}, one, other)}


def _reaches(edges: Iterable[tuple[str, str]], start: str, end: str) -> bool:
    found, waiting = {start}, [start]
    while waiting:
        here = waiting.pop()
        for one, other in edges:
            if one == here and other not in found:
                found.add(other)
                waiting.append(other)
    return end in found


def _mermaid(nodes: Iterable[str], edges: Iterable[tuple[str, str]]) -> str:
    lines = ["flowchart TD", *(f"    {node}" for node in nodes), *(f"    {a} --> {b}" for a, b in sorted(edges))]
    return "\n".join(lines)


if __name__ == "__main__":
    before = PAGE.read_text("utf-8")
    after = drawn(before)
    if "--check" in sys.argv:
        sys.exit(0 if after == before else "architecture.md does not match the code: run `python docs/architecture.py`")
    PAGE.write_text(after, "utf-8")
