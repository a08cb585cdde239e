"""What a technician with a shell would look at.

Each says what it saw, or raises ImageGuestError.
"""

import re
from collections.abc import Callable
from typing import Final

from tests.image.guest import Guest, ImageGuestError
from tests.image.town import BROKER

# a client of DHCP has a socket too: UDP 68 and 546
LOCAL: Final = re.compile(r"%lo:443$")  # the page, for this machine only
CLIENTS: Final = re.compile(r":(?:68|546)$")
# NAME, and the most that `systemd-analyze security` may say of it
EXPOSED: Final = {
    "kerbstone.service": 1.7,
    "kerbstone-enrol.service": 2.5,
    "kerbstone-proposal.service": 2.5,
    "kerbstone-link.service": 2.0,
    "kerbstone-network.service": 2.5,
    "kerbstone-web.service": 1.7,
    "kerbstone-web@lo.service": 1.7,
}
STEADY: Final = ("kerbstone.service", "kerbstone-link.service", "kerbstone-network.service")
UNIT: Final = "kerbstone.service"


def state(guest: Guest) -> str:
    """systemd has nothing to complain of."""
    said = guest.run("systemctl is-system-running --wait", 300, check=False)
    failed = guest.run("systemctl --failed --no-legend --plain", check=False)
    if said.strip() != "running":
        log = guest.run("journalctl -b -p warning --no-hostname -n 40", 300, check=False)
        raise ImageGuestError(f"the system is {said}; failed: {failed}\n{log}")
    return said.strip()


def steady(guest: Guest) -> str:
    """Our units run, and none of them has been started twice."""
    found = []
    for unit in STEADY:
        wanted = "-p ActiveState,SubState,NRestarts,MemoryCurrent"
        said = guest.run(f"systemctl show {wanted} {unit} | sort", 120)
        fields = dict(row.split("=", 1) for row in said.splitlines() if "=" in row)
        if fields["ActiveState"] != "active" or fields.get("NRestarts", "0") != "0":
            raise ImageGuestError(f"{unit}: {fields}")
        found.append(f"{unit.removesuffix('.service')} {fields['SubState']}")
    return ", ".join(found)


def started(guest: Guest) -> str:
    """How long it took, by its own clock."""
    said = guest.run("systemd-analyze time", 120).splitlines()[0]
    return said.removeprefix("Startup finished in ")


def ports(guest: Guest) -> str:
    """Nothing listens but ssh, for there is a key, and a client's own socket of DHCP."""
    return _only(guest, {"sshd"})


def no_ports(guest: Guest) -> str:
    """Not even that, where there is no key."""
    return _only(guest, set())


def _only(guest: Guest, allowed: set[str]) -> str:
    said = [row for row in guest.run("ss -H -lntup", 120).splitlines() if row.strip()]
    rows = [row for row in said if not LOCAL.search(row.split()[4])]
    others = [row for row in rows if not CLIENTS.search(row.split()[4])]
    open_ = [row for row in others if not any(f'"{name}"' in row for name in allowed)]
    if open_ or bool(others) != bool(allowed):
        raise ImageGuestError("it listens:\n" + "\n".join(others))
    return f"{', '.join(allowed) or 'none'} ({len(rows) - len(others)} of a DHCP client)"


def mounts(guest: Guest) -> str:
    """The root is read-only, and nothing can be written there."""
    root = guest.run("findmnt -n -o OPTIONS /")
    if "ro" not in root.split(","):
        raise ImageGuestError(f"the root is not read-only: {root}")
    for path in ("/usr/x", "/etc/x", "/opt/kerbstone/x"):
        said = guest.run(f"touch {path}", check=False)
        if "Read-only" not in said:
            raise ImageGuestError(f"{path} can be written: {said}")
    data = guest.run("findmnt -n -o OPTIONS /data")
    if "noatime" not in data or "commit=300" not in data:
        raise ImageGuestError(f"/data is mounted with {data}")
    return "root read-only"


