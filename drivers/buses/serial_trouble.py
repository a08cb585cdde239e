"""What is wrong with a serial port, from what was observed: sentences with a remedy. No wire here.

Source: tty_ioctl(4) TIOCGICOUNT; Linux include/uapi/linux/serial.h; Modbus over serial line V1.02.
"""

import errno
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drivers.buses.finding import Finding, fault, note, warning
from drivers.buses.host import DeviceNode, NodeUser

COUNTERS: Final = struct.Struct("=20i")  # struct serial_icounter_struct
ENOUGH: Final = 8  # bytes below which nothing is concluded from them
MOST: Final = 0.8  # of the bytes
CONSOLE_REMEDY: Final = (
    "take the login console off: raspi-config, Interface Options, Serial Port (login shell: no,"
    " hardware: yes), or remove console= from cmdline.txt and disable serial-getty@{tty}; restart"
)


@dataclass(frozen=True, slots=True)
class UartCounters:
    """What the UART has counted since it was opened first: events, not bytes lost."""

    received: int = 0
    framing: int = 0
    overrun: int = 0
    parity: int = 0
    breaks: int = 0

    @classmethod
    def parse(cls, data: bytes) -> "UartCounters":
        """From what TIOCGICOUNT gives."""
        found = COUNTERS.unpack(data)
        return cls(found[4], found[6], found[7] + found[10], found[8], found[9])

    def since(self, before: "UartCounters") -> "UartCounters":
        """What was added since then."""
        return UartCounters(
            self.received - before.received,
            self.framing - before.framing,
            self.overrun - before.overrun,
            self.parity - before.parity,
            self.breaks - before.breaks,
        )


# --- opening it -----------------------------------------------------------------------------------


def not_opened(port: str, settings: str, error: Exception, group: str = "dialout") -> Finding:
    """Why a port does not open."""
    code = getattr(error, "errno", None)
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return fault(f"{port} is not there", "plug the adapter in; /dev/serial/by-id has its name")
    if code in (errno.EACCES, errno.EPERM):
        return fault(
            f"no permission for {port}",
            f"add the user to the group {group} (usermod -aG {group} USER) and start again",
        )
    if code in (errno.EBUSY, errno.EAGAIN):
        return fault(
            f"{port} is in use by another program",
            "end that program, because a line can have only one master"
            " (on a Raspberry Pi the login console may hold it)",
        )
    return fault(f"{port} cannot be opened at {settings}: {error}")


def host_findings(
    found: DeviceNode,
    kernel_consoles: Sequence[str] = (),
    login: NodeUser | None = None,
    holder: NodeUser | None = None,
    present: Sequence[str] = (),
) -> list[Finding]:
    """What the machine says before anything is opened. `present` are the ports that there are."""
    if not found.present:
        remedy = "plug the adapter in"
        remedy += f", or use one of these: {', '.join(present)}" if present else ""
        return [fault(f"{found.name} is not there", remedy)]
    findings = []
    tty = found.path.removeprefix("/dev/")
    if tty in kernel_consoles:
        findings.append(_kernel_talks(found.name, tty))
    if login is not None:
        text = f"{login} uses {found.name} as its terminal, and takes its bytes for typed text"
        findings.append(fault(text, CONSOLE_REMEDY.format(tty=tty)))
    elif holder is not None:
        text = f"{holder} has {found.name} open"
        findings.append(fault(text, "end that program, because a line can have only one master"))
    if not found.usable:
        text = f"no permission for {found.name}, which belongs to the group {found.group}"
        remedy = f"add the user to it (usermod -aG {found.group} USER) and start again"
        findings.append(fault(text, remedy))
    return findings


def console_finding(found: DeviceNode, kernel_consoles: Sequence[str]) -> str:
    """Says it when the kernel writes its messages to this port; "" when it does not."""
    tty = found.path.removeprefix("/dev/")
    return str(_kernel_talks(found.name, tty)) if tty in kernel_consoles else ""


def _kernel_talks(name: str, tty: str) -> Finding:
    text = f"the kernel writes its messages to {name} (console={tty})"
    return fault(text, CONSOLE_REMEDY.format(tty=tty))


# --- what came ------------------------------------------------------------------------------------


