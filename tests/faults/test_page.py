"""The page, while what is around it fails: real daemon, real page, and root's part of it."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.identity.configspool import REQUEST_NAME, config_spool
from edge.web.access import CSRF_HEADER
from edge.web.daemonasker import TIMEOUT_S
from edge.web.livefeed import VIEWERS
from tests.faults.slowly import only_with_all
from tests.faults.traced import AIR, sensor
from tests.kit.broker import Mosquitto
from tests.kit.gateway import KERBSTONE, ROOT, GatewayProcess
from tests.kit.memorygroup import MemoryGroup
from tests.kit.waiting import wait_until
from tests.kit.webpage import Browser, WebPage
from tests.system.changingbox import ChangingBox

PAGE_ROOM = 256 << 10  # bytes that the page may still take


class LookingOn:
    """A browser that shows the overview: how the daemon is, as it was told last."""

    def __init__(self, browser: Browser) -> None:
        self.states: list[str] = []
        self._browser, self._stack = browser, contextlib.ExitStack()

    def __enter__(self) -> "LookingOn":
        found = self._stack.enter_context(self._browser.stream("/api/events?parts=time"))
        assert found.status == 200
        threading.Thread(target=self._read, args=(found,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _read(self, found: http.client.HTTPResponse) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            while line := found.readline():
                if line == b"event: daemon\n":
                    self.states.append(json.loads(found.readline()[6:])["state"])

    def until(self, state: str) -> None:
        """The newest word is this one."""
        wait_until(lambda: self.states[-1:] == [state])


@pytest.fixture
def gateway(tmp_path: Path, site: Callable[..., GatewayProcess]) -> Iterator[GatewayProcess]:
    with sensor(tmp_path):
        made = site(AIR, period_s=1)
        made.start()
        yield made


@pytest.fixture
def page(tmp_path: Path, gateway: GatewayProcess) -> Iterator[WebPage]:
    with WebPage(tmp_path, tmp_path / "run", site=gateway.config) as made:
        yield made


def test_a_daemon_that_dies_while_somebody_looks_on_is_said_and_its_return_too(
    gateway: GatewayProcess, page: WebPage
) -> None:
    browser = page.browser()
    browser.log_in()
    with LookingOn(browser) as look:
        look.until("ok")
        gateway.kill()
        look.until("stopped")
        answer = browser.get("/api/ask/status")
        assert (answer.status, answer.json["error"]) == (503, "daemon_stopped")
        gateway.start()
        look.until("ok")
    assert browser.get("/api/ask/status").status == 200, "nobody has to log in again"


def test_a_daemon_that_hangs_is_said_and_the_page_stays_quick(
    gateway: GatewayProcess, page: WebPage
) -> None:
    """Its socket takes all that is asked, and never answers."""
    browser = page.browser()
    browser.log_in()
    with LookingOn(browser) as look:
        look.until("ok")
        os.kill(gateway.pid, signal.SIGSTOP)
        try:
            began_s = time.monotonic()
            look.until("silent")
            assert time.monotonic() - began_s < 3 * TIMEOUT_S
            began_s = time.monotonic()
            assert browser.get("/api/session").json["logged_in"]
            assert browser.get("/static/shell.js").status == 200
            assert time.monotonic() - began_s < 2
            answer = browser.get("/api/ask/status")
            assert (answer.status, answer.json["error"]) == (504, "daemon_silent")
            assert time.monotonic() - began_s < 3 * TIMEOUT_S
        finally:
            os.kill(gateway.pid, signal.SIGCONT)
        look.until("ok")


@only_with_all
def test_a_page_that_has_no_memory_left_is_killed_alone_and_comes_again(
    tmp_path: Path, broker: Mosquitto, group: MemoryGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many browsers as it takes, and more; killed by the kernel at the limit of its own unit."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with ChangingBox(tmp_path, broker) as box:
        pid = box.gateway.pid
        with WebPage(tmp_path, tmp_path / "run", site=box.gateway.config) as page:
            browser = page.browser()
            browser.log_in()
            group.add(page.pid)
            group.limit(group.used + PAGE_ROOM)
            with contextlib.ExitStack() as open_links, contextlib.suppress(OSError):
                for _ in range(VIEWERS):
                    open_links.enter_context(browser.stream("/api/events?parts=lanes,devices"))
                while group.kills == 0:
                    open_links.enter_context(page.connect())
            wait_until(lambda: group.kills == 1)
            assert page.stop() == -signal.SIGKILL
        with WebPage(tmp_path, tmp_path / "run", site=box.gateway.config) as again:
            other = Browser(again, browser.cookie, browser.csrf)
            assert other.get("/api/ask/status").status == 401, "its sessions went with it"
            assert other.log_in().status == 200
            assert other.get("/api/ask/live").status == 200
            assert again.fingerprint == page.fingerprint, "nobody has to compare it again"
        box.finish()
        assert box.gateway.pid == pid
        assert box.counted == len(box.street.passed)
        assert [each for each in box.gaps() if each["sources"] == ["*"]] == []


def as_root_does(box: ChangingBox) -> None:
    """kerbstone-config.path and its service, once."""
    outcome = ("--outcome", str(box.folder / "run" / "config-outcome"))
    for words in (outcome, ("--take",)):
        command = [*KERBSTONE, "config", "spool", "--config", str(box.gateway.config), *words]
        subprocess.run(command, cwd=ROOT, check=True, timeout=60)


def test_a_phone_that_leaves_after_it_has_applied_a_file_takes_nobody_with_it(
    tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for the answer, and never comes back to confirm."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    monkeypatch.setenv("KERBSTONE_RUN", str(tmp_path))
    config_spool().mkdir()
    with ChangingBox(tmp_path, broker) as box:
        before = box.gateway.text
        with WebPage(tmp_path, tmp_path / "run", site=box.gateway.config) as page:
            browser = page.browser()
            browser.log_in()
            shown = browser.post("/api/change/config_step", {"op": "text"}).json
            text = shown["text"].replace('gateway = "gw-1"', 'gateway = "gw-1"\nname = "Kai"')
            wish = {"text": text, "base": shown["digest"], "confirm_s": 30}
            leave(page, browser, wish, cut=True)
            time.sleep(1)
            assert not (config_spool() / REQUEST_NAME).exists(), "half of it is nothing"
            leave(page, browser, wish, cut=False)
            wait_until((config_spool() / REQUEST_NAME).exists)
        as_root_does(box)
        assert box.gateway.status()["state"] == "trial"
        assert 'name = "Kai"' in box.gateway.text
        assert box.gateway.until_state("rolled_back", 90)["reason"] == "unconfirmed"
        as_root_does(box)
        assert box.gateway.text == before
        box.finish()
        assert box.counted == len(box.street.passed)
        assert box.twice() == []


def leave(page: WebPage, browser: Browser, wish: dict[str, Any], *, cut: bool) -> None:
    """Send it, or the half of it, and go away without reading a word."""
    body = json.dumps(wish).encode()
    head = (
        f"POST /api/config HTTP/1.1\r\nHost: localhost\r\nCookie: {browser.cookie}\r\n"
        f"Origin: https://localhost\r\n{CSRF_HEADER}: {browser.csrf}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with page.connect() as link:
        link.sendall(head.encode() + (body[: len(body) // 2] if cut else body))
        time.sleep(0.5)  # a reset would overtake it
