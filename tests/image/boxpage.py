"""The page of a box that has never been looked at: its units as systemd starts them, by the way of
docs/access-point.md over ssh, with the secret of the label.
"""

import hashlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from edge.provision.boxlabel import load_label
from tests.image.guest import ImageGuestError
from tests.image.people import HOST_NAME
from tests.image.scene import ImageScene, check
from tests.image.town import free_port
from tests.kit.cardpage import OPERATOR
from tests.kit.webpage import Browser, trusting

UNITS: Final = ("kerbstone-web.service", "kerbstone-web@lo.service")
SOCKET: Final = "kerbstone-web@lo.socket"
MOST_MB: Final = 35.0  # the page, looked at: see docs/benchmarks.md
IDLE_S: Final = 300.0
EVENTS: Final = "/api/events?parts=devices"
METER: Final = "main_meter"
DOCTOR_S: Final = 600.0


@dataclass(frozen=True)
class TunnelledPage:
    """By ssh, as the page of the docs says."""

    port: int
    secret: str


@contextmanager
def tunnel(scene: ImageScene) -> Iterator[TunnelledPage]:
    (label,) = (scene.people.folders[OPERATOR] / "labels").glob("*.json")
    port = free_port()
    words = ["ssh", "-N", "-o", "ExitOnForwardFailure=yes", "-L", f"{port}:127.0.0.1:443"]
    running = subprocess.Popen(
        [*words, f"technician@{HOST_NAME}"], env=scene.people.environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        scene.guest.until(lambda: _answers(port), "the tunnel", 60)
        yield TunnelledPage(port, load_label(label).secret)
    finally:
        running.terminate()
        running.communicate(timeout=30)


def page_looked_at(scene: ImageScene) -> None:
    """Nothing of it runs; a laptop asks, and sees what the wires say."""
    check(_active(scene) == ["inactive", "inactive"], f"it runs already: {_active(scene)}")
    with tunnel(scene) as page:
        began = time.monotonic()
        shown = _fingerprint(page.port)
        scene.say(f"answers {time.monotonic() - began:.1f} s after the first knock")
        said = scene.guest.run("kerbstone status", check=False)
        check(shown in "".join(said.split()), f"the certificate is {shown}, status says\n{said}")
        browser = Browser(page)
        check(browser.get("/api/ask/live").status == 401, "a stranger sees values")
        check(browser.log_in("not-the-secret").status == 403, "any secret will do")
        check(browser.log_in().status == 200, "the secret of the label is refused")
        live = _json(browser, "/api/ask/live")
        row = next(each for each in live["devices"] if each["name"] == METER)
        check(row["state"] == "ok", f"the meter: {row}")
        check(METER in _event(browser, "devices"), "events show the meter")
        day = _json(browser, f"/api/ask/history?source={METER}")
        check(bool(day), "the last day of the meter")
        lines = _json(browser, "/api/log")
        check("kerbstone" in json.dumps(lines), f"the log: {json.dumps(lines)[:500]}")
        scene.say(f"the doctor on the page: {_doctor(scene, browser)}")
        scene.say(f"memory: {_memory(scene)}")


def page_gone(scene: ImageScene) -> None:
    """Five minutes after the last one looked, nothing of it is in memory; then it opens again."""
    began = time.monotonic()
    scene.guest.until(
        lambda: _active(scene) == ["inactive", "inactive"] or None, "the page's end", IDLE_S + 120
    )
    took_s = time.monotonic() - began
    check(scene.guest.run(f"systemctl is-active {SOCKET}") == "active", "it listens still")
    scene.say(f"gone; it was waited for {took_s:.0f} s")
    with tunnel(scene) as page:
        check(Browser(page).log_in().status == 200, "it opens again")
    scene.say("and opens again")


def _answers(port: int) -> bool:
    """The far end opens its socket only when somebody speaks: this is ssh's own."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


def _active(scene: ImageScene) -> list[str]:
    said = scene.guest.run(f"systemctl is-active {' '.join(UNITS)}", check=False)
    return said.split()


def _fingerprint(port: int) -> str:
    """As people compare it, in capitals with colons."""
    with (
        socket.create_connection(("127.0.0.1", port), 120) as plain,
        trusting().wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        found = secured.getpeercert(binary_form=True)
    assert found is not None
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(found).digest())


def _json(browser: Browser, path: str) -> Any:
    answer = browser.get(path, accept_encoding="identity")
    if answer.status != 200:
        raise ImageGuestError(f"{path}: {answer.status} {answer.body[:300]!r}")
    return answer.json


def _event(browser: Browser, name: str) -> str:
    """The data of the first event of this name."""
    with browser.stream(EVENTS) as stream:
        for _ in range(200):
            if stream.readline().decode().strip() == f"event: {name}":
                return stream.readline().decode()
    raise ImageGuestError(f"no event {name} in 200 lines")


def _doctor(scene: ImageScene, browser: Browser) -> str:
    check(browser.post("/api/doctor").status == 200, "the doctor cannot be started")

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = _json(browser, "/api/doctor")
        return None if found["running"] else found

    found = scene.guest.until(ended, "the doctor's end", DOCTOR_S)
    check(found["answer"] is not None, f"the doctor: {found['problem']}")
    checks = found["answer"]["checks"]
    outcomes = [each["outcome"] for each in checks]
    check("ok" in outcomes, f"the doctor: {json.dumps(found)[:1000]}")
    faults = [each for each in checks if each["outcome"] == "fault"]
    check(faults == [], f"the doctor finds on a box that is well: {json.dumps(faults, indent=1)}")
    return ", ".join(f"{outcomes.count(each)} {each}" for each in sorted(set(outcomes)))


def _memory(scene: ImageScene) -> str:
    """Its own pages and its share of those that others have too; and what systemd counts."""
    pid = scene.guest.run(f"systemctl show -P MainPID {UNITS[0]}")
    said = scene.guest.run(f"grep ^Pss: /proc/{pid}/smaps_rollup")
    share_mb = int(said.split()[1]) * 1024 / 1e6
    counted = scene.guest.run(f"systemctl show -P MemoryPeak {UNITS[0]}")
    check(share_mb <= MOST_MB * 1.048576, f"{share_mb:.1f} MB are in use")
    return f"{share_mb:.1f} MB in use, peak of its group {int(counted) / 1e6:.1f} MB"
