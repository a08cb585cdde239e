"""The units that bring a phone to the page: who can be reached where, and what each may do."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.core.pageaddress import ACCESS_POINT_ADDRESS, GADGET_ADDRESS, PREFIX
from edge.identity import statefolder
from edge.link import accesspointfiles
from edge.web.loginsecret import CREDENTIAL
from tests.systemd.test_link_units import run

UNITS = Path(__file__).parents[2] / "systemd"
SERVICES = (
    "kerbstone-web.service", "kerbstone-web@.service", "kerbstone-portal@.service",
    "kerbstone-door@.service", "kerbstone-dhcp@.service", "kerbstone-bind@.service",
    "kerbstone-gadget.service", "kerbstone-access-point.service",
)  # fmt: skip
LISTEN = re.compile(r"^Listen\w+\s*=\s*(\S+)$", re.MULTILINE)
DEVICE = re.compile(r"^BindToDevice\s*=\s*(\S+)$", re.MULTILINE)
NEVER = ("wwan", "ppp", "usb", "eth", "en")  # a modem's interface, or the way to the city


def text(name: str) -> str:
    return (UNITS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("unit", SERVICES)
def test_exposure_is_at_most_1_7(unit: str) -> None:
    code, said = run(
        "systemd-analyze", "security", "--offline=true", "--threshold=17", UNITS / unit
    )
    assert code == 0, said[-200:]


def sockets() -> dict[str, str]:
    """Each socket unit with the drop-ins that belong to it."""
    found = {path.name: path.read_text() for path in UNITS.glob("*.socket")}
    for path in UNITS.glob("*.socket.d/*.conf"):
        name = path.parent.name.removesuffix(".d")
        template = re.sub(r"@[^.]+", "@", name)
        found[name] = found.get(name, text(template)) + path.read_text()
    return found


def test_every_socket_on_the_network_is_tied_to_one_interface_and_never_the_modem_s() -> None:
    found = {name: body for name, body in sockets().items() if LISTEN.search(body)}
    assert set(found) == {
        "kerbstone-web@lo.socket", "kerbstone-web@wlan0.socket", "kerbstone-web@gadget0.socket",
        "kerbstone-portal@wlan0.socket", "kerbstone-portal@gadget0.socket",
    }  # fmt: skip
    for name, body in found.items():
        (device,) = DEVICE.findall(body)
        assert name.partition("@")[2] == f"{device}.socket"
        assert not device.startswith(NEVER)


def test_a_socket_without_a_drop_in_of_its_interface_listens_nowhere() -> None:
    """systemd refuses such a socket; BindToDevice= takes no %i: it would be ignored."""
    for name in ("kerbstone-web@.socket", "kerbstone-portal@.socket"):
        assert not LISTEN.search(text(name))
        assert not DEVICE.search(text(name))


def test_only_loopback_starts_by_itself_and_the_radio_only_when_somebody_asks() -> None:
    installed = {
        path.name for path in UNITS.iterdir() if path.is_file() and "[Install]" in path.read_text()
    }
    page = {
        name
        for name in installed
        if re.search(r"web|portal|page|door|dhcp|bind|gadget|access", name)
    }
    assert page == {"kerbstone-web@lo.socket", "kerbstone-access-point.path"}


def test_the_proxy_of_an_interface_ends_after_five_minutes_and_the_page_with_the_last_one() -> None:
    assert "--exit-idle-time=5min" in text("kerbstone-web@.service")
    assert "\nStopWhenUnneeded=yes\n" in text("kerbstone-web.service")
    assert "\nRequires=kerbstone-web.service\n" in text("kerbstone-web@.service")
    path = "/run/kerbstone-web/web.sock"
    assert path in text("kerbstone-web@.service")
    assert f"web --socket {path}\n" in text("kerbstone-web.service")


def test_the_addresses_are_those_of_the_label() -> None:
    assert PREFIX == 24
    network = ACCESS_POINT_ADDRESS.rpartition(".")[0]
    assert f"\nEnvironment=NET={network}\n" in text("kerbstone-dhcp@.service")
    other = GADGET_ADDRESS.rpartition(".")[0]
    assert f"\nEnvironment=NET={other}\n" in text("kerbstone-dhcp@gadget0.service.d/address.conf")
    assert f"address replace {GADGET_ADDRESS}/{PREFIX} dev gadget0" in text(
        "kerbstone-gadget.service"
    )


def test_dhcp_offers_no_portal_by_option_114() -> None:
    """Phones want https with a certificate that they trust there: decision 73."""
    assert "114" not in text("kerbstone-dhcp@.service")


def test_secrets_come_as_credentials_of_the_names_that_are_read() -> None:
    folder = "/var/lib/kerbstone-identity"
    assert CREDENTIAL == statefolder.LOGIN
    line = f"\nLoadCredential={CREDENTIAL}:{folder}/{statefolder.LOGIN}\n"
    assert line in text("kerbstone-web.service")
    name = statefolder.ACCESS_POINT
    assert f"\nLoadCredential={name}:{folder}/{name}\n" in text("kerbstone-access-point.service")
    assert statefolder.ACCESS_POINT not in text("kerbstone-web.service"), "it needs no Wi-Fi key"


def test_requests_are_left_where_the_path_unit_looks() -> None:
    spool = f"/run/{accesspointfiles.SPOOL_FOLDER}"
    path = f"\nPathExists={spool}/{accesspointfiles.REQUEST_NAME}\n"
    assert path in text("kerbstone-access-point.path")
    assert f"d {spool} 3770 kerbstone-access-point kerbstone -" in text("kerbstone.tmpfiles")
    for unit in ("kerbstone-access-point.service", "kerbstone-link.service"):
        assert f"ReadWritePaths=-{spool}" in text(unit)
    state = accesspointfiles.STATE_FOLDER
    assert f"\nRuntimeDirectory={state}\n" in text("kerbstone-access-point.service")
    assert f"/run/{state}/{accesspointfiles.INTERFACE_NAME}" in text(
        "kerbstone-access-point.service"
    )


def test_another_interface_gets_its_drop_ins_and_loopback_or_a_path_gets_none(
    tmp_path: Path,
) -> None:
    """The line of the unit itself, run by a shell, in a folder of its own."""
    (line,) = re.findall(r"^ExecStart=(.*)$", text("kerbstone-bind@.service"), re.MULTILINE)
    program, option, script = shlex.split(line.replace("$$", "$").replace("%%", "%"))
    script = script.replace("\\\\n", "\\n")
    (tmp_path / "systemctl").write_text(f"#!/bin/sh\necho $* >>{tmp_path}/asked\n")
    (tmp_path / "systemctl").chmod(0o755)
    system = tmp_path / "system"
    system.mkdir()

    def bind(name: str) -> int:
        moved = script.replace("/run/systemd/system", str(system))
        done = subprocess.run(
            [program, option, moved.replace("/usr/lib/systemd/system", str(UNITS))],
            env={"NAME": name, "PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False, timeout=60,
        )  # fmt: skip
        return done.returncode

    assert bind("eth0") == 0
    made = system / "kerbstone-web@eth0.socket.d/device.conf"
    assert made.read_text() == "[Socket]\nListenStream=0.0.0.0:443\nBindToDevice=eth0\n"
    other = (system / "kerbstone-portal@eth0.socket.d/device.conf").read_text()
    assert "0.0.0.0:80\nBindToDevice=eth0\n" in other
    assert (tmp_path / "asked").read_text() == "daemon-reload\n"
    assert bind("wlan0") == 0, "it is in the package"
    assert {path.name for path in system.iterdir()} == {
        "kerbstone-web@eth0.socket.d", "kerbstone-portal@eth0.socket.d",
    }  # fmt: skip
    for name in ("lo", "../x", "a b", "a\nListenStream=1"):
        assert bind(name) != 0


def test_udev_takes_the_rules_and_the_gadget_has_a_name_of_its_own() -> None:
    code, said = run(
        "udevadm", "verify", "--resolve-names=never", UNITS / "85-kerbstone-gadget.rules"
    )
    assert code == 0, said
    assert "\nName=gadget0\n" in text("10-kerbstone-gadget.link"), "usb0 may be a modem"


NM = "org.freedesktop.NetworkManager.network-control"
UNIT = "org.freedesktop.systemd1.manage-units"
REBOOT = "org.freedesktop.login1.reboot"
POINT = "kerbstone-access-point"


@pytest.mark.parametrize(
    ("rules", "user", "action", "unit", "allowed"),
    [
        ("51", POINT, NM, "", True),
        ("51", "kerbstone", NM, "", False),
        ("51", POINT, REBOOT, "", False),
        ("51", POINT, UNIT, "kerbstone-page@wlan0.target", True),
        ("51", POINT, UNIT, "kerbstone.service", False),
        ("51", POINT, UNIT, "kerbstone-web@eth0.socket", False),
        ("50", "kerbstone-link", UNIT, "kerbstone-web@eth0.socket", True),
        ("50", "kerbstone-link", UNIT, "ssh.service", False),
        ("50", "kerbstone-link", REBOOT, "", True),
        ("50", "kerbstone", REBOOT, "", False),
    ],
)
def test_polkit_allows_what_is_needed_and_no_more(
    rules: str, user: str, action: str, unit: str, allowed: bool
) -> None:
    """The rules, run by another engine of the same language."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not here; apt install nodejs")
    (path,) = UNITS.glob(f"{rules}-*.rules")
    script = (
        "let rule; const polkit = {addRule: (f) => { rule = f; }, "
        "Result: {YES: 'yes', NOT_HANDLED: 'no'}};\n"
        + path.read_text()
        + f"\nconst asked = {{id: {action!r}, "
        + f"lookup: (k) => ({{unit: {unit!r}, verb: 'start'}})[k]}};"
        + f"\nconsole.log(rule(asked, {{user: {user!r}}}) || 'no');"
    )
    done = subprocess.run(
        [node, "-e", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == ("yes" if allowed else "no"), done.stderr