def counter_findings(port: str, settings: str, found: UartCounters) -> list[Finding]:
    """What the UART itself says about the bytes of the last seconds.

    A few damaged ones among many that are sound are an accident, and no setting's fault.
    """
    findings = []
    if found.breaks > max(2, found.received // 10):
        findings.append(
            fault(
                f"{port}: the line is held low ({found.breaks} breaks)",
                "swap A and B; if it stays, look for a short, and whether the adapter has bias"
                " resistors",
            )
        )
    elif found.framing and found.framing >= found.received // 20:
        findings.append(
            fault(
                f"{port}: {found.framing} of {found.received} bytes have no stop bit at {settings}",
                "set the device's baud rate, parity and stop bits here (9600, 19200 and 2400 are"
                " the usual rates); if that does not help, swap A and B",
            )
        )
    elif found.parity and found.parity >= found.received // 20:
        findings.append(
            fault(
                f"{port}: {found.parity} of {found.received} bytes have the wrong parity"
                f" at {settings}",
                "set another parity (N, E or O): the baud rate is right",
            )
        )
    if found.overrun:
        text = f"{port}: {found.overrun} bytes were lost before this program could read them"
        remedy = "look what else loads this machine, or use an adapter whose UART has a FIFO"
        findings.append(warning(text, remedy))
    return findings


def bytes_finding(port: str, settings: str, heard: bytes) -> list[Finding]:
    """What bytes in which no frame was found look like."""
    if len(heard) < ENOUGH:
        return []
    share = _share(heard, b"\x00")
    if share >= MOST:
        return [
            fault(
                f"{port}: {share:.0%} of the bytes are zeros: the line is held low",
                "swap A and B; if it stays, check the device's supply, and the wire for a short",
            )
        ]
    seven = parity_of_seven_bits(heard)
    if seven and f"7{seven}" not in settings:
        return [
            fault(
                f"{port}: the bytes at {settings} are text of seven bits with parity {seven}",
                f"set bits = 7 and parity = {seven!r}: the device speaks 7{seven}1",
            )
        ]
    return [
        fault(
            f"{port}: {len(heard)} bytes came at {settings}, and no frame is in them"
            f" ({heard[:12].hex(' ')} ...)",
            "set the device's baud rate and parity here, check that A and B are not swapped, and"
            " that the driver is the one for this device",
        )
    ]


def silent(port: str, settings: str, listen_s: float, asked: bool = False) -> Finding:
    """Nothing came from a device that was asked, or that should talk by itself."""
    text = f"{port}: nothing came within {listen_s:g} s at {settings}"
    if asked:
        remedy = (
            "check that the device has supply and this address, that baud rate and parity are"
            " right, and that A and B (or TX and RX) are not swapped"
        )
    else:
        remedy = "check its supply, that its TX is on our RX, and whether it sends only when asked"
    return warning(text, remedy)


def damaged(port: str, settings: str, heard: bytes, count: int, counted: UartCounters) -> str:
    """Why no frame is among the `count` bytes that came; `heard` are some of them."""
    found = counter_findings(port, settings, counted) or bytes_finding(port, settings, heard)
    if found:
        return str(found[0])
    return (
        f"{port}: {count} bytes came, and no whole frame among them; check whether {settings} is"
        " right, then shield, terminator, and cables beside power lines"
    )


def unasked_finding(port: str, heard: bytes) -> Finding:
    """Bytes came while everybody on the line should wait to be asked."""
    return warning(
        f"{port}: {len(heard)} bytes came that nobody asked for ({heard[:12].hex(' ')})",
        "disconnect what talks by itself on this line, or is another master",
    )


def parity_of_seven_bits(heard: bytes) -> str:
    """E or O when all of it is text of seven bits with that parity in the eighth; "" when not.

    Pure ASCII is not told apart from 8N1: it has no parity bit to be seen.
    """
    plain = bytes(byte & 0x7F for byte in heard)
    text = sum(0x20 <= byte < 0x7F or byte in b"\r\n\t\x02\x03" for byte in plain)
    if text < MOST * len(heard) or not any(byte & 0x80 for byte in heard):
        return ""
    odd = sum(byte.bit_count() & 1 for byte in heard)
    return "E" if odd == 0 else "O" if odd == len(heard) else ""


def other_settings(port: str, settings: str, found: str) -> Finding:
    """It was understood at other settings than those of the configuration."""
    text = f"{port}: the device speaks {found}, and the configuration says {settings}"
    return fault(text, f"set {found} in the configuration (or {settings} in the device)")


def speaks_note(port: str, settings: str, count: int) -> Finding:
    """All is well."""
    return note(f"{port}: {count} whole frames came at {settings}")


def _share(data: bytes, of: bytes) -> float:
    return sum(byte in of for byte in data) / len(data)
