"""The page as a process, asked as a browser asks, and as none does."""

import hashlib
import json
import socket
import ssl
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from edge.web.access import CSRF_HEADER
from edge.web.guard import HEADERS
from edge.web.listener import CONNECTIONS
from edge.web.staticfiles import StaticFiles
from tests.kit.waiting import wait_until
from tests.kit.webpage import Browser, WebPage


def test_nothing_of_the_box_is_told_before_the_login(page: WebPage) -> None:
    browser = page.browser()
    for path in ("/api/ask/status", "/api/events?parts=box", "/api/ask/nonsense"):
        assert browser.get(path).status == 401
    assert browser.post("/api/change/anything").status == 401
    told = browser.get("/api/session").json
    assert not told["logged_in"]
    assert not told["may_look"]
    assert told["csrf"] == ""


def test_each_answer_carries_the_headers_that_keep_strangers_out(page: WebPage) -> None:
    browser = page.browser()
    for path in ("/", "/static/shell.js", "/api/session", "/nothing", "/api/ask/status"):
        found = browser.get(path).headers
        for name, value in HEADERS:
            assert found[name.decode()] == value.decode()
        assert found["cache-control"] in ("no-store", "no-cache")
        assert "server" not in found
    assert browser.get("/api/session").headers["cache-control"] == "no-store"


def test_a_login_opens_a_session_whose_cookie_no_script_and_no_other_host_sees(
    page: WebPage,
) -> None:
    browser = page.browser()
    cookie = browser.log_in().headers["set-cookie"]
    assert cookie.startswith("__Host-")
    for word in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert word in cookie
    assert "Domain" not in cookie
    assert browser.get("/api/ask/status").json["gateway"] == "box-7"
    assert browser.get("/api/session").json["csrf"] == browser.csrf


def test_a_logout_ends_the_session_for_all_who_have_its_cookie(page: WebPage) -> None:
    browser = page.browser()
    browser.log_in()
    second_tab = Browser(page, browser.cookie, browser.csrf)
    assert browser.post("/api/logout").status == 200
    assert second_tab.get("/api/ask/status").status == 401


def test_a_new_login_ends_the_old_session_of_this_browser(page: WebPage) -> None:
    browser = page.browser()
    browser.log_in()
    old = Browser(page, browser.cookie, browser.csrf)
    browser.log_in()
    assert old.get("/api/ask/status").status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({CSRF_HEADER: ""}, 403),
        ({CSRF_HEADER: "x" * 43}, 403),
        ({CSRF_HEADER: "\xe9"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1"}, 403),
        ({"host": "evil.example"}, 421),
        ({"content_type": "text/plain"}, 415),
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"sec_fetch_site": "cross-site"}, 403),
    ],
)
def test_a_change_has_to_come_from_this_page(
    page: WebPage, headers: dict[str, str], status: int
) -> None:
    browser = page.browser()
    browser.log_in()
    path = "/api/login" if "content_type" in headers else "/api/logout"
    assert browser.post(path, {"secret": "x"}, **headers).status == status
    assert browser.get("/api/ask/status").status == 200


def test_another_origin_may_not_read(page: WebPage) -> None:
    browser = page.browser()
    browser.log_in()
    assert browser.get("/api/ask/status", sec_fetch_site="cross-site").status == 403
    assert "access-control-allow-origin" not in browser.get("/api/session").headers


def test_wrong_tries_have_to_wait_and_cost_nothing_then(own_page: WebPage) -> None:
    browser = own_page.browser()
    codes = [browser.log_in("wrong").status for _ in range(8)]
    assert codes[:4] == [403] * 4
    assert codes[-1] == 429
    waiting = browser.log_in("wrong")
    assert int(waiting.headers["retry-after"]) >= 1
    assert waiting.json["wait_s"] > 0
    begin = time.monotonic()
    codes = [browser.log_in("wrong").status for _ in range(60)]
    took_s = time.monotonic() - begin
    assert codes.count(403) <= 1 + took_s / 2  # the others were not looked at
    assert codes.count(429) >= 60 - codes.count(403)


def test_a_box_without_a_secret_says_what_to_do(tmp_path: Path) -> None:
    with WebPage(tmp_path, tmp_path, secret="") as page:
        browser = page.browser()
        assert "kerbstone web secret" in browser.get("/api/session").json["no_login"]
        assert browser.log_in("anything").status == 503


def test_who_may_look_without_a_login_may_change_nothing(own_page: WebPage) -> None:
    browser = own_page.browser()
    assert browser.get("/api/ask/status").status == 401
    own_page.configure('[web]\nwithout_login = "read"\n')
    assert browser.get("/api/ask/status").status == 200
    assert browser.post("/api/change/anything").status == 401
    assert browser.get("/api/session").json["may_look"]


def test_who_looks_without_a_login_sees_no_frames_and_no_sheet(own_page: WebPage) -> None:
    """On a wire are passwords of meters; a sheet names people."""
    own_page.configure('[web]\nwithout_login = "read"\n')
    browser = own_page.browser()
    for path in ("frames?bus=air", "commission?form=json", "commission?form=html&number=1"):
        answer = browser.get(f"/api/ask/{path}")
        assert (answer.status, answer.json["error"]) == (401, "login_needed"), path
    assert browser.get("/api/ask/commission").status == 501  # asked, and this daemon has none
    browser.log_in()
    for path in ("frames?bus=air", "commission?form=json"):
        assert browser.get(f"/api/ask/{path}").status == 501


