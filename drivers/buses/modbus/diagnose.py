"""Asks the units of a line that does not work, and says what is wrong. It reads, and never writes.

Each device is asked for registers that its own kind has: (unit, function, address, count).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from drivers.buses import serial_diagnose
from drivers.buses.finding import Finding, fault, note
from drivers.buses.modbus.frame import Ask
from drivers.buses.modbus.rtu import ModbusRtu
from drivers.buses.serial_trouble import other_settings
from edge.core import BusError, DataError

ROUNDS: Final = 4  # two devices with one address show it twice, and a damaged answer three times


async def diagnose(
    bus: ModbusRtu,
    asks: Mapping[str, Ask],
    listen_s: float = 0.5,
    search: Sequence[str] = (),
    addresses: Sequence[int] = (),
) -> list[Finding]:
    """What is wrong with this line, or with the devices on it.

    `asks` says for each what it is asked: unit, function, address, count. Where nobody answers they
    are asked at each of the settings in `search`, such as "2400 8E1"; where only some do, the
    others at these `addresses`. It writes no register. The port is closed afterwards.
    """
    findings = await serial_diagnose.diagnose(bus.port, None, listen_s)
    if any(found.severity == "fault" for found in findings):
        return findings
    bus.known.answered.clear()
    try:
        troubles = {name: await _trouble(bus, ask) for name, ask in asks.items()}
        if not bus.known.answered:
            if found := await _search(bus, asks, search):
                return [*findings, found]
        elif addresses:
            known = {ask[0] for ask in asks.values()}
            for name, ask in asks.items():
                if ask[0] not in bus.known.answered:
                    unit = await _answering_unit(bus, ask, [u for u in addresses if u not in known])
                    troubles[name] = _another(name, ask[0], unit) or troubles[name]
    finally:
        bus.close()
    for name, trouble in troubles.items():
        findings.append(fault(f"{name}: {trouble}") if trouble else note(f"{name} answers"))
    return findings


async def _trouble(bus: ModbusRtu, ask: Ask) -> str:
    """What is wrong with a device after some questions; "" when its last answer was sound."""
    text = ""
    for _ in range(ROUNDS):
        try:
            await bus.read_registers(*ask)
        except DataError as error:
            text = str(error)
        except BusError as error:
            return str(error)
        else:
            text = ""
    return text


async def _search(bus: ModbusRtu, asks: Mapping[str, Ask], search: Sequence[str]) -> Finding | None:
    """Ask once at each of these settings."""
    port = bus.port
    bus.close()
    for settings in search:
        other = type(bus)(
            port.at(port.port, settings), bus.response_timeout.timeout_s, bus.link_delay_s
        )
        try:
            for ask in asks.values():
                if await _responds(other, ask):
                    return other_settings(port.port, port.settings, settings)
        finally:
            other.close()
    return None


async def _answering_unit(bus: ModbusRtu, ask: Ask, addresses: Sequence[int]) -> int:
    """The first of these units that answers the same question; 0: none."""
    for unit in addresses:
        if await _responds(bus, (unit, *ask[1:])):
            return unit
    return 0


async def _responds(bus: ModbusRtu, ask: Ask) -> bool:
    """A refusal is an answer, too."""
    try:
        await bus.read_registers(*ask)
    except (BusError, DataError):
        return ask[0] in bus.known.answered
    return True


def _another(name: str, unit: int, found: int) -> str:
    if not found:
        return ""
    return (
        f"no device answers as unit {unit}, but one answers as unit {found}, which is not in the"
        f" site file: set unit = {found} for {name}, or give the meter the address {unit}"
    )
