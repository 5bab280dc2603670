"""Draws the diagrams of architecture.md from the imports of the code: `python docs/architecture.py`.

With `--check` it changes nothing and fails where a diagram is not what the code is: `nox -s lint` does so. Needs
import-linter, which comes with grimp.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import grimp

PAGE = Path(__file__).parent / "architecture.md"
PACKAGES = ("omega_core", "omega_quant", "omega_entropy", "omega_train", "omega_cli")


def drawn(page: str) -> str:
    """The page with each diagram, between <!-- imports of PACKAGE --> and the end of its block, drawn anew."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True)

    def block(found: re.Match[str]) -> str:
        package = found["package"]
        edges = _of_packages(graph) if package == "all" else _within(graph, package)
        nodes = sorted(PACKAGES) if package == "all" else sorted(_rooms(graph, package))
        return f"<!-- imports of {package} -->\n```mermaid\n{_mermaid(nodes, _reduced(edges))}\n```"

    return re.sub(r"<!-- imports of (?P<package>\w+) -->\n```mermaid\n.*?```", block, page, flags=re.DOTALL)


def _of_packages(graph: grimp.ImportGraph) -> set[tuple[str, str]]:
    """(importer, imported) of whole packages."""
    return {
        (one, other)
        for one in PACKAGES
        for other in PACKAGES
        if one != other and graph.find_shortest_chains(one, other, as_packages=True)
    }


def _rooms(graph: grimp.ImportGraph, package: str) -> set[str]:
    """The modules and folders of a package that import others of it, or are imported by them."""
    return {room for edge in _within(graph, package) for room in edge}


def _within(graph: grimp.ImportGraph, package: str) -> set[tuple[str, str]]:
    """(importer, imported) of the modules and folders that lie directly in a package."""
    rooms = graph.find_children(package)
    return {
        (one.removeprefix(f"{package}."), other.removeprefix(f"{package}."))
        for one in rooms
        for other in rooms
        if one != other and graph.direct_import_exists(importer=one, imported=other, as_packages=True)
    }


def _reduced(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges without those that follow from others: what is imported through a chain is not drawn twice."""
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
        sys.exit(0 if after == before else "architecture.md is not what the code is: run `python docs/architecture.py`")
    PAGE.write_text(after, "utf-8")
