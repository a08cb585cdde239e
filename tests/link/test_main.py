"""The commands as systemd calls them: real processes, and what they leave behind."""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from edge.config.model.link import Link
from edge.core import ConfigError
from edge.identity.network import Network
from edge.link import linkoptions, profile
from edge.link.__main__ import KIND, main

ROOT = Path(__file__).parents[2]


def network(tmp_path: Path, claimed: str) -> int:
    file = tmp_path / "network.json"
    file.write_text(claimed)
    return main(["network", "--claimed", str(file), "--root", str(tmp_path / "root")])


def test_a_claim_becomes_a_profile(tmp_path: Path) -> None:
    before = os.umask(0o077)  # as in the unit
    try:
        _becomes_a_profile(tmp_path)
    finally:
        os.umask(before)


def _becomes_a_profile(tmp_path: Path) -> None:
    assert network(tmp_path, '{"kind": "cellular", "apn": "iot.example"}') == 0
    root = tmp_path / "root"
    assert "apn=iot.example" in (root / profile.MAIN_CONNECTION).read_text()
    assert (root / KIND).read_text() == "cellular\n"
    for name in (
        "run/NetworkManager",
        "run/kerbstone-network",
        Path(profile.MAIN_CONNECTION).parent,
    ):
        assert (root / name).stat().st_mode & 0o777 == 0o755, "others look into it"
    (tmp_path / "network.json").unlink()
    none = ["network", "--claimed", str(tmp_path / "network.json"), "--root", str(root)]
    assert main(none) == 0
    assert not (root / profile.MAIN_CONNECTION).exists(), (
        "a claim without a network leaves it to the image"
    )
    assert (root / KIND).read_text() == "ethernet\n"


@pytest.mark.parametrize("claim", ["{", '{"kind": "pigeon"}', '{"x": 1}', "\xff"])
def test_a_claim_that_cannot_be_read_changes_nothing(
    claim: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network(tmp_path, '{"kind": "ethernet"}')
    before = (tmp_path / "root" / profile.MAIN_CONNECTION).read_bytes()
    assert network(tmp_path, claim) == 1
    assert (tmp_path / "root" / profile.MAIN_CONNECTION).read_bytes() == before
    assert "put a new claim" in caplog.text


def test_no_claim_is_no_error(tmp_path: Path) -> None:
    assert main(["network", "--claimed", str(tmp_path / "none"), "--root", str(tmp_path)]) == 0


def test_options_are_the_table_of_the_site(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text('[uplink]\nurl = "x"\n[link]\nbudget_mb = 500\nusb = "1-1.2"\n')
    found = linkoptions.load_link_options(file)
    assert (found.budget, found.usb) == (500_000_000, "1-1.2")
    assert linkoptions.load_link_options(tmp_path / "none") == Link()
    for wrong in ("budget_mb = -1", 'usb = "../x"', "lump = 1", 'status_led = "a b"', 'chip = "x"'):
        file.write_text(f"[link]\n{wrong}\n")
        with pytest.raises(ConfigError, match="table link"):
            linkoptions.load_link_options(file)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("day = 3", r"link\.day: unknown key; did you mean billing_day\?"),
        ('supply = "GPIO5"', r"link\.supply: unknown key; did you mean modem_power_line\?"),
        ('cut = "low"', r"link\.cut: unknown key; did you mean power_off_level\?"),
        ('lamp = "GPIO6"', r"link\.lamp: unknown key; did you mean status_led\?"),
        ("budget = 1", r"link\.budget: unknown key; did you mean budget_mb\?"),
        (
            '"\\u001b" = 1',
            r"link\.\\x1b: unknown key; choose from access_point_interface, billing_day",
        ),
    ],
)
def test_a_key_that_nobody_knows_is_refused_as_check_does(
    line: str, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "site.toml"
    file.write_text(f"[link]\n{line}\n")
    with pytest.raises(ConfigError, match=text):
        linkoptions.load_link_options(file)


def test_it_runs_without_anything_and_ends_when_asked(tmp_path: Path) -> None:
    """No D-Bus, no daemon, no NetworkManager: it looks, says so in its state, and goes on."""
    site = tmp_path / "site.toml"
    site.write_text("[link]\nbudget_mb = 10\n")
    command = [sys.executable, "-m", "edge.link", "--site", str(site), "run"]
    command += ["--state", str(tmp_path), "--shown", str(tmp_path / "state.json")]
    command += ["--control", str(tmp_path)]
    shown = tmp_path / "state.json"
    environ = os.environ | {
        "PYTHONPATH": str(ROOT),
        "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/none",
    }
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(1_000):
            if shown.exists() or process.poll() is not None:
                break
            threading.Event().wait(0.02)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    found = json.loads(shown.read_text())
    assert (found["v"], found["broker"], found["bytes"]["budget"]) == (1, None, 10_000_000)
    assert (tmp_path / "link_state").stat().st_mode & 0o777 == 0o600


def test_the_proxy_of_a_claim_is_the_way_of_a_request(tmp_path: Path) -> None:
    """The environment file, as systemd reads it, sends a request through a proxy."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:  # the name that http.server wants
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, format: str, *arguments: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    text = profile.profile_files(Network(proxy=f"http://127.0.0.1:{server.server_port}"))[
        profile.PROXY_FILE
    ]
    pairs = dict(line.split("=", 1) for line in text.splitlines())
    code = "import urllib.request as u\ntry: u.urlopen('https://enrol.example:8443', timeout=20)\n"
    code += "except OSError: pass\n"
    subprocess.run([sys.executable, "-c", code], env=pairs, check=True, timeout=60)
    thread.join(20)
    server.server_close()
    assert asked == ["enrol.example:8443"]
