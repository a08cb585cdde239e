"""How Sphinx reads the pages: all of them as they stand in the repository, so that a relative link
leads to the same place here and on a code host. `make site` runs it, by docs/site/build.py."""

import html
import shutil
from pathlib import Path
from typing import Any, ClassVar, Final

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx import addnodes
from sphinx.application import Sphinx

from docs.site.navigation import ROOT, navigation, toctree

NAVIGATION: Final = navigation()

project = "Kerbstone"
author = "Kerbstone contributors"
root_doc = NAVIGATION.start.removesuffix(".md")
extensions = ["myst_parser"]
# every page that people read, also one that the navigation has forgotten: the build names it then
include_patterns = [
    "*.md",
    "tests/compat/README.md",
    "tests/kit/README.md",
    "tests/vectors/README.md",
    *(f"{folder}/**.md" for folder in ("docs", "deploy", "drivers", "models")),
]
exclude_patterns = [".*", "build", "dist", "edge", "requirements", "systemd", "tmp"]
nitpicky = True

myst_heading_anchors = 6  # as code hosts make them
myst_fence_as_directive = ["mermaid"]

html_theme = "pydata_sphinx_theme"
html_title = "Kerbstone"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {
    "header_links_before_dropdown": len(NAVIGATION.sections),
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": [],
    "footer_end": [],
    "show_prev_next": True,
    "navigation_depth": 2,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


class Mermaid(Directive):
    """A code host draws it. Drawing it here would need a program of 3 MB for one page, which has
    the same as text; so its source is folded away."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        source = html.escape("\n".join(self.content))
        summary = "Source of the diagram, for programs that draw Mermaid"
        text = f"<details><summary>{summary}</summary><pre>{source}</pre></details>"
        return [nodes.raw("", text, format="html")]


def list_children(_: Sphinx, document: str, source: list[str]) -> None:
    """Gives the first page of each section what stands under it."""
    page = f"{document}.md"
    if page == NAVIGATION.start:
        source[0] += toctree({each.page: each.title for each in NAVIGATION.sections})
    for section in NAVIGATION.sections:
        if page == section.page and section.pages:
            source[0] += toctree(section.pages)


def link_folders(app: Sphinx, doctree: nodes.document) -> None:
    """A code host shows a folder; here it is copied, with a list of its files."""
    here = ROOT / Path(app.env.docname).parent
    for link in list(doctree.findall(addnodes.pending_xref)):
        folder = (here / link["reftarget"]).resolve()
        if folder.is_dir() and folder.is_relative_to(ROOT / "docs/contract"):
            list_folder(folder, Path(app.outdir) / folder.relative_to(ROOT))
            uri = f"{link['reftarget'].rstrip('/')}/index.html"
            link.replace_self(nodes.reference("", "", *link.children, internal=True, refuri=uri))


def list_folder(folder: Path, to: Path) -> None:
    shutil.copytree(folder, to, dirs_exist_ok=True)
    names = [each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()]
    items = "".join(f'<li><a href="{name}">{name}</a></li>' for name in sorted(names))
    title = folder.relative_to(ROOT)
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    page = f"{head}<h1>{title}</h1><ul>{items}</ul></html>\n"
    (to / "index.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", list_children)
    app.connect("doctree-read", link_folders)
