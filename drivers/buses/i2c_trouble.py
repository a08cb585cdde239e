"""What is wrong with an I2C bus, from what was observed: sentences with a remedy. No wire here.

Source: Linux Documentation/i2c/fault-codes.rst; i2c-dev of the kernel for what it refuses.
"""

import errno
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from drivers.buses.finding import Finding, fault, note
from drivers.buses.host import DeviceNode, NodeUser, board_config
from edge.core import Reason

SIM: Final = "sim:"  # before the path of a simulator's socket
NACKS: Final = frozenset({errno.ENXIO, errno.EREMOTEIO})  # nobody acknowledged
ENABLED: Final = ("dtparam=i2c_arm=on", "dtparam=i2c=on", "dtoverlay=i2c")


def errno_reason(code: int | None) -> Reason:
    """What an error number of the kernel means for the points."""
    return Reason.BUSY if code in (errno.EBUSY, errno.EAGAIN) else Reason.SILENT


def opening_trouble(path: str, error: OSError) -> str:
    """Why a bus could not be opened, and what to do."""
    if path.startswith(SIM):
        return f"{path}: no simulator there ({error.strerror or error}); start it first"
    match error.errno:
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            return (
                f"{path} is not there: enable I2C (raspi-config, or dtparam=i2c_arm=on in"
                " config.txt) and load i2c-dev; ls /dev/i2c-* shows the buses"
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"no permission for {path}: add the user to the group i2c"
                " (usermod -aG i2c USER) and start again"
            )
        case errno.EBUSY:
            return f"{path} is in use by another program: end that program"
        case errno.ENOTTY:
            return f"{path} is no I2C bus"
    return f"{path} cannot be opened: {error.strerror or error}"


def transfer_trouble(
    path: str, address: int, error: OSError, heard: Collection[int] | None = None
) -> str:
    """Why a transfer failed, and what to do. `heard` are the addresses that have answered."""
    match error.errno:
        case errno.ENXIO | errno.EREMOTEIO:
            return f"no device answers at 0x{address:02x} on {path}: {_where(address, heard)}"
        case errno.ETIMEDOUT:
            return (
                f"{path} is stuck: a device holds SCL or SDA low, or pull-ups are missing;"
                " switch the sensors off and on"
            )
        case errno.EAGAIN:
            return f"{path}: another master sent at the same time, or there is noise on SDA"
        case errno.EBUSY:
            return f"{path} is busy: a kernel driver or another program uses 0x{address:02x}"
        case errno.EIO:
            return f"{path}: the transfer with 0x{address:02x} broke off: check wiring and length"
        case errno.EINVAL | errno.EOPNOTSUPP:
            return f"{path}: the adapter refuses this kind of transfer with 0x{address:02x}"
        case errno.ENODEV | errno.EBADF | errno.ESHUTDOWN | errno.EPIPE | errno.ECONNRESET:
            return f"{path} is gone: its adapter was unplugged or its driver removed"
    return f"{path}: transfer with 0x{address:02x} failed: {error.strerror or error}"


def _where(address: int, heard: Collection[int] | None) -> str:
    """Where to look first when somebody does not acknowledge."""
    if heard is None:
        return "check wiring, supply and address (i2cdetect -y shows which devices are there)"
    if address in heard:
        return "it answered before; check its plug, its wiring and its supply"
    if heard:
        others = format_addresses(heard)
        if len(heard) == 1:
            return f"{others} on the same wires answers; check its address, wiring and supply"
        return f"{others} on the same wires answer; check its address, wiring and supply"
    return (
        "no device on this bus has answered yet; check wiring (SDA and SCL swapped?), supply,"
        " pull-ups and address"
    )


def format_addresses(found: Collection[int]) -> str:
    """As people write them: 0x44, 0x69."""
    return ", ".join(f"0x{address:02x}" for address in sorted(found))


# --- before and after a walk over the addresses ---------------------------------------------------


def host_findings(
    found: DeviceNode,
    present: Sequence[str],
    config: tuple[str, str] | None,
    holder: NodeUser | None,
) -> list[Finding]:
    """What the machine says of a bus before it is opened. `present` are those that there are."""
    if not found.present:
        remedy = "load i2c-dev (modprobe i2c-dev)"
        remedy += f", or use one of these: {', '.join(present)}" if present else ""
        if config is not None and not _enabled(config[1]):
            remedy = f"write dtparam=i2c_arm=on into {config[0]} and restart"
        return [fault(f"{found.name} is not there", remedy)]
    if not found.usable:
        text = f"no permission for {found.name}, which belongs to the group {found.group}"
        remedy = f"add the user to it (usermod -aG {found.group} USER) and start again"
        return [fault(text, remedy)]
    if holder is not None:  # transfers of two programs do not mix, their conversations do
        text = f"{holder} has {found.name} open, too"
        return [Finding("warning", text, "end that program, unless it uses other devices only")]
    return []


def _enabled(config: str) -> bool:
    return any(line.strip().startswith(ENABLED) for line in config.splitlines())


def walk_findings(
    path: str, heard: AbstractSet[int], silent: Mapping[str, Sequence[int]]
) -> list[Finding]:
    """Who answered the walk, and what that means for the devices that are `silent`.

    Each of them is a name with its address first, then the others that its kind can have.
    """
    findings = []
    for name, (address, *others) in silent.items():
        if address in heard:
            text = f"{name}: a device answers at 0x{address:02x} on {path}, but not as it should"
            remedy = "it is another kind of chip, or was just switched on (then try again)"
            findings.append(fault(text, remedy))
            continue
        elsewhere = sorted(heard & set(others))
        if elsewhere:
            text = f"{name}: no device answers at 0x{address:02x} on {path}, but one answers at"
            remedy = (
                f"set address = 0x{elsewhere[0]:02x}, or set its address pin to the other level"
            )
            findings.append(
                fault(
                    f"{text} {format_addresses(elsewhere)}, an address that this kind can have",
                    remedy,
                )
            )
        else:
            text = f"{name}: no device answers at 0x{address:02x} on {path}"
            findings.append(fault(text, _where(address, heard)))
    if heard:
        findings.append(note(f"{path}: {format_addresses(heard)} answer"))
    elif not silent:
        findings.append(
            note(f"{path}: no device answers a read without a command", "some sensors never do")
        )
    return findings


def host_facts() -> tuple[list[str], tuple[str, str] | None]:
    """The buses that there are, and a Raspberry Pi's settings."""
    return sorted(str(path) for path in Path("/dev").glob("i2c-*")), board_config()