def test_locked_settings_change_nothing_after_a_login(own_page: WebPage) -> None:
    own_page.configure("[web]\nsettings = false\n")
    browser = own_page.browser()
    browser.log_in()
    answer = browser.post("/api/change/anything")
    assert (answer.status, answer.json["error"]) == (403, "settings_locked")
    own_page.configure("")
    assert browser.post("/api/change/anything").status == 404


def test_events_tell_the_parts_that_were_asked_for(page: WebPage) -> None:
    browser = page.browser()
    browser.log_in()
    events: dict[str, Any] = {}
    with browser.stream("/api/events?parts=box,issues") as found:
        assert found.status == 200
        assert found.headers["content-type"].startswith("text/event-stream")
        while len(events) < 3:
            line = found.readline().decode()
            if line.startswith("event: "):
                events[line[7:].strip()] = json.loads(found.readline().decode()[6:])
    assert events["daemon"]["state"] == "ok"
    assert events["box"]["site_name"] == "北街"
    assert events["issues"] == []


def test_a_logout_ends_the_events(page: WebPage) -> None:
    browser = page.browser()
    browser.log_in()
    with browser.stream("/api/events?parts=box") as found:
        assert found.readline()
        browser.post("/api/logout")
        assert b"event: ended" in found.read()


def test_without_a_daemon_the_page_says_so(tmp_path: Path) -> None:
    with WebPage(tmp_path, tmp_path / "nowhere") as page:
        browser = page.browser()
        browser.log_in()
        answer = browser.get("/api/ask/status")
        assert (answer.status, answer.json["error"]) == (503, "daemon_stopped")


def test_a_verb_that_is_not_listed_does_not_reach_the_daemon(page: WebPage) -> None:
    browser = page.browser()
    browser.log_in()
    for verb in ("link_step", "data_saver", "read", "control", "status%2f..", "."):
        assert browser.get(f"/api/ask/{verb}").status in (404, 405)
    assert browser.get("/api/ask/status?device=x").status == 400


def test_the_doctor_runs_once_at_a_time_and_its_answer_is_kept(page: WebPage) -> None:
    browser = page.browser()
    assert browser.get("/api/doctor").status == 401
    browser.log_in()
    assert browser.get("/api/doctor").json["answer"] is None
    first = browser.post("/api/doctor").json
    again = browser.post("/api/doctor").json
    assert first["running"]
    assert again["running"]
    wait_until(lambda: not browser.get("/api/doctor").json["running"], seconds=90)
    found = browser.get("/api/doctor").json
    assert found["problem"] or found["answer"]["checks"]


def test_the_log_has_lines_or_says_why_not(page: WebPage) -> None:
    browser = page.browser()
    assert browser.get("/api/log").status == 401
    browser.log_in()
    found = browser.get("/api/log").json
    assert found["lines"] or found["problem"]
    assert browser.get("/api/log?level=nonsense").status == 400


def test_files_are_packed_and_known_by_their_content(page: WebPage) -> None:
    browser = page.browser()
    plain = browser.get("/static/shell.js")
    packed = browser.get("/static/shell.js", accept_encoding="gzip")
    assert len(packed.body) < len(plain.body) / 2
    again = browser.get("/static/shell.js", if_none_match=plain.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_the_page_is_small_as_sent() -> None:
    files = StaticFiles()
    sizes = {}
    for path in files.paths:
        found = files.find(path)
        assert found is not None
        sizes[path] = len(found.packed)
    assert sum(sizes.values()) < 150_000, sizes


def test_whoever_gives_up_in_the_handshake_or_resets_leaves_no_place_taken(
    own_page: WebPage,
) -> None:
    for n in range(3 * CONNECTIONS):
        link = socket.create_connection(("127.0.0.1", own_page.port))
        if n % 2:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.close()
    for _ in range(3 * CONNECTIONS):
        with own_page.connect() as spoken:
            spoken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert own_page.browser().get("/api/session").status == 200


def test_all_places_taken_by_the_silent_are_given_to_who_speaks(own_page: WebPage) -> None:
    address = ("127.0.0.1", own_page.port)
    shy = [socket.create_connection(address) for _ in range(CONNECTIONS)]
    mute = [own_page.connect() for _ in range(CONNECTIONS)]
    try:
        begin = time.monotonic()
        assert own_page.browser().get("/api/session").status == 200
        assert time.monotonic() - begin < 2
    finally:
        for link in (*shy, *mute):
            link.close()


def test_the_certificate_is_what_people_compare(page: WebPage) -> None:
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", page.port)))
    digest = hashlib.sha256(der).digest().hex(":").upper()
    assert page.fingerprint == digest
    assert page.browser().get("/api/session").json["fingerprint"] == digest


def test_a_page_that_is_stopped_ends_at_once_although_somebody_looks_on(own_page: WebPage) -> None:
    browser = own_page.browser()
    browser.log_in()
    with browser.stream("/api/events?parts=box") as found:
        assert found.readline()
        begin = time.monotonic()
        assert own_page.stop() == 0
        assert time.monotonic() - begin < 5
    assert "Traceback" not in own_page.log()
