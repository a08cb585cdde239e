"""Listens on a serial port that does not work, and says what is wrong. It writes nothing."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from drivers.buses.finding import Finding, fault
from drivers.buses.host import (
    find_holder,
    kernel_consoles,
    list_names,
    login_on,
    look_up_node,
    read_text,
)
from drivers.buses.pseudoterminal import pty_finding
from drivers.buses.serial_port import SerialPort
from drivers.buses.serial_trouble import (
    UartCounters,
    bytes_finding,
    counter_findings,
    host_findings,
    other_settings,
    silent,
    speaks_note,
    unasked_finding,
)
from edge.core import BusError, Framer

LIMIT: Final = 16_384  # bytes looked at
SLICE_NS: Final = 100_000_000


def check_port(port: str, ours: bool = False) -> list[Finding]:
    """What the machine says about a port, without opening it; `ours`: this process has it open."""
    if (stranger := pty_finding(port)) is not None:
        return [stranger]
    tty = look_up_node(port)
    return host_findings(
        tty,
        kernel_consoles(read_text(Path("/proc/cmdline"))),
        login_on(tty.number),
        None if ours else find_holder(tty.path),
        list_names("/dev/serial/by-id"),
    )


async def diagnose(
    port: SerialPort,
    cut: Framer | None = None,
    listen_s: float = 2.5,
    search: Sequence[str] = (),
) -> list[Finding]:
    """What is wrong with this port, or with a device on it that talks by itself.

    It writes nothing. `cut` finds that device's frames; without it, whatever comes is too much.
    When bytes come and no frame is among them, it listens as long (seconds) at each of the settings
    in `search`, such as "2400 8E1". The port is closed afterwards.
    """
    findings = check_port(port.port, ours=port.is_open)
    if any(found.severity == "fault" for found in findings):
        port.close()
        return findings
    try:
        heard, counted = await listen_port(port, listen_s)
        count = count_frames(heard, cut) if cut is not None else 0
        findings += _findings(port, heard, counted, count, cut, listen_s)
        if cut is not None and heard and not count:
            findings += await _search(port, cut, listen_s, search)
    except BusError as error:
        findings.append(fault(str(error)))
    finally:
        port.close()
    return findings


def _findings(
    port: SerialPort,
    heard: bytes,
    counted: UartCounters,
    count: int,
    cut: Framer | None,
    listen_s: float,
) -> list[Finding]:
    port_findings = counter_findings(port.port, port.settings, counted)
    if count:
        return [*port_findings, speaks_note(port.port, port.settings, count)]
    if not heard:
        return (
            port_findings
            if cut is None or port_findings
            else [silent(port.port, port.settings, listen_s)]
        )
    if cut is None:
        return [*port_findings, unasked_finding(port.port, heard)]
    return port_findings or bytes_finding(port.port, port.settings, heard)


async def _search(
    port: SerialPort, cut: Framer, listen_s: float, search: Sequence[str]
) -> list[Finding]:
    port.close()
    for settings in search:
        other = port.at(port.port, settings)
        try:
            if count_frames((await listen_port(other, listen_s))[0], cut):
                return [other_settings(port.port, port.settings, settings)]
        finally:
            other.close()
    return []


async def listen_port(port: SerialPort, listen_s: float) -> tuple[bytes, UartCounters]:
    """What comes within so many seconds, and what the UART counted meanwhile. Raises BusError."""
    port.drain()
    before, heard = port.counters(), b""
    until_ns = time.monotonic_ns() + int(listen_s * 1e9)
    while (now_ns := time.monotonic_ns()) < until_ns:
        heard = (heard + port.read(min(until_ns, now_ns + SLICE_NS)))[-LIMIT:]
        await asyncio.sleep(0)
    return heard, port.counters().since(before)


def count_frames(heard: bytes, cut: Framer) -> int:
    """How many frames a cut finds."""
    count = 0
    while heard:
        found, done = cut(heard)
        if found is None and done <= 0:
            break
        count += found is not None
        heard = heard[max(done, 1) :]
    return count
