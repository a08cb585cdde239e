"""IEC 62056-21 modes A, B and C: a dialogue in virtual time, and readouts that nobody invents."""

import asyncio

import pytest

from drivers.chips import iec62056 as chip
from drivers.chips._telegram import add_parity, check_parity
from drivers.chips.iec62056 import Iec62056
from drivers.sim.iec62056 import BAUDS, FAULTS
from drivers.sim.iec62056 import Iec62056 as Meter
from edge.core import (
    Bad,
    BusError,
    Condition,
    ConfigError,
    DataError,
    Framer,
    Reason,
    SelfReporting,
)
from tests.drivers.known import read

VALUES = {
    "energy_import": 1234.567,
    **{f"energy_import_t{n}": 100.25 * n for n in (1, 2, 3, 4)},
    "energy_export": 7.5,
    "energy_export_t1": 7.5,
    "energy_total": 1242.067,
    "reactive_energy_import": 3.25,
    "power": -613.0,
    "power_l2": 40.0,
    "reactive_power": 12.0,
    "voltage_l1": 230.1,
    "current_l3": 4.99,
    "power_factor": 0.97,
    "frequency": 49.98,
}
ADDRESS, RANGE = Bad(Reason.ADDRESS), Bad(Reason.RANGE)
TICK_S = 0.005


class Iec62056Line:
    """A `SerialBus` in virtual time with a simulated meter; each character takes its ten bits."""

    def __init__(self, meter: Meter) -> None:
        self.meter, self.now, self.baud = meter, 0.0, BAUDS[0]
        self.speeds: list[int] = []  # what was changed to
        self.sent: list[tuple[float, bytes]] = []  # when it began to leave
        self._leaving: list[tuple[float, bytes]] = []
        self._coming: list[tuple[float, bytes]] = []
        self._heard = self._buffer = b""
        meter.now = lambda: self.now
        meter.line_speed = lambda: self.baud  # type: ignore[method-assign]

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        if write:
            self._buffer = b""
            self._coming.clear()
            await self.send(write)
        until, seen = self.now + timeout_s, len(self._buffer)
        while True:
            while self._buffer:
                found, done = cut(self._buffer)
                if found is None and not done:
                    break
                self._buffer = self._buffer[done:]
                if found is not None:
                    return found
            if self.now >= until:
                raise DataError("no frame") if seen else BusError("silence")
            before = len(self._buffer)
            self._tick()
            seen += len(self._buffer) - before

    async def send(self, data: bytes) -> None:
        self.sent.append((self.now, data))
        self._leaving.append((self.now + 10 * len(data) / self.baud, data))

    async def speed(self, baud: int = 0) -> None:
        while self._leaving:
            self._tick()
        self.baud = baud or BAUDS[0]
        self.speeds.append(self.baud)

    def _tick(self) -> None:
        self.now += TICK_S
        while self._leaving and self._leaving[0][0] <= self.now:
            self._heard = self.meter.hear(self._heard + self._leaving.pop(0)[1])
        said = self.meter.speak()
        for at in range(len(said)):
            self._coming.append((self.now + 10 * (at + 1) / self.baud, said[at : at + 1]))
        while self._coming and self._coming[0][0] <= self.now:
            self._buffer += self._coming.pop(0)[1]


@pytest.mark.parametrize("speed", [*"0123456", *"ABCDEF", "9", "Z", "~", "("])
async def test_meters_of_all_modes_and_speeds_are_read(speed: str) -> None:
    meter = Meter(VALUES, speed=speed)
    line = Iec62056Line(meter)
    device = Iec62056(line)
    assert await read(device) == pytest.approx(VALUES)
    mode = "0123456".find(speed) if speed.isdigit() else "ABCDEF".find(speed) + 1
    baud = BAUDS[max(mode, 0)]
    assert line.speeds == [300, *([baud] if baud != 300 else []), 300]
    acks = [check_parity(data) for _, data in line.sent[1:]]
    assert acks == ([b"\x060%d0\r\n" % BAUDS.index(baud)] if speed.isdigit() else [])
    assert isinstance(device, SelfReporting)
    assert device.identity == "12345678"


