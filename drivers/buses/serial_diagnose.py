"""Listens on a serial port that does not work, and says what is wrong. It writes nothing."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drivers.buses.finding import Finding, fault
from drivers.buses.host import consoles, holder, names, node, on_terminal, text
from drivers.buses.serial_trouble import (
    Counters,
    of_bytes,
    of_counters,
    of_host,
    other_settings,
    silent,
    speaks,
    unasked,
)
from edge.core import BusError, Cut

if TYPE_CHECKING:
    from drivers.buses.serial_port import SerialPort

LIMIT: Final = 16_384  # bytes looked at
SLICE_NS: Final = 100_000_000


def look(port: str, ours: bool = False) -> list[Finding]:
    """What the machine says about a port, without opening it; `ours`: this process has it open."""
    tty = node(port)
    return of_host(
        tty,
        consoles(text(Path("/proc/cmdline"))),
        on_terminal(tty.number),
        None if ours else holder(tty.path),
        names("/dev/serial/by-id"),
    )


async def diagnose(
    port: "SerialPort", cut: Cut | None, listen_s: float, search: Sequence[str]
) -> list[Finding]:
    """As `SerialPort.diagnose` says."""
    findings = look(port.port, ours=port.is_open)
    if any(found.severity == "fault" for found in findings):
        port.close()
        return findings
    try:
        heard, counted = await listen(port, listen_s)
        count = frames(heard, cut) if cut is not None else 0
        findings += _judge(port, heard, counted, count, cut, listen_s)
        if cut is not None and heard and not count:
            findings += await _search(port, cut, listen_s, search)
    except BusError as error:
        findings.append(fault(str(error)))
    finally:
        port.close()
    return findings


def _judge(
    port: "SerialPort",
    heard: bytes,
    counted: Counters,
    count: int,
    cut: Cut | None,
    listen_s: float,
) -> list[Finding]:
    port_findings = of_counters(port.port, port.settings, counted)
    if count:
        return [*port_findings, speaks(port.port, port.settings, count)]
    if not heard:
        return (
            port_findings
            if cut is None or port_findings
            else [silent(port.port, port.settings, listen_s)]
        )
    if cut is None:
        return [*port_findings, unasked(port.port, heard)]
    return port_findings or of_bytes(port.port, port.settings, heard)


async def _search(
    port: "SerialPort", cut: Cut, listen_s: float, search: Sequence[str]
) -> list[Finding]:
    port.close()
    for settings in search:
        other = port.at(port.port, settings)
        try:
            if frames((await listen(other, listen_s))[0], cut):
                return [other_settings(port.port, port.settings, settings)]
        finally:
            other.close()
    return []


async def listen(port: "SerialPort", listen_s: float) -> tuple[bytes, Counters]:
    """What comes within so many seconds, and what the UART counted meanwhile. Raises BusError."""
    port.drain()
    before, heard = port.counters(), b""
    until_ns = time.monotonic_ns() + int(listen_s * 1e9)
    while (now_ns := time.monotonic_ns()) < until_ns:
        heard = (heard + port.read(min(until_ns, now_ns + SLICE_NS)))[-LIMIT:]
        await asyncio.sleep(0)
    return heard, port.counters().since(before)


def frames(heard: bytes, cut: Cut) -> int:
    """How many frames a cut finds."""
    count = 0
    while heard:
        found, done = cut(heard)
        if found is None and done <= 0:
            break
        count += found is not None
        heard = heard[max(done, 1) :]
    return count
