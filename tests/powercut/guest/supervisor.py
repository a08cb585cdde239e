"""Runs in the guest in place of systemd: checks and mounts the disk, starts the daemon, moves the
wires, and tells the rig what the daemon calls durable.

It talks over ttyS1, a line of JSON each. It says `{"ready": ...}` once all is warm; the rig may
then keep the whole machine in a file, and begin each cycle from there: `{"go": {...}}` is the
moment at which the power comes. Only then the disk is read for the first time.
"""

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import tty
from itertools import count
from pathlib import Path
from typing import Any, Final

from tests.kernel.guest.bank import Bank

PORT: Final = "/dev/ttyS1"
DISK: Final = "/dev/vdc"
DATA, RUN, WARM = Path("/srv"), Path("/run/kerbstone"), Path("/tmp/warm")
BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
RESEED: Final = 0x5207  # RNDRESEEDCRNG
LINES: Final = ("lead", "trail", "heat")
TICK_S: Final = 0.02
VEHICLE_S, PULSE_S = 2.0, 0.7
WARM_S: Final = 240.0
TAIL: Final = 1500
GOOD_FSCK: Final = 1  # e2fsck: 0 nothing, 1 corrected


class Port:
    """Lines to and from the rig."""

    def __init__(self) -> None:
        self._fd = os.open(PORT, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._fd, termios.TCSANOW)
        self._rest = b""

    def say(self, **what: Any) -> None:
        data = json.dumps(what).encode() + b"\n"
        while data:
            data = data[os.write(self._fd, data) :]

    def hear(self, wait_s: float) -> dict[str, Any] | None:
        """The next line within that time."""
        if b"\n" not in self._rest:
            if not select.select([self._fd], [], [], wait_s)[0]:
                return None
            self._rest += os.read(self._fd, 65536)
        if b"\n" not in self._rest:
            return None
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found


class Wires:
    """Vehicles over a pair of loops and pulses of a meter, for ever."""

    def __init__(self) -> None:
        self._bank = Bank(LINES)
        self.chip = self._bank.path
        self._bank.pull("heat", True)
        self._due: list[tuple[float, str, bool]] = []
        self._next = {"lead": 0.0, "heat": 0.0}

    def move(self) -> None:
        """What is due by now."""
        now_s = time.monotonic()
        if now_s >= self._next["lead"]:
            self._next["lead"] = now_s + VEHICLE_S
            self._due += [
                (now_s, "lead", True), (now_s + 0.3, "trail", True),
                (now_s + 0.5, "lead", False), (now_s + 0.8, "trail", False),
            ]  # fmt: skip
        if now_s >= self._next["heat"]:
            self._next["heat"] = now_s + PULSE_S
            self._due += [(now_s, "heat", False), (now_s + 0.1, "heat", True)]
        self._due.sort()
        while self._due and self._due[0][0] <= now_s:
            _, line, high = self._due.pop(0)
            self._bank.pull(line, high)


class Daemon:
    """`kerbstone run`, or what else the rig names."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, *command], stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )

    def ended(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def tail(self) -> str:
        return self._log.read_text(errors="replace")[-TAIL:]


def high_water(folder: Path) -> tuple[int, int] | None:
    """Epoch and how many of its numbers are durable, by the daemon's own word."""
    try:
        epoch, given = (folder / "highwater").read_text("ascii").split()[:2]
        return int(epoch), int(given)
    except (OSError, ValueError):
        return None


def ask_status() -> dict[str, Any]:
    """What the daemon says of its outbox; empty while it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(5.0)
            asking.connect(str(RUN / "control.sock"))
            asking.sendall(b'{"v": 1, "verb": "status"}\n')
            answer = b""
            while not answer.endswith(b"\n"):
                piece = asking.recv(65536)
                if not piece:
                    return {}
                answer += piece
        outbox = json.loads(answer).get("outbox") or {}
        return {key: outbox.get(key) for key in ("rows", "confirmed", "in_memory")}
    except (OSError, ValueError):
        return {}


def warm(site: str) -> float:
    """Let the daemon run once on a disk in memory: from then on all its files are in memory."""
    began = time.monotonic()
    WARM.mkdir()
    file = WARM / "site.toml"
    file.write_text(site)
    daemon = Daemon(["-m", "edge.cli.main", "run", str(file)], WARM / "log")
    while high_water(WARM) is None and time.monotonic() - began < WARM_S:
        if daemon.ended() is not None:
            raise RuntimeError(f"the daemon ends when it is warmed up: {daemon.tail()}")
        time.sleep(0.1)
    daemon.stop()
    daemon._process.wait(60)
    subprocess.run(["rm", "-rf", str(WARM)], check=True)
    return time.monotonic() - began


def power_is_there(go: dict[str, Any]) -> None:
    """What a boot gives: another boot, other chance, the time."""
    if go["boot_id"]:
        file = Path("/run/boot_id")
        file.write_text(f"{go['boot_id']}\n")
        subprocess.run(["mount", "--bind", str(file), BOOT_ID], check=True)
        with Path("/dev/urandom").open("wb", buffering=0) as chance:
            chance.write(bytes.fromhex(go["chance"]))
            fcntl.ioctl(chance, RESEED)
    time.clock_settime(time.CLOCK_REALTIME, go["wall_s"])


def mount_disk() -> dict[str, Any]:
    """As systemd does it: e2fsck -p, and what that cannot mend -y."""
    checked = subprocess.run(["e2fsck", "-p", DISK], capture_output=True, text=True, check=False)
    found: dict[str, Any] = {"fsck": checked.returncode, "said": checked.stdout[-300:]}
    if checked.returncode > GOOD_FSCK:
        full = subprocess.run(["e2fsck", "-fy", DISK], capture_output=True, text=True, check=False)
        found |= {"repaired": full.returncode, "said": full.stdout[-300:]}
    mounted = subprocess.run(
        ["mount", "-t", "ext4", DISK, str(DATA)], capture_output=True, text=True, check=False
    )
    found["mounted"] = mounted.returncode == 0
    if mounted.returncode:
        found["said"] = mounted.stderr[-300:]
    return found


def cycle(port: Port, wires: Wires, go: dict[str, Any]) -> None:
    """Until the power goes, or the rig says stop."""
    power_is_there(go)
    found = mount_disk()
    port.say(disk=found)
    if not found["mounted"]:
        signal.pause()
    RUN.mkdir()
    site = Path("/run/site.toml")
    site.write_text(go["site"])
    daemon = Daemon([*go["command"], "run", "-v", str(site)], Path("/run/daemon.log"))
    told: tuple[int, int] | None = None
    for turn in count():
        wires.move()
        if (now := high_water(RUN)) is not None and now != told:
            told = now
            port.say(given=now)
        if (code := daemon.ended()) is not None:
            port.say(ended=code, log=daemon.tail())
            subprocess.run(["umount", str(DATA)], check=False)
            signal.pause()
        asked = port.hear(TICK_S)
        if asked is not None and "stop" in asked:
            daemon.stop()
        elif asked is not None and "log" in asked:
            port.say(log=daemon.tail(), turn=turn)
        elif asked is not None:
            port.say(outbox=ask_status())


def main() -> None:
    port = Port()
    wires = Wires()
    site = Path("/mnt/warm.toml").read_text()
    port.say(ready=warm(site), chip=wires.chip)
    while (asked := port.hear(3600.0)) is None or "go" not in asked:
        pass
    cycle(port, wires, asked["go"])


if __name__ == "__main__":
    main()
