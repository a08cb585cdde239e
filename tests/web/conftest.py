"""A page, and a daemon that answers as the test says."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.answering_daemon import answering
from tests.kit.webpage import WebPage

LIVE: dict[str, Any] = {
    "site": "crossing", "gateway": "box-7", "site_name": "北街", "names": {"north_1": "Nordstraße"},
    "uptime_s": 5.0, "devices": [], "lanes": [], "contacts": [], "link": {"connected": True},
    "queue": None, "issues": [], "clock": {},
}  # fmt: skip
ANSWERS: dict[str, dict[str, Any]] = {"live": LIVE, "status": {"gateway": "box-7"}}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebPage]:
    folder = tmp_path_factory.mktemp("page")
    with answering(folder / "run", ANSWERS), WebPage(folder, folder / "run") as page:
        yield page


@pytest.fixture
def own_page(tmp_path: Path) -> Iterator[WebPage]:
    """One whose limits and sessions a test may use up."""
    with answering(tmp_path / "run", ANSWERS), WebPage(tmp_path, tmp_path / "run") as page:
        yield page
