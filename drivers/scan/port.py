"""One serial port: who talks by himself, then who answers, then which Modbus units there are."""

from collections.abc import Callable
from typing import Final

from drivers.scan import asking, meters, talking
from drivers.scan.found import Findings, FoundDevice, Pace, ScanModbus, ScanPort, ScanTick

OpenSerial = Callable[[str], ScanPort]
OpenModbus = Callable[[str, float], ScanModbus]

BABBLE: Final = 24  # bytes while listening: less may be noise of a line that is not terminated


async def scan_port(
    serial: OpenSerial, modbus: OpenModbus, pace: Pace, out: Findings, tick: ScanTick
) -> None:
    """Ends when a device is found, for then the port's settings are known; other units and
    addresses on the same line are found with it. Raises BusError when the port is of no use.
    """
    talker = await _scan_talking(serial, pace, out, tick)
    if talker is not None:
        out.devices.append(talker)
        return
    if len(out.heard) == len(talking.LINES) and min(map(len, out.heard.values())) >= BABBLE:
        return  # somebody talks all the time, and nobody can be asked meanwhile
    found = await _scan_asked(serial, pace, out, tick)
    if found:
        out.devices += found
        return
    for line in pace.lines:
        bus = modbus(line, pace.answer_s)

        try:
            if await meters.scan_units(bus, line, pace, out, _at(line, tick)):
                return
        finally:
            bus.close()


def _at(line: str, tick: ScanTick) -> ScanTick:
    """Show the settings with each step."""

    def with_line(step: str, seconds: float, more_s: float = 0.0) -> None:
        tick(f"{line} {step}", seconds, more_s)

    return with_line


def estimate_port_s(pace: Pace) -> float:
    """At most, on a port where nobody is."""
    return (
        pace.listen_s
        + asking.estimate_s() * pace.patience
        + len(pace.lines) * meters.estimate_units_s(pace)
    )


async def _scan_talking(
    serial: OpenSerial, pace: Pace, out: Findings, tick: ScanTick
) -> FoundDevice | None:
    for place, line in enumerate(talking.LINES):
        tick(f"{line} listening", pace.listen_s, pace.listen_s if place else 0.0)
        bus = serial(line)
        try:
            found, heard = await talking.listen_for_talkers(bus, line, pace.listen_s)
        finally:
            bus.close()
        if found is not None:
            out.heard.clear()
            return found
        if not heard:
            return None  # bytes come at any setting if somebody talks
        out.heard[line] = heard
    return None


async def _scan_asked(
    serial: OpenSerial, pace: Pace, out: Findings, tick: ScanTick
) -> list[FoundDevice]:
    for name, question, lines, seconds in asking.QUESTIONS:
        for line in lines:
            tick(f"{line} {name}", seconds * pace.patience)
            bus = serial(line)
            try:
                asker = asking.Asker(bus, line, pace.patience, tick)
                found = await question(asker)
            finally:
                bus.close()
            if found:
                return found
            if asker.heard:
                out.heard.setdefault(line, b"")
    return []