def grown(guest: Guest) -> str:
    """The data partition takes all of the card, and so does its file system."""
    disk, part = (int(guest.run(f"cat /sys/class/block/{name}/size")) for name in ("vda", "vda3"))
    start = int(guest.run("cat /sys/class/block/vda3/start"))
    blocks = int(guest.run("stat -f -c '%b' /data")) * int(guest.run("stat -f -c '%S' /data"))
    if disk - start - part > 4096 or blocks < part * 512 * 0.93:
        raise ImageGuestError(f"disk {disk}, partition {part} sectors, file system {blocks} bytes")
    return f"{blocks / 1e6:.0f} MB of a card of {disk * 512 / 1e6:.0f} MB"


def swap(guest: Guest) -> str:
    said = guest.run(
        "swapon --noheadings; ls /var/log/journal 2>/dev/null; ls -d /run/log/journal/*"
    ).split()
    if len(said) != 1:
        raise ImageGuestError(f"swap or a journal on the card: {said}")
    return "no swap, journal in memory"


def watched(guest: Guest) -> str:
    """The board's watchdog would be armed; this machine has none."""
    said = guest.run("systemctl show -p RuntimeWatchdogUSec -p RebootWatchdogUSec --value").split()
    if said != ["15s", "15s"]:
        raise ImageGuestError(f"watchdog: {said}")
    return "15 s"


def memory(guest: Guest) -> str:
    """Of the whole system, and of the daemon."""
    fields = guest.run("free -m | sed -n 2p").split()
    daemon = guest.run(f"systemctl show -p MemoryCurrent --value {UNIT}")
    return f"{fields[2]} of {fields[1]} MB used; {UNIT} {int(daemon) / 1e6:.0f} MB"


def rights(guest: Guest) -> str:
    """Units as they run, drop-ins included."""
    found = []
    for unit, most in EXPOSED.items():
        said = guest.run(f"systemd-analyze security --no-pager {unit} | tail -1", 300)
        level = re.search(r": ([0-9.]+) ", said)
        if level is None or float(level[1]) > most:
            raise ImageGuestError(f"{unit}: {said}; at most {most} is wanted")
        found.append(f"{unit.removesuffix('.service')} {level[1]}")
    return ", ".join(found)


def files(guest: Guest) -> str:
    """The key belongs to root alone, the identity's folder is closed, the daemon cannot read it."""
    said = guest.run(
        "stat -c '%a %U' /data/kerbstone-identity /data/kerbstone-identity/current/key.pem"
    ).split()
    if said != ["700", "root", "600", "root"]:
        raise ImageGuestError(f"the identity is open: {said}")
    shadow = guest.run("grep -vc '^[^:]*:[!*]' /etc/shadow", check=False).strip()
    if shadow != "0":
        raise ImageGuestError(f"{shadow} accounts have a password")
    return "the key is root's, no account has a password"


def journal(guest: Guest) -> str:
    """What our units have said last, when something has gone wrong."""
    try:
        return guest.run("journalctl -u 'kerbstone*' --no-hostname -n 120", 300, check=False)
    except ImageGuestError as error:
        return str(error)


def egress(guest: Guest, broker_port: int) -> str:
    """From the daemon's control group: the broker can be reached, another address cannot."""
    guest.run(_reach("10.0.2.100", 7777))
    inside = f"echo $BASHPID > /sys/fs/cgroup/system.slice/{UNIT}/cgroup.procs; "
    guest.run(inside + _reach(BROKER, broker_port), 300)
    said = guest.run(inside + _reach("10.0.2.100", 7777), 300, check=False)
    # packets are dropped; where the kernel tells, it says that it is not permitted
    if not re.search("(timed out|not permitted)$", said):
        raise ImageGuestError(f"the daemon could talk to 10.0.2.100: {said}")
    return guest.run(
        "cat /run/systemd/system/kerbstone.service.d/*.conf | grep IPAddressAllow"
    ).replace("\n", " ")


def _reach(host: str, port: int) -> str:
    call = f'socket.create_connection(("{host}", {port}), 10).close()'
    return f"python3 -c 'import socket; {call}; print(\"connected\")'"


LOOKS: Final[dict[str, Callable[[Guest], str]]] = {
    "state": state,
    "units": steady,
    "start": started,
    "open ports": ports,
    "mounts": mounts,
    "data": grown,
    "wear": swap,
    "watchdog": watched,
    "memory": memory,
    "exposure": rights,
    "files": files,
}
