"""Simulated devices of a UART on pseudo-terminals, read by the real port and the real drivers."""

from collections.abc import Mapping
from typing import Any

import pytest

from drivers.buses.serial_port import SerialPort
from drivers.chips import canoga, mhz19, pms3003, pms5003t, pms7003, sds011, sps30_uart, zh03b
from drivers.sim import canoga as sim_canoga
from drivers.sim import mhz19 as sim_mhz19
from drivers.sim import pms3003 as sim_pms3003
from drivers.sim import pms5003t as sim_pms5003t
from drivers.sim import pms7003 as sim_pms7003
from drivers.sim import sds011 as sim_sds011
from drivers.sim import sps30_uart as sim_sps30_uart
from drivers.sim import zh03b as sim_zh03b
from drivers.sim._responder import SharedLine
from edge.core import BusError, Sample
from tests.kit.serialport import waiting

FAST = 115200  # what a port waits between frames goes by its speed; a pty has none
TALKS = {"every_s": 0.03, "zeros": 0}
MASSES = {"pm1_0": 14.0, "pm2_5": 22.0, "pm10": 25.0}
SIZES = {"n0_3": 26.01, "n0_5": 7.38, "n1_0": 1.42, "n2_5": 0.15}
ALL_SIZES = {**SIZES, "n5_0": 0.04, "n10": 0.02}
FLOATS = dict.fromkeys(sim_sps30_uart.KEYS, 2.5)
COUNTED = {f"ch{n}_volume": n for n in range(1, 5)} | {f"ch{n}_on_time": 0 for n in range(1, 5)}
STATES = {f"ch{n}_state": 16 * n for n in range(1, 5)}
DEVICES = [
    (pms3003, sim_pms3003, MASSES, TALKS, {"settle_reads": 0}),
    (pms7003, sim_pms7003, {**MASSES, **ALL_SIZES}, TALKS, {"settle_reads": 0}),
    (pms5003t, sim_pms5003t, {**MASSES, **SIZES, "temperature": -3.5, "humidity": 71.2}, TALKS,
     {"settle_reads": 0}),
    (sds011, sim_sds011, {"pm2_5": 12.3, "pm10": 45.6}, {"zeros": 0}, {"settle_reads": 0}),
    (sds011, sim_sds011, {"pm2_5": 12.3, "pm10": 45.6}, TALKS,
     {"settle_reads": 0, "mode": "active"}),
    (zh03b, sim_zh03b, MASSES, TALKS, {"settle_reads": 0}),
    (zh03b, sim_zh03b, MASSES, {"zeros": 0}, {"settle_reads": 0, "mode": "asked"}),
    (mhz19, sim_mhz19, {"co2": 636, "inner_temperature": 26}, {"powered_s": 600},
     {"settle_reads": 0}),
    (sps30_uart, sim_sps30_uart, FLOATS, {}, {"settle_reads": 0}),
    (canoga, sim_canoga, {**COUNTED, **STATES}, {}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("chip", "sim", "values", "reported", "options"), DEVICES)
async def test_what_it_holds_is_what_is_read(
    chip: Any,
    sim: Any,
    values: Mapping[str, float],
    reported: Mapping[str, Any],
    options: Mapping[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sim_sps30_uart, "SAMPLE_S", 0.05)
    monkeypatch.setattr(chip, "ANSWER_S", 20.0, raising=False)
    with sim.DEVICE(values, **reported) as device:
        port = SerialPort(device.port, FAST)
        try:
            driver = chip.DRIVER(port, **options)
            await driver.open()
            found: tuple[Sample, ...] = await driver.read()
            await driver.close()
            assert found == pytest.approx([values[point.key] for point in driver.points])
        finally:
            port.close()


@pytest.mark.parametrize("sim", sorted({sim.__name__ for _, sim, *_ in DEVICES}))
def test_a_fault_that_it_has_not_is_refused(sim: str) -> None:
    made = next(each for _, each, *_ in DEVICES if each.__name__ == sim)
    assert made.DEVICE.faults_known == made.FAULTS
    for fault in made.FAULTS:
        made.DEVICE({}, fault=fault)
    with pytest.raises(ValueError, match="is no fault of"):
        made.DEVICE({}, fault="bogus")


async def test_two_cards_on_one_line() -> None:
    cards = [sim_canoga.DEVICE({"ch1_volume": 10 * n}, address=n) for n in (1, 2)]
    with SharedLine(cards) as line:
        port = waiting(line)(line.port, FAST)
        try:
            for n in (2, 1, 2):
                assert (await canoga.DRIVER(port, address=n).read())[0] == 10 * n
            with pytest.raises(BusError):
                await canoga.DRIVER(port, address=3).read()
        finally:
            port.close()
