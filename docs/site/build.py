"""Builds the site into build/site, and checks it: `make site`.

A link that leads nowhere, an anchor that is missing, a page that stands in no navigation, a request
to a foreign host: each fails it, with a sentence that names the page.
"""

import shutil
import sys
import time
from pathlib import Path
from typing import Final

from sphinx.cmd.build import main as sphinx

from docs.site.checks import findings
from docs.site.navigation import ROOT, navigation

HERE: Final = Path(__file__).parent
SITE: Final = ROOT / "build/site"
ENTRY: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Kerbstone</title>
<meta http-equiv="refresh" content="0; url={start}">
<p><a href="{start}">Kerbstone: start here</a></p></html>
"""


def main() -> int:
    began = time.monotonic()
    shutil.rmtree(SITE, ignore_errors=True)  # what is left of former pages would hide a broken link
    states = ROOT / "build/site-state"
    options = ["-q", "-b", "html", "--fresh-env", "--fail-on-warning", "--nitpicky"]
    if sphinx([*options, "-c", str(HERE), "-d", str(states), str(ROOT), str(SITE)]):
        print("the site is not whole: see the sentences above")
        return 1
    start = navigation().start.removesuffix(".md") + ".html"
    (SITE / "index.html").write_text(ENTRY.format(start=start), encoding="utf-8")
    found = findings(SITE)
    for each in found:
        print(each)
    if found:
        print(f"the site is not whole: {len(found)} findings")
        return 1
    pages = len(list(SITE.rglob("*.html")))
    took = time.monotonic() - began
    print(f"{SITE.relative_to(ROOT)}/index.html: {pages} pages, whole; {took:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
