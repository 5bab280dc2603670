"""A hook of MkDocs for the pages of the site: the Markdown files of the repository, and a page of each package's API.

Pages have the same paths as in the repository, so that links between them work in both.
"""

import re
from importlib import import_module
from pathlib import Path, PurePosixPath
from posixpath import normpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "benchmarks/README.md",
    "docs/*.md",
    "docs/models/*.md",
    "packages/*/*.md",
    "packages/omega-cli/src/omega_cli/web/README.md",
)
PICTURES = ("benchmarks/*.svg", "docs/images/*")
PACKAGES = ("omega_core", "omega_quant", "omega_entropy", "omega_train")

_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Return the files of the theme with the pages and pictures of the repository."""
    docs = Path(config.docs_dir)
    kept = [file for file in files if file.abs_src_path is None or docs not in Path(file.abs_src_path).parents]
    paths = sorted(path for pattern in (*PAGES, *PICTURES) for path in ROOT.glob(pattern))
    pages = [File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)) for path in paths]
    interfaces = [File.generated(config, f"api/{name}.md", content=_interface(name)) for name in PACKAGES]
    return Files([*kept, *pages, *interfaces])


def on_page_markdown(
    markdown: str,
    *,
    page: Page,
    config: MkDocsConfig,  # noqa: ARG001 (mkdocs passes it by name)
    files: Files,
) -> str:
    """Return a page whose links lead to other pages or sites. Links to other files of the repository become text."""
    folder = PurePosixPath(page.file.src_uri).parent

    def linked(link: re.Match[str]) -> str:
        target = link["target"]
        if not target or "://" in target:
            return link[0]
        path = normpath(folder / target)
        for page, suffix in ((path, ""), (f"{path}/README.md", "/README.md")):
            if files.get_file_from_path(page) is not None:
                return f"[{link['text']}]({target}{suffix}{link['anchor'] or ''})"
        if not (ROOT / path).exists():
            return link[0]  # MkDocs warns of it
        return link["text"]

    return _LINK.sub(linked, markdown)


def _interface(package: str) -> str:
    """The page of a package's API: everything that can be imported from it."""
    names: list[str] = import_module(package).__all__
    return "\n\n".join([f"# {package}", *(f"::: {package}.{name}" for name in names)])