async def test_more_speed_than_the_head_can_follow_is_refused() -> None:
    line = Iec62056Line(Meter(VALUES, speed="6"))
    assert await read(Iec62056(line, fastest=9600)) == pytest.approx(VALUES)
    assert check_parity(line.sent[1][1]) == b"\x06000\r\n"
    assert set(line.speeds) == {300}


@pytest.mark.parametrize(
    ("maker", "reaction_s", "least_s", "most_s"),
    [("KST", 1.5, 0.2, 1.5), ("KST", 0.2, 0.2, 1.5), ("KSt", 0.02, 0.02, 0.1)],
)
async def test_the_reaction_times_of_both_sides_are_kept(
    maker: str, reaction_s: float, least_s: float, most_s: float
) -> None:
    line = Iec62056Line(Meter(VALUES, reaction_s=reaction_s, maker=maker))
    assert await read(Iec62056(line)) == pytest.approx(VALUES)
    (called, call), (acknowledged, _) = line.sent
    named = called + 10 * len(call) / 300 + reaction_s + 10 * len("/KST5SIM-3\r\n") / 300
    assert least_s <= acknowledged - named < most_s


async def test_one_of_several_is_called_by_its_number() -> None:
    line = Iec62056Line(Meter(VALUES, "0815"))
    assert await Iec62056(line, address="0815").read()
    with pytest.raises(BusError):
        await Iec62056(line, address="0816").read()
    assert line.meter.calls == 1
    for wrong in ("0815!", "٣", "1" * 33):
        with pytest.raises(ConfigError, match="address"):
            Iec62056(line, address=wrong)


@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "silent"])
async def test_each_fault_is_noticed_and_costs_one_reading(fault: str) -> None:
    line = Iec62056Line(Meter(VALUES, speed="4"))
    device = Iec62056(line)
    line.meter.faults.append(fault)
    if fault in ("noise", "error"):
        assert await read(device) == pytest.approx(VALUES)
        assert (Condition.DEVICE in device.health) is (fault == "error")
    else:
        with pytest.raises(DataError if fault in ("bcc", "flip", "parity", "slow") else BusError):
            await device.read()
        assert line.speeds[-1] == 300
        assert device.identity == ""
    line.meter.faults.clear()
    line.now += 60
    assert await read(device) == pytest.approx(VALUES)
    assert device.health == {}


async def test_identity_and_health_outlive_a_failure_and_follow_a_swap() -> None:
    meter = Meter(VALUES, fault="error")
    device = Iec62056(Iec62056Line(meter))
    await device.read()
    meter.silent = True
    with pytest.raises(BusError):
        await device.read()
    assert device.identity == "12345678"
    assert "00400000" in device.health[Condition.DEVICE]
    meter.silent, meter.fault, meter.serial = False, "", ""
    await device.read()
    assert device.identity == "12345678"
    assert device.health == {}
    meter.serial = "99"
    await device.read()
    assert device.identity == "99"


@pytest.mark.parametrize(
    ("piece", "error"),
    [(b"1.8.0(1*kWh)\r\n", DataError), (b"\x02", DataError), (b"1", BusError)],
    ids=["a flood without an end", "a beginning again and again", "drops for ever"],
)
async def test_a_readout_without_an_end_comes_to_one(
    piece: bytes, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chip, "LONGEST_S", 0.05 if error is BusError else 30.0)

    class Endless(Iec62056Line):
        async def frame(
            self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
        ) -> bytes:
            if write:
                return add_parity(b"/KSTASIM\r\n")
            await asyncio.sleep(0.001 if error is BusError else 0)
            found, _ = cut(
                add_parity(b"\x02" + piece * 50 if self.meter.calls == 0 else piece * 50)
            )
            self.meter.calls += piece != b"\x02"
            assert found is not None
            return found

    line = Endless(Meter({}))
    with pytest.raises(error):
        await Iec62056(line).read()
    assert line.baud == 300
