"""Pictures of the page in a browser, of a phone and of a desk, in both languages.

`make web-pictures` runs a daemon with the simulated devices of the demo, breaks some of it, and
takes what Debian's chromium shows. No check compares them: look at them.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from docs.pictures import ROOT, running_box
from edge.demo.demostreet import METER
from tests.kit.browser import missing, open_browser, open_tab
from tests.kit.webpage import WebPage

WARM_S: Final = 400.0  # until a course has some slots
SHOTS: Final = (  # name, page, size, language, whole page
    ("web-overview-phone", "overview", "phone", "en", False),
    ("web-overview-phone-zh", "overview", "phone", "zh", False),
    ("web-lanes-phone", "lanes", "phone", "en", False),
    ("web-values-phone", "values", "phone", "en", False),
    ("web-devices-phone", "devices", "phone", "en", False),
    ("web-queue-phone", "queue", "phone", "en", False),
    ("web-lanes-desktop", "lanes", "desktop", "en", False),
    ("web-overview-dark", "overview", "desktop", "en", False),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.webpictures", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/img")
    parser.add_argument("--warm", type=float, default=WARM_S, help="seconds before the first")
    options = parser.parse_args()
    if why := missing():
        print(why, file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kerbstone-") as folder:
        box = Path(folder)
        with running_box(box) as (file, cabinet), WebPage(box, box / "run", site=file) as page:
            time.sleep(options.warm)
            cabinet.misbehave(METER, "silent")
            time.sleep(60)  # until it is an issue
            with open_browser() as browser:
                for shot in SHOTS:
                    _take(browser, page, options.out, *shot)
    return 0


def _take(
    browser: Any, page: WebPage, out: Path, name: str, what: str, size: str, language: str,
    whole: bool,
) -> None:  # fmt: skip
    scheme = "dark" if name.endswith("dark") else "light"
    tab = open_tab(browser, size, language, color_scheme=scheme)
    tab.goto(f"{page.url}/#/{what}")
    tab.fill("#secret", page.secret)
    tab.press("#secret", "Enter")
    tab.wait_for_selector(f".page.{what}")
    time.sleep(4)
    opened = {"values": "details.day > summary", "devices": "details > summary"}
    if what in opened:
        tab.locator(opened[what]).first.click()
        time.sleep(3)
    if what == "lanes":
        time.sleep(30)  # until the strips are full
        if size == "desktop":
            tab.locator("details.day > summary").first.click()
            time.sleep(1)
    tab.evaluate("scrollTo(0, 0)")
    tab.screenshot(path=str(out / f"{name}.png"), full_page=whole)
    tab.context.close()
    print(f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
