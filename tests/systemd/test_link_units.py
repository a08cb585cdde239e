"""The units of the link, and the daemon's exposure, judged by systemd's own tools."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
LIMITS = {
    "kerbstone.service": 17,
    "kerbstone-link.service": 17,
    "kerbstone-network.service": 17,
    "kerbstone-claim.service": 17,
    "kerbstone-enrol.service": 20,  # root, and a server that may be anywhere
    "kerbstone-renew.service": 20,
    "kerbstone-config.service": 15,  # root, without a network
    "kerbstone-egress.service": 25,  # root with a network, for the blink of an eye
}


def run(name: str, *arguments: str | Path) -> tuple[int, str]:
    program = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
    if program is None:
        pytest.skip(f"{name} is not here; apt install systemd")
    command = [program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("unit", "limit"), LIMITS.items())
def test_exposure(unit: str, limit: int) -> None:
    code, text = run(
        "systemd-analyze", "security", "--offline=true", f"--threshold={limit}", UNITS / unit
    )
    assert code == 0, text[-200:]


def lines(unit: str, key: str) -> list[str]:
    text = (UNITS / unit).read_text(encoding="utf-8")
    found = re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)
    return [word for each in found for word in each.split()]


def test_the_way_out_opens_with_the_daemon_and_waits_for_no_network_and_no_timer() -> None:
    """Ten seconds of a timer, up to a minute by chance, and the network's target came before it:
    so long the daemon reached nobody after each boot."""
    egress = "kerbstone-egress.service"
    assert egress in lines("kerbstone.service", "Wants")
    assert egress not in lines("kerbstone.service", "After"), "and the daemon does not wait for it"
    waits = [*lines(egress, "After"), *lines(egress, "Wants"), *lines(egress, "Requires")]
    assert not [each for each in waits if each.startswith("network")]
    assert lines(egress, "Restart") == ["on-failure"], "names are asked for again"
    assert lines(egress, "RestartSec") == ["2s"]
    assert lines(egress, "StartLimitIntervalSec") == ["0"], "and it never gives up"


def test_users_and_groups_are_made_in_a_root(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    code, text = run("systemd-sysusers", f"--root={tmp_path}", UNITS / "kerbstone.sysusers")
    assert code == 0, text
    users = (tmp_path / "etc/passwd").read_text().splitlines()
    found = {line.split(":")[0]: line.split(":")[3] for line in users}
    assert found["kerbstone-link"] == found["kerbstone"], "the same group"


def test_udev_takes_the_rules() -> None:
    code, text = run(
        "udevadm", "verify", "--resolve-names=never", UNITS / "61-kerbstone-link.rules"
    )
    assert code == 0, text
