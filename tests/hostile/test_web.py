"""A hostile browser, in the same network as the technician: what it sends costs little, tells it
nothing, and keeps nobody else out."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from edge.web.access import CSRF_HEADER
from edge.web.boundedhttp import REQUEST_S
from edge.web.listener import CONNECTIONS
from edge.web.livefeed import VIEWERS
from tests.cli.answering_daemon import answering
from tests.hostile.scriptanswers import ANSWERS
from tests.kit.webpage import Browser, WebPage, trusting
from tests.long import more, size

GROWTH_MIB: Final = 12.0


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebPage]:
    folder = tmp_path_factory.mktemp("page")
    with answering(folder / "run", ANSWERS), WebPage(folder, folder / "run") as one:
        yield one


@pytest.fixture
def own_page(tmp_path: Path) -> Iterator[WebPage]:
    """One whose limits a test uses up."""
    with answering(tmp_path / "run", ANSWERS), WebPage(tmp_path, tmp_path / "run") as one:
        yield one


def raw(page: WebPage, data: bytes, seconds: float = 30.0) -> bytes:
    """What comes back until the other side hangs up."""
    with page.connect() as link:
        link.settimeout(seconds)
        found = b""
        try:
            link.sendall(data)
            while piece := link.recv(65536):
                found += piece
        except (OSError, TimeoutError):
            pass
        return found


def is_alive(page: WebPage) -> bool:
    return page.browser().get("/api/session").status == 200


def test_a_head_of_a_megabyte_is_refused_and_takes_no_memory(page: WebPage) -> None:
    is_alive(page)
    before = page.rss_mib()
    heads = (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n",
        b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 150_000 + b"\r\n",
        b"\x00\xff" * (1 << 19),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    )
    for head in heads:
        for _ in range(3):
            answer = raw(page, head, 10.0)
            assert not answer or answer.split(b" ")[1] in (b"400", b"414", b"421", b"431"), answer[
                :80
            ]
    assert page.rss_mib() - before < GROWTH_MIB
    assert is_alive(page)


def test_a_body_that_is_too_long_is_refused_declared_or_not(page: WebPage) -> None:
    browser = page.browser()
    browser.log_in()
    long = {"secret": "x" * 100_000}
    assert browser.post("/api/login", long).status == 413
    before = page.rss_mib()
    head = (
        f"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\nOrigin: {page.url}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    assert b" 413 " in raw(page, head + chunk * 64, 10.0)[:20]
    assert page.rss_mib() - before < GROWTH_MIB


def test_json_that_nests_or_is_none_is_refused(page: WebPage) -> None:
    browser = page.browser()
    sent = {"content-type": "application/json", "origin": page.url}
    for body in (
        "[" * 2000,
        "{" * 2000,
        "null",
        "[]",
        "\ud800",
        '{"secret": 1e999}',
        '{"secret": []}',
    ):
        data = body.encode("utf-8", "surrogatepass")
        assert browser.ask("POST", "/api/login", data, sent).status == 400
    assert is_alive(page)


@more
def test_slow_senders_end_by_themselves_and_keep_nobody_out(page: WebPage) -> None:
    """As many as there are places drip their heads and bodies."""
    links = [page.connect() for _ in range(CONNECTIONS)]
    body = b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n"
    begin = time.monotonic()
    for number, link in enumerate(links):
        with contextlib.suppress(OSError):
            link.sendall(body if number % 2 else b"GET / HT")
    assert is_alive(page)
    ended = 0
    for link in links:
        link.settimeout(REQUEST_S + 10)
        try:
            while time.monotonic() - begin < REQUEST_S + 8:
                if not link.recv(4096):
                    break
        except OSError:
            pass
        ended += time.monotonic() - begin < REQUEST_S + 8
        link.close()
    assert ended == CONNECTIONS
    assert is_alive(page)


def test_answers_that_nobody_reads_take_no_place_for_ever(own_page: WebPage) -> None:
    """Pipelined questions for the largest file, and no byte of the answers is read."""
    before = own_page.rss_mib()
    ask = b"GET /static/vendor/uPlot.iife.min.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
    links = []
    for _ in range(20):
        link = own_page.connect()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.setblocking(False)
        with contextlib.suppress(OSError):
            link.send(ask)
        links.append(link)
    time.sleep(1.0)
    assert is_alive(own_page)
    assert own_page.rss_mib() - before < 3 * GROWTH_MIB
    for link in links:
        link.close()
    assert is_alive(own_page)


@more
def test_ten_thousand_logins_fill_no_memory_and_keep_no_session_out(own_page: WebPage) -> None:
    mine = own_page.browser()
    mine.log_in()
    before = own_page.rss_mib()
    count = size(1500, 10_000)
    codes: dict[int, int] = {}
    slowest_s = 0.0
    link = http.client.HTTPSConnection("127.0.0.1", own_page.port, timeout=60, context=trusting())
    link.connect()
    link.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    headers = {"content-type": "application/json", "origin": own_page.url}
    for number in range(count):
        link.request("POST", "/api/login", json.dumps({"secret": f"guess {number}"}), headers)
        answer = link.getresponse()
        answer.read()
        codes[answer.status] = codes.get(answer.status, 0) + 1
        if number % 250 == 0:
            begin = time.monotonic()
            assert mine.get("/api/ask/status").status == 200
            slowest_s = max(slowest_s, time.monotonic() - begin)
    link.close()
    assert set(codes) <= {403, 429}
    assert codes[403] < 60  # the others were not looked at
    assert own_page.rss_mib() - before < GROWTH_MIB + 16  # one look at a secret takes 16 MiB
    assert slowest_s < 2.0


def test_many_logins_at_once_are_looked_at_one_by_one(own_page: WebPage) -> None:
    before = own_page.rss_mib()
    codes: list[int] = []

    def one() -> None:
        codes.append(own_page.browser().log_in("wrong").status)

    threads = [threading.Thread(target=one) for _ in range(24)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(codes) <= {403, 429, 503}
    assert codes.count(403) <= 6
    assert own_page.rss_mib() - before < GROWTH_MIB + 16


@pytest.mark.parametrize(
    "path",
    [
        "/../site.toml", "/static/../webapp.py", "/static/%2e%2e/webapp.py",
        "/static/..%2fwebapp.py", "//etc/passwd", "/static//shell.js", "/static/./shell.js",
        "/words/en/../../webapp.py",
        "/static/shell.js%00.html", "/static/shell.js/", "/%", "/%zz", "/static\\shell.js",
        "/api/ask/status%00", "/api/ask/../session", "/api/ask/%2e%2e/session", "/api//session",
        "/API/session", "/api/ask/live/../status", "/static/vendor/", "/words/zh",
        "/web/login.secret",
    ],
)  # fmt: skip
def test_no_path_leads_to_another_file(page: WebPage, path: str) -> None:
    answer = raw(
        page, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.split(b" ")[1] in (b"400", b"401", b"404"), answer[:200]
    assert b"import" not in answer
    assert b"scrypt" not in answer


def test_other_methods_and_upgrades_are_refused(page: WebPage) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "X"):
        answer = raw(page, f"{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), 5.0)
        assert answer.split(b" ")[1] in (b"400", b"405"), (method, answer[:80])
    upgrade = (
        b"GET /api/events HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade, close\r\n"
        b"Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
    )
    assert raw(page, upgrade, 5.0).split(b" ")[1] == b"401"


def test_cookies_of_any_kind_open_nothing(page: WebPage) -> None:
    browser = page.browser()
    name = "__Host-kerbstone="
    for cookie in ("a" * 4000, name, f"{name}{'x' * 5000}", f"{name}\xff\xfe", "=;=;=",
                   f"{name}a; {name}b"):  # fmt: skip
        assert browser.get("/api/ask/status", cookie=cookie).status == 401


def test_a_cookie_without_its_token_changes_nothing(page: WebPage) -> None:
    """A second tab that was open before the last login, and a stranger who has the cookie alone."""
    browser = page.browser()
    browser.log_in()
    old_tab = Browser(page, browser.cookie, browser.csrf)
    browser.log_in()
    assert Browser(page, browser.cookie, old_tab.csrf).post("/api/doctor").status == 403
    assert Browser(page, browser.cookie, "").post("/api/doctor").status == 403
    assert old_tab.post("/api/logout").status == 401
    assert browser.get("/api/ask/status").status == 200


def test_more_viewers_than_places_are_told_so(page: WebPage) -> None:
    browser = page.browser()
    browser.log_in()
    streams = [browser.stream("/api/events?parts=box") for _ in range(VIEWERS + 3)]
    found = [each.__enter__() for each in streams]
    try:
        codes = [each.status for each in found]
        assert codes.count(200) == VIEWERS
        assert codes.count(503) == 3
        assert browser.get("/api/ask/status").status == 200
    finally:
        for each in streams:
            each.__exit__(None, None, None)


def test_a_viewer_that_does_not_read_takes_no_memory(own_page: WebPage) -> None:
    browser = own_page.browser()
    browser.log_in()
    before = own_page.rss_mib()
    with own_page.connect() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        parts = "box,time,devices,lanes,contacts,link,queue,issues"
        link.sendall(
            f"GET /api/events?parts={parts} HTTP/1.1\r\nHost: localhost\r\n"
            f"Cookie: {browser.cookie}\r\n\r\n".encode()
        )
        time.sleep(5)
        assert own_page.rss_mib() - before < GROWTH_MIB


def test_a_change_with_numbers_or_letters_that_do_not_exist_is_refused(page: WebPage) -> None:
    browser = page.browser()
    browser.log_in()
    sent = {"content-type": "application/json", "origin": page.url, CSRF_HEADER: browser.csrf}
    bodies = (
        '{"speed_kmh": NaN}', '{"mine": -Infinity}', '{"mine": 1e999}', '{"\\ud800": 1}',
        '{"by": "\\udfff"}', '{"by": [{"a": "\\ud800"}]}',
    )  # fmt: skip
    for body in bodies:
        answer = browser.ask("POST", "/api/change/commission_step", body, sent)
        assert (answer.status, answer.json["error"]) == (400, "bad_request"), body
    assert "Traceback" not in page.log()


def test_words_that_no_verb_has_are_refused(page: WebPage) -> None:
    browser = page.browser()
    browser.log_in()
    for query in ("v=1", "verb=link_step", "source=a&verb=x", "__proto__=1", "source=a&names=b"):
        assert browser.get(f"/api/ask/history?{query}").status == 400
    assert browser.get(f"/api/ask/history?source={'x' * 3000}").status in (200, 409, 414)
    assert browser.post("/api/change/link_step", {"step": "reboot"}).status == 404
    wrong = {CSRF_HEADER: browser.csrf, "content_type": "application/json"}
    assert browser.post("/api/change/status", {}, **wrong).status == 404


def test_what_a_stranger_sends_is_no_line_of_the_log(own_page: WebPage) -> None:
    for _ in range(20):
        raw(own_page, b"GET /\x1b[31mred\r\nX", 0.2)
        raw(own_page, b"GARBAGE\r\n\r\n", 0.2)
    assert own_page.log().count("\n") < 10
