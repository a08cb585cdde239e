"""The units on a systemd of their own: how long after its start the daemon is let out.

That machine is a set of namespaces with a control group of its own: /run, /opt and /var/lib are
empty there, 192.0.2.1 is the broker's address and 192.0.2.2 is nobody's. The daemon is a program
that tries to get through; its unit, with the kernel's filter, is ours, and so is what opens it.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest

ROOT: Final = Path(__file__).parents[2]
SYSTEMD: Final = "/usr/lib/systemd/systemd"
WAIT_S: Final = 60.0  # for the machine, which may be busy
SOON_S: Final = 9.0  # less than the ten seconds of the timer that once came first
SITE: Final = '[uplink]\nurl = "mqtts://192.0.2.1"\n'
DAEMON: Final = """
import socket, sys, time
began = time.monotonic()
def tried(host):
    try:
        socket.create_connection((host, 8883), 0.2).close()
    except OSError as error:
        return not isinstance(error, (TimeoutError, PermissionError))
    return True
closed = not tried("192.0.2.2")
while not tried("192.0.2.1"):
    time.sleep(0.1)
took_s = time.monotonic() - began
with open("/opt/kerbstone/said/new", "w") as file:
    file.write(f"{took_s} {int(closed and not tried('192.0.2.2'))}")
import os; os.rename("/opt/kerbstone/said/new", "/opt/kerbstone/said/out")
time.sleep(1000)
"""
MACHINE: Final = """
mount --make-rprivate /
for each in /run /opt /var/lib; do mount -t tmpfs tmpfs $each; done
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t tmpfs tmpfs /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
ip addr add 192.0.2.1/32 dev lo
ip addr add 192.0.2.2/32 dev lo
for each in python libraries code said; do mkdir -p /opt/kerbstone/$each; done
mount --bind "$PREFIX" /opt/kerbstone/python
mount --bind "$LIBRARIES" /opt/kerbstone/libraries
mount --bind "$ROOT" /opt/kerbstone/code
mount --bind "$SAID" /opt/kerbstone/said
cp "$SAID"/site.toml "$SAID"/daemon.py /opt/kerbstone/
units=/run/systemd/system
mkdir -p $units/kerbstone.service.d $units/kerbstone-egress.service.d
for each in kerbstone.service kerbstone-egress.service kerbstone-egress.timer; do
    cp "$UNITS/$each" $units
done
cat >$units/street.target <<END
[Unit]
Wants=kerbstone.service kerbstone-egress.timer
Requires=basic.target
After=basic.target
END
cat >$units/kerbstone-egress.service.d/test.conf <<END
[Service]
ExecStart=
ExecStart=/opt/kerbstone/python/bin/$PYTHON -m edge.link --site /opt/kerbstone/site.toml egress
Environment=PYTHONPATH=/opt/kerbstone/code:/opt/kerbstone/libraries PYTHONDONTWRITEBYTECODE=1
END
cat >$units/kerbstone.service.d/test.conf <<END
[Unit]
ConditionPathExists=
[Service]
Type=exec
WatchdogSec=0
ExecStart=
ExecStart=/opt/kerbstone/python/bin/$PYTHON /opt/kerbstone/daemon.py
User=root
Group=root
SupplementaryGroups=
PrivateUsers=no
ConfigurationDirectory=
ReadWritePaths=/opt/kerbstone/said
END
/opt/kerbstone/python/bin/$PYTHON -c '
import socket, time
held = [socket.create_server((host, 8883)) for host in ("192.0.2.1", "192.0.2.2")]
time.sleep(1000)' &
export container=other
exec /usr/lib/systemd/systemd --system --unit=street.target --log-target=console
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group of our own, in which systemd may make others."""
    if os.geteuid() or not Path(SYSTEMD).exists() or not shutil.which("unshare"):
        pytest.skip("needs root, systemd and namespaces")
    rows = [row.split() for row in Path("/proc/self/mounts").read_text().splitlines()]
    tops = [row[1] for row in rows if row[2] == "cgroup2"]
    if not tops:
        pytest.skip("there is no control group of version 2")
    made = Path(tops[0]) / f"kerbstone-test-{os.getpid()}"
    try:
        made.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made: {error}")
    yield made
    for _ in range(100):
        left = sorted(made.rglob("*/"), reverse=True) if made.exists() else []
        for each in [*left, made]:
            try:
                each.rmdir()
            except OSError:
                continue
        if not made.exists():
            return
        time.sleep(0.1)


def booted(group: Path, folder: Path, units: Path) -> tuple[float, bool] | None:
    """Seconds from the daemon's start until it got through, and whether all else was closed."""
    (folder / "site.toml").write_text(SITE)
    (folder / "daemon.py").write_text(DAEMON)
    environment = {
        "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "UNITS": str(units), "SAID": str(folder),
        "PREFIX": sys.base_prefix, "PYTHON": f"python3.{sys.version_info.minor}",
        "LIBRARIES": str(Path(msgspec.__file__).parents[1]), "ROOT": str(ROOT),
    }  # fmt: skip
    inside = ["unshare", "-m", "-n", "-p", "-f", "-C", "-u", "-i", "--kill-child", "--mount-proc"]
    with (folder / "log").open("wb") as log:
        machine = subprocess.Popen(
            ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh", *inside,
             "sh", "-eu", "-c", MACHINE],
            stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        end = time.monotonic() + WAIT_S
        try:
            while not (folder / "out").exists() and machine.poll() is None:
                if time.monotonic() > end:
                    return None
                time.sleep(0.1)
        finally:
            machine.send_signal(signal.SIGKILL)
            machine.wait(20)
    if not (folder / "out").exists():
        pytest.skip(f"systemd does not run here: {(folder / 'log').read_text()[-400:]}")
    took_s, closed = (folder / "out").read_text().split()
    return float(took_s), closed == "1"


def test_the_daemon_is_let_out_at_once_and_only_to_its_broker(group: Path, tmp_path: Path) -> None:
    found = booted(group, tmp_path, ROOT / "systemd")
    assert found is not None, (tmp_path / "log").read_text()[-2000:]
    took_s, closed = found
    if not closed:
        pytest.skip("this kernel does not filter by control group")
    assert took_s < SOON_S, "42 s and more it was, with a timer that has an accuracy and a chance"
