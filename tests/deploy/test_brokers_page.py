"""docs/brokers.md, "Set it up" and "Revoke": the commands, run as they stand on a machine.

That machine is a mount and a network namespace: /etc/mosquitto and /var/lib are empty, ports are
free, and `systemctl` starts and reloads the one service that the page speaks of.
"""

import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from deploy.broker import start
from edge.provision import bootstrap
from edge.provision.serverdir import ServerDirectory
from tests.kit.broker import BINARY, SUBSCRIBER, free_port

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs/brokers.md").read_text(encoding="utf-8")
SYSTEMCTL: Final = f"""#!/bin/sh -eu
test "$2" = mosquitto
case $1 in
restart) setsid {BINARY} -c /etc/mosquitto/mosquitto.conf 2>>"$LOG" & echo $! >"$LOG.pid" ;;
reload) kill -HUP "$(cat "$LOG.pid")" ;;
*) exit 2 ;;
esac
"""
MACHINE: Final = """
mount -t tmpfs tmpfs /etc/mosquitto
mount -t tmpfs tmpfs /var/lib
install -d -o mosquitto -g mosquitto /var/lib/mosquitto
ip link set lo up
trap 'kill -9 "$(cat "$LOG.pid")"' EXIT
echo "127.0.0.1 broker.example.org" >"$LOG.hosts"
mount --bind "$LOG.hosts" /etc/hosts
word() {
    for _ in $(seq 600); do grep -q "$1" "$LOG" && return; sleep .05; done
    exit 1
}
hear() {
    timeout 30 mosquitto_sub -h broker.example.org -p 8884 -V 5 -q 1 -t 'kerbstone/#' -E \\
        --cafile keys/ca.crt --cert keys/platform.crt --key keys/platform.key
}
"""
HEARD: Final = """
word ' running'
kerbstone provision issue platform platform --out keys
hear
echo heard
"""
REFUSED: Final = """
word 'Reloading config'
hear 2>&1 || echo refused
openssl crl -in /etc/mosquitto/kerbstone/crl.pem -noout -nextupdate
ls -l /etc/mosquitto/kerbstone
"""


def usable() -> bool:
    """Whether namespaces may be made here, and all programs are there."""
    words = ["unshare", "-m", "-n", "sh", "-c", "mount -t tmpfs t /var/lib && ip link set lo up"]
    here = all(shutil.which(each) for each in ("unshare", "ip", "openssl"))
    client = Path(SUBSCRIBER).exists() and Path("/etc/mosquitto").is_dir()
    return (
        here and client and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_the_command_for_more_gateways_changes_two_lines_and_mosquitto_takes_them(
    tmp_path: Path,
) -> None:
    (command,) = re.findall(r"^sed .*$", PAGE, re.MULTILINE)
    made = start.configure(tmp_path, (free_port(), free_port(), free_port()))
    before = made.read_text().splitlines()
    told = command.replace("/etc/mosquitto/mosquitto.conf", str(made))
    subprocess.run(["sh", "-euc", told], check=True)
    after = made.read_text().splitlines()
    changed = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert changed == [
        ("autosave_on_changes true", "autosave_on_changes false"),
        ("autosave_interval 1", "autosave_interval 300"),
    ]


@pytest.mark.skipif(not usable(), reason="needs root, namespaces and mosquitto")
def test_the_commands_of_the_page_make_a_broker_that_lets_in_and_refuses(tmp_path: Path) -> None:
    found = re.search(r"```sh\n(.*?)```", section("Set it up"), re.DOTALL)
    assert found
    # the sentence of "Revoke", for the program that this machine has
    acts = [each.replace("\n", " ") for each in re.findall(r"`([^`]+)`", section("Revoke"))][:3]
    assert [each.split()[:3] for each in acts] == [
        ["kerbstone", "provision", "revoke"], ["kerbstone", "provision", "broker"],
        ["systemctl", "reload", "mosquitto"],
    ]  # fmt: skip
    revoke = "\n".join(acts).replace("gw-0001", "platform")

    programs, desk, home = (tmp_path / each for each in ("programs", "desk", "home"))
    for each in (programs, desk):
        each.mkdir()
    (desk / "deploy").symlink_to(ROOT / "deploy")
    bootstrap.bootstrap_server(ServerDirectory(home), "Test CA", ["localhost"], datetime.now(UTC))
    kerbstone = f'#!/bin/sh\nexec {sys.executable} -m edge.cli.main "$@"\n'
    for name, text in {"kerbstone": kerbstone, "systemctl": SYSTEMCTL}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = {
        **os.environ, "PATH": f"{programs}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "PYTHONPATH": str(ROOT), "KERBSTONE_PROVISION": str(home), "LOG": str(tmp_path / "log"),
    }  # fmt: skip
    script = "\n".join((MACHINE, found[1], HEARD, revoke, REFUSED))
    done = subprocess.run(
        ["unshare", "-m", "-n", "sh", "-eu", "-c", script], capture_output=True, text=True,
        env=environment, cwd=desk, timeout=120, check=False,
    )  # fmt: skip
    log = (tmp_path / "log").read_text()
    assert done.returncode == 0, f"{done.stdout}{done.stderr}{log}"
    assert "\nheard\n" in done.stdout
    assert re.search(r"^refused$", done.stdout, re.MULTILINE), done.stdout
    assert "nextUpdate=" in done.stdout
    assert "-rw-r----- 1 root mosquitto" in done.stdout, "the broker reads its key, others do not"
    assert "certificate verify failed" in log
