"""Reads the devices of one bus, then asks why those that failed did, each wire in its own way.
Buses remember what a driver wanted of them, so that a diagnosis asks what the driver asks.

Nothing is written to a device but what its driver writes when it is opened and read.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import drivers
from drivers.buses import serial_diagnose
from drivers.buses.finding import fault
from drivers.buses.i2c import SmbusI2c
from drivers.buses.modbus.diagnose import diagnose as diagnose_modbus
from drivers.buses.modbus.rtu import ModbusRtu
from drivers.buses.modbus.tcp import ModbusTcp
from drivers.buses.serial_port import SerialPort
from drivers.buses.serial_trouble import other_settings, silent
from drivers.scan import i2c as i2c_scan
from drivers.scan.found import LINES, Findings, factory_lines
from drivers.scan.talking import TALKERS
from edge.acquire.clock import SystemClock
from edge.config import Device, ModbusRtuBus, ModbusTcpBus
from edge.core import (
    BusError,
    DataError,
    Framer,
    ModbusBus,
    Polled,
    Reason,
    SelfReporting,
    SerialBus,
    Sweep,
    sweep,
)
from edge.core.driver import Option
from edge.diagnose.exam import Exam, Failure, condition_findings, reading_findings, split_finding
from edge.gateway.scantargets import kernel_addresses

Question = tuple[int, int, int, int]
"""Unit, function, address, count."""
ProbeTick = Callable[[str], None]
"""Called before each step, with what it does. Raises StoppedError."""

SECOND_NS: Final = 1_000_000_000
ATTEMPTS: Final = 7  # the slowest sensor measures every five seconds
PROBED_UNITS: Final = range(1, 11)  # where a meter may be that is not at its address
ANSWER_S: Final = 0.5  # that a search waits for a unit, whatever the configuration says
QUIET_S: Final = 0.5  # of listening where nobody should talk
LISTEN_S: Final = (2.5, 6.0)  # where somebody should: at least, at most
ASKED_SETTINGS: Final = (
    "9600 8N1",
    "2400 8E1",
    "300 7E1",
)  # how devices are set that wait to be asked
TALKING_SETTINGS: Final = (*LINES, "9600 7E1")
MAX_PIN_ADDRESSES: Final = 8  # addresses that a chip can have at most; a wider range is no pin's


class SpySerialBus:
    """A serial bus that passes all on. `cut` is that of the last frame, unless it was `asked` for
    by any question, and `wait_s` how long it was waited for.
    """

    def __init__(self, bus: SerialBus) -> None:
        self._bus = bus
        self.cut: Framer | None = None
        self.asked = False
        self.wait_s = 0.0

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        self.asked = self.asked or bool(write)
        self.cut, self.wait_s = (None if self.asked else cut), timeout_s
        return await self._bus.frame(cut, timeout_s, write, newest)

    async def send(self, data: bytes) -> None:
        self.asked = True
        await self._bus.send(data)

    async def speed(self, baud: int = 0) -> None:
        await self._bus.speed(baud)


class _FirstQuestionBus:
    """A Modbus line that ends at the first question."""

    asked: Question | None = None

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        self.asked = self.asked or (unit, function, address, count)
        raise BusError("there is no wire")


async def first_question(device: Device) -> Question | None:
    """What a Modbus driver asks first. No wire is touched."""
    bus = _FirstQuestionBus()
    polled: Any = drivers.build(
        device.driver, bus, device.options, device.points or (), backwards=device.reversed
    )
    with contextlib.suppress(BusError, DataError):
        await polled.open()
        await polled.read()
    return bus.asked


async def probe_read(exam: Exam, name: str, bus: Any, tick: ProbeTick) -> Exception | None:
    """One device through its driver; what is wrong is in `exam`. Gives why it failed."""
    device = exam.site.devices[name]
    tick(f"{name} ({device.driver})")
    polled: Any = drivers.build(
        device.driver, bus, device.options, device.points or (), backwards=device.reversed
    )
    try:
        for one in reading_findings(polled, await _values(name, polled)):
            exam.add(name, one, "device_values")
        for one in condition_findings(polled.health if isinstance(polled, SelfReporting) else {}):
            exam.add(name, one, "device_reports")
    except (BusError, DataError) as error:
        exam.failed[name] = Failure(str(error), error.reason)
        return error
    exam.answers.add(name)
    exam.read.add(name)
    return None


async def _values(name: str, polled: Polled) -> Sweep:
    clock = SystemClock()
    try:
        await polled.open()
        for _ in range(ATTEMPTS):
            result = sweep(name, 0, await polled.read())
            if any(value is not None for value in result.values):
                break
            await clock.sleep_until(clock.now().mono_ns + SECOND_NS)
        return result
    finally:
        with contextlib.suppress(BusError, DataError):
            await polled.close()


# --- I2C ------------------------------------------------------------------------------------------


async def probe_i2c(exam: Exam, bus: SmbusI2c, tick: ProbeTick) -> None:
    site = exam.site
    at = {
        name: candidate_addresses(d.driver, d.options)
        for name, d in site.devices_on(exam.bus).items()
    }
    wrong = [name for name in exam.names if await probe_read(exam, name, bus, tick) is not None]
    if not wrong:
        return
    there = {at[name][0]: name for name in exam.answers if at[name]}

    def at_each(step: str, seconds: float, more_s: float = 0.0) -> None:
        tick(f"who is at {step}")

    found = Findings()  # many a sensor answers its own questions only
    await i2c_scan.scan_i2c(bus, found, at_each, {**kernel_addresses(bus.path), **there})
    who = {(candidate_addresses(f.driver, f.options) or (0,))[0]: f for f in found.devices}
    quiet = {}
    for name in wrong:
        first = at[name][0] if at[name] else 0
        other = who.get(first)
        if other is not None and site.devices[name].driver not in (other.driver, *other.also):
            text = (
                f'at 0x{first:02x} on {bus.path} is {other.what}; set driver = "{other.driver}", '
                "or fit the sensor that the configuration names"
            )
            exam.add(name, split_finding("fault", text))
        elif at[name]:
            theirs = {a[0] for n, a in at.items() if n != name and a}
            quiet[name] = [a for a in at[name] if a == first or a not in theirs]
    exam.add_all(await bus.diagnose(quiet))


def candidate_addresses(driver: str, options: Any) -> tuple[int, ...]:
    """The address of a device first, then the others that its kind can have."""
    spec = drivers.spec(driver)
    option: Option | None = spec.options.get("address")
    if option is None:
        return () if spec.address is None else (spec.address,)
    first = int(options.get("address", option.default))
    if option.low is None or option.high is None or option.high - option.low >= MAX_PIN_ADDRESSES:
        return (first,)
    return (first, *(a for a in range(int(option.low), int(option.high) + 1) if a != first))


# --- serial ---------------------------------------------------------------------------------------


async def probe_serial(exam: Exam, port: SerialPort, tick: ProbeTick) -> None:
    listeners = {name: SpySerialBus(port) for name in exam.names}
    errors = {
        name: await probe_read(exam, name, listener, tick) for name, listener in listeners.items()
    }
    wrong = [name for name, error in errors.items() if error is not None]
    port.close()
    for name in wrong:
        listener = listeners[name]
        # some talk by themselves only after a command
        cut = listener.cut or dict(TALKERS).get(exam.site.devices[name].driver)
        if cut is not None:
            wait_s = listener.wait_s if isinstance(errors[name], DataError) else 0.0
            await _probe_talker(exam, port, cut, wait_s, tick)
        elif name == wrong[0]:
            tick("listening for unasked bytes")
            _open(port)
            exam.wire += await serial_diagnose.diagnose(port, None, QUIET_S)
        if exam.answers or exam.broken:
            break  # a neighbour proves that the settings are right
        if listener.asked:
            await _probe_asked(exam, name, port, tick)


async def _probe_talker(
    exam: Exam, port: SerialPort, cut: Framer, wait_s: float, tick: ProbeTick
) -> None:
    """It talks by itself: what comes while nobody is asked? A whole frame may take `wait_s`."""
    settings = _other_settings(port.settings, *TALKING_SETTINGS)
    listen_s = min(max(LISTEN_S[0], wait_s), LISTEN_S[1])
    tick(f"listening, at most {listen_s * (1 + len(settings)):.0f} s")
    _open(port)
    nothing = silent(port.port, port.settings, listen_s)  # which the driver has said already
    exam.wire += [
        one
        for one in await serial_diagnose.diagnose(port, cut, listen_s, settings)
        if one != nothing
    ]


async def _probe_asked(exam: Exam, name: str, port: SerialPort, tick: ProbeTick) -> None:
    """It waits to be asked: does it answer at other settings?"""
    device = exam.site.devices[name]
    for settings in _other_settings(
        port.settings, str(drivers.spec(device.driver).line), *ASKED_SETTINGS
    ):
        tick(f"{name} at {settings}")
        other = SerialPort.at(port.port, settings)
        polled: Any = drivers.build(
            device.driver, other, device.options, device.points or (), backwards=device.reversed
        )
        try:
            await _values(name, polled)
        except (BusError, DataError):
            continue
        finally:
            other.close()
        exam.wire.append(other_settings(port.port, port.settings, settings))
        return


def _open(port: SerialPort) -> None:
    """A port that is ours is not searched for who else has it: that was done, but for simulators,
    who hold the other end of theirs.
    """
    with contextlib.suppress(BusError):
        port.open()


def _other_settings(settings: str, *known: str) -> tuple[str, ...]:
    return tuple(one for one in dict.fromkeys(known) if one != settings)


# --- Modbus ---------------------------------------------------------------------------------------


async def probe_rtu(exam: Exam, model: ModbusRtuBus, bus: ModbusRtu, tick: ProbeTick) -> None:
    devices = exam.site.devices_on(exam.bus)
    failed = [await probe_read(exam, name, bus, tick) is not None for name in exam.names]
    if not any(failed):
        return
    bus.close()
    asks = {name: await first_question(d) for name, d in devices.items()}
    known = {ask[0] for ask in asks.values() if ask}
    line = SerialPort(model.port, model.baud, model.parity, model.stop)
    # where one answers the settings are right, and it has to be waited for as it was
    settings = () if exam.answers else _other_settings(line.settings, *factory_lines())
    answer_s = model.timeout_s if exam.answers else min(model.timeout_s, ANSWER_S)
    tick(f"why, at most {(len(settings) + len(PROBED_UNITS)) * answer_s * len(asks):.0f} s")
    modbus = ModbusRtu(line, answer_s, 2 * answer_s)  # no value of it counts
    _open(line)
    found = await diagnose_modbus(
        modbus,
        {name: ask for name, ask in asks.items() if ask},
        QUIET_S,
        settings,
        [unit for unit in PROBED_UNITS if unit not in known],
    )
    exam.add_all(found)
    if not exam.broken and not modbus.known.answered:
        try:  # at these settings, and then at another address
            await _probe_other_units(exam, modbus, asks, exam.failed, tick)
        finally:
            modbus.close()


async def probe_tcp(exam: Exam, model: ModbusTcpBus, bus: ModbusTcp, tick: ProbeTick) -> None:
    devices = exam.site.devices_on(exam.bus)
    asks = {name: await first_question(device) for name, device in devices.items()}
    errors = {name: await probe_read(exam, name, bus, tick) for name in exam.names}
    silent_ones = [name for name, error in errors.items() if isinstance(error, BusError)]
    other = ModbusTcp(model.host, model.port, min(model.timeout_s, ANSWER_S))
    try:
        await _probe_other_units(exam, other, asks, silent_ones, tick)
    finally:
        other.close()


async def _probe_other_units(
    exam: Exam, bus: ModbusBus, asks: Mapping[str, Question | None], wrong: Collection[str],
    tick: ProbeTick,
) -> None:  # fmt: skip
    """Does another unit answer what these were asked? Who is there refuses at least."""
    known = {ask[0] for ask in asks.values() if ask}
    for name, ask in ((name, asks[name]) for name in wrong):
        for unit in (one for one in PROBED_UNITS if one not in known and ask is not None):
            tick(f"unit {unit} in place of {name}")
            if ask is not None and await _responds(bus, unit, *ask[1:]):
                text = f"no device answers as unit {ask[0]}, but one answers as unit {unit}"
                remedy = f"set unit = {unit}, or give the meter the address {ask[0]}"
                exam.known[name] = [fault(text, remedy)]  # in place of mere silence
                break
        else:
            return  # nobody else is there


async def _responds(bus: ModbusBus, unit: int, function: int, address: int, count: int) -> bool:
    """A refusal is an answer, too, unless it is the converter's."""
    try:
        await bus.read_registers(unit, function, address, count)
    except DataError as error:
        return error.reason not in (Reason.SILENT, Reason.CRC)
    except BusError:
        return False
    return True
