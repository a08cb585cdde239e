"""What a daemon says, and what devices and files have named, reaches a browser as text."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.answering_daemon import answering
from tests.hostile.scriptanswers import ANSWERS, LIVE, SCRIPT
from tests.kit.webpage import WebPage


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebPage]:
    folder = tmp_path_factory.mktemp("page")
    with answering(folder / "run", ANSWERS), WebPage(folder, folder / "run") as one:
        yield one


def strictly(text: bytes) -> Any:
    """As a browser reads JSON, which knows neither NaN nor Infinity."""

    def refuse(word: str) -> Any:
        raise AssertionError(f"no browser reads {word}")

    return json.loads(text.decode(), parse_constant=refuse)


def test_numbers_and_letters_of_the_daemon_that_no_browser_reads_hide_nothing_else(
    tmp_path: Path,
) -> None:
    odd = {"nan": float("nan"), "more": [float("inf"), 1.5], "name": "a\ud800b", "\udcff": 1}
    answers = {"live": {**LIVE, "queue": odd}, "status": odd}
    with answering(tmp_path / "run", answers), WebPage(tmp_path, tmp_path / "run") as page:
        browser = page.browser()
        browser.log_in()
        read = {"nan": None, "more": [None, 1.5], "name": "a?b", "?": 1}
        answer = browser.get("/api/ask/status")
        assert answer.status == 200
        assert strictly(answer.body) == read
        found: dict[str, Any] = {}
        with browser.stream("/api/events?parts=queue,box") as events:
            while len(found) < 3:
                line = events.readline().decode()
                assert line, "the stream has ended"
                if line.startswith("event: "):
                    found[line[7:].strip()] = strictly(events.readline()[6:])
        assert found["queue"] == read
        assert found["box"]["site"] == SCRIPT
        assert "Traceback" not in page.log()


@pytest.mark.parametrize("size_kb", [1, 5000])
def test_an_answer_that_is_none_of_a_daemon_is_said_to_be_so(tmp_path: Path, size_kb: int) -> None:
    """Too deep for one stack and not for another, or longer than any answer."""
    data = b'{"ok":true,"a":' + b"[" * 970 + b"]" * 970 + b"}\n"
    if size_kb > 1000:
        data = b"x" * (size_kb << 10)
    run = tmp_path / "run"
    run.mkdir()
    with (
        socket.socket(socket.AF_UNIX) as listening,
        WebPage(tmp_path, run) as page,
    ):
        listening.bind(str(run / "control.sock"))
        listening.listen()

        def answer() -> None:
            link, _ = listening.accept()
            with link, contextlib.suppress(OSError):
                link.recv(65536)
                link.sendall(data)

        thread = threading.Thread(target=answer)
        thread.start()
        browser = page.browser()
        browser.log_in()
        found = browser.get("/api/ask/status")
        thread.join(20)
        assert (found.status, found.json["error"]) == (409, "daemon_refused")
        assert "no daemon of this version" in found.json["text"]


def test_a_script_in_every_name_is_text(page: WebPage) -> None:
    """In a real browser: nothing of it runs, nothing of it becomes an element."""
    from tests.kit.browser import missing, open_browser, open_tab

    if why := missing():
        pytest.skip(why)
    with open_browser() as browser:
        for language in ("en", "zh"):
            tab = open_tab(browser, "phone", language)
            said: list[str] = []
            tab.on(
                "dialog", lambda dialog, said=said: (said.append(dialog.message), dialog.dismiss())
            )
            tab.on("pageerror", lambda error, said=said: said.append(str(error)))
            tab.goto(f"{page.url}/")
            tab.fill("#secret", page.secret)
            tab.press("#secret", "Enter")
            tab.wait_for_selector(".page.overview")
            for name in ("overview", "lanes", "values", "devices", "queue", "flags", "log"):
                tab.goto(f"{page.url}/#/{name}")
                tab.wait_for_selector(f".page.{name}")
                tab.wait_for_timeout(900)
                for part in tab.query_selector_all("details > summary"):
                    part.click()
                tab.wait_for_timeout(500)
                assert tab.locator("main img, main script").count() == 0, name
                if name != "log":
                    assert "onerror" in tab.locator("main").inner_text(), name
            assert said == []
            tab.context.close()
