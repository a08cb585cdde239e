"""A real browser, Debian's chromium, driven by playwright; tests skip with a sentence without it.

An example:

    with open_browser() as browser:
        tab = browser.new_context(**PHONE, ignore_https_errors=True).new_page()
"""

import contextlib
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Final

CHROMIUM: Final = "chromium"
PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True,
}  # fmt: skip
DESKTOP: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 900}}
SIZES: Final = {"phone": PHONE, "desktop": DESKTOP}
LOCALES: Final = {"en": "en-GB", "zh": "zh-CN"}


def missing() -> str:
    """What a browser needs and is not there; empty where all is."""
    if find_spec("playwright") is None or find_spec("axe_playwright_python") is None:
        return "playwright is not installed: `make web-test` has an environment with it"
    if shutil.which(CHROMIUM) is None:
        return "chromium is not installed: apt-get install chromium"
    return ""


@contextlib.contextmanager
def open_browser() -> Iterator[Any]:
    """Without a window. Its sandbox needs a user that is not root, and namespaces: it has none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which(CHROMIUM),
            # in a container /dev/shm may have 64 MB, and a tab ends for want of it
            args=["--no-sandbox", "--disable-dev-shm-usage"],
        )
        try:
            yield browser
        finally:
            browser.close()


def open_tab(browser: Any, size: str = "phone", language: str = "en", **options: Any) -> Any:
    """A tab of a new profile, by a person who has passed the warning about the certificate."""
    context = browser.new_context(
        ignore_https_errors=True, locale=LOCALES[language], **SIZES[size], **options
    )
    tab = context.new_page()
    tab.set_default_timeout(20_000)
    return tab
