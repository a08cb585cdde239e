"""Who may look and who may change, as time passes and as the site file says."""

from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from edge.web.access import CSRF_HEADER, Access, Gate
from edge.web.pagesettings import SettingsFile
from edge.web.requests import RequestRefusedError
from edge.web.sessions import COOKIE, IDLE_S, MOST_S, Sessions
from tests.kit.clock import VirtualClock


class Door:
    """A gate, its clock, and a person who has logged in."""

    def __init__(self, folder: Path, site: str = "") -> None:
        self.file = folder / "site.toml"
        self.file.write_text(site)
        self.clock = VirtualClock()
        self.gate = Gate(Sessions(), SettingsFile(self.file), self.clock)
        self.token, self.session = self.gate.sessions.open(self.gate.now_s())

    def pass_s(self, seconds: float) -> None:
        self.clock.mono_ns += int(seconds * 1e9)

    def refused(self, access: Access, method: str = "GET", **headers: str) -> str:
        """Why not; empty: it is let through."""
        sent = {"cookie": f"{COOKIE}={self.token}", **headers}
        scope: dict[str, Any] = {
            "type": "http", "method": method, "path": "/", "query_string": b"",
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in sent.items() if v],
        }  # fmt: skip
        try:
            self.gate.check(Request(scope), access)
        except RequestRefusedError as error:
            return error.code
        return ""


def test_a_session_that_nobody_uses_ends_and_one_in_use_ends_after_its_whole_time(
    tmp_path: Path,
) -> None:
    door = Door(tmp_path)
    door.pass_s(IDLE_S - 1)
    assert door.refused("look") == ""
    door.pass_s(IDLE_S)
    assert door.refused("look") == "login_needed"
    door = Door(tmp_path)
    for _ in range(int(MOST_S / IDLE_S * 2) - 1):
        door.pass_s(IDLE_S / 2)
        assert door.refused("look") == ""
    door.pass_s(IDLE_S / 2)
    assert door.refused("look") == "login_needed"


@pytest.mark.parametrize("access", ["session", "settings"])
def test_a_change_needs_cookie_and_token_together(tmp_path: Path, access: Access) -> None:
    door = Door(tmp_path)
    right = {CSRF_HEADER: door.session.csrf}
    assert door.refused(access, "POST", **right) == ""
    assert door.refused(access, "POST") == "stale_page"
    assert door.refused(access, "POST", **{CSRF_HEADER: door.session.csrf[:-1]}) == "stale_page"
    assert door.refused(access, "POST", cookie="", **right) == "login_needed"


def test_who_may_look_without_a_login_may_do_nothing_else(tmp_path: Path) -> None:
    door = Door(tmp_path, '[web]\nwithout_login = "read"\n')
    assert door.refused("look", cookie="") == ""
    assert door.refused("session", cookie="") == "login_needed"
    assert door.refused("look", "POST", cookie="") == "login_needed"


def test_a_lock_counts_at_once_for_who_is_logged_in(tmp_path: Path) -> None:
    door = Door(tmp_path)
    right = {CSRF_HEADER: door.session.csrf}
    assert door.refused("settings", "POST", **right) == ""
    door.file.write_text("[web]\nsettings = false\n")
    assert door.refused("settings", "POST", **right) == "settings_locked"
    assert door.refused("session", "POST", **right) == ""
    door.file.write_text("[web\n")
    assert door.refused("settings", "POST", **right) == "settings_locked"
