"""How much of a shared line one meter may take: the others on it wait for it."""

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from drivers.chips import dlms, dlt645
from drivers.sim.dlms import Dlms
from drivers.sim.dlt645 import Dlt645
from edge.core import Bad, BusError, DataError, Framer, Reason

ADDRESS = "202311250042"


class AnsweringLine:
    """A line with one meter. `spoil` makes something else of its answer.

    The time of a reading is over once, at the question after `left` others.
    """

    def __init__(self, meter: Any) -> None:
        self.meter = meter
        self.spoil: Callable[[bytes], bytes] = lambda said: said
        self.left = -1
        self.asked: list[float] = []

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        self.asked.append(timeout_s)
        self.left -= 1
        if self.left == -1:
            raise TimeoutError
        said = self.spoil(b"".join(data for _, data in self.meter.hear(write)[1]))
        if not said:
            raise BusError("silence")
        found, _ = cut(said)
        if found is None:
            raise DataError("no frame")
        return found

    async def send(self, data: bytes) -> None: ...
    async def speed(self, baud: int = 0) -> None: ...


def on_a_line(module: ModuleType, **values: float) -> tuple[Any, AnsweringLine]:
    if module is dlms:
        line = AnsweringLine(Dlms(values, 17, turnaround_s=0.0))
        return dlms.Dlms(line, 17), line
    line = AnsweringLine(Dlt645(values, ADDRESS, turnaround_s=0.0))
    return dlt645.Dlt645(line, ADDRESS), line


@pytest.mark.parametrize("module", [dlms, dlt645])
@pytest.mark.parametrize("noise", [b"", b"\x00\xff", b"\x68\x16" * 4])
async def test_who_has_not_answered_yet_is_not_asked_on_and_on(
    module: ModuleType, noise: bytes
) -> None:
    device, line = on_a_line(module, energy_import=1.0)
    line.spoil = lambda said: noise
    with pytest.raises((BusError, DataError)):  # noqa: PT012
        await device.open()
        await device.read()
    assert sum(line.asked) <= 4.0
    if not noise:
        assert len(line.asked) == 1


async def test_a_meter_that_is_alone_costs_one_short_question_more() -> None:
    line = AnsweringLine(Dlt645({"energy_import": 1.0}, ADDRESS, turnaround_s=0.0))
    device = dlt645.Dlt645(line)
    line.spoil = lambda said: b""
    with pytest.raises(BusError):  # noqa: PT012
        await device.open()
        await device.read()
    assert sum(line.asked) <= 3.0


@pytest.mark.parametrize("module", [dlms, dlt645])
async def test_what_was_told_until_the_time_was_over_counts_and_the_rest_has_its_turn(
    module: ModuleType,
) -> None:
    keys = ("energy_import", "energy_export", "voltage_l1", "power", "frequency")
    values = {key: 50.0 + n for n, key in enumerate(keys)}
    device, line = on_a_line(module, **values)
    await device.open()
    known: set[str] = set()
    for _ in range(20):
        line.left = 7
        found = dict(zip([p.key for p in device.points], await device.read(), strict=True))
        reported = {key for key in keys if found[key] == values[key]}
        assert reported  # who has nothing for long is opened again, and begins anew
        assert {found[key] for key in keys} - set(values.values()) <= {Bad(Reason.BUSY)}
        known |= reported
    assert known == set(keys)


@pytest.mark.parametrize("module", [dlms, dlt645])
async def test_a_reading_without_a_value_has_an_end(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, line = on_a_line(module, power=1.0)

    async def never(*_: object, **__: object) -> bytes:
        if not line.asked:
            line.asked.append(0.0)
            await asyncio.Event().wait()
        raise BusError("silence")

    monkeypatch.setattr(line, "frame", never)
    monkeypatch.setattr(dlms, "TIMEOUTS", 0.005)
    monkeypatch.setattr(dlt645, "LONGEST_S", 0.01)
    with pytest.raises(BusError, match=r"no value within 0\.01 s"):
        await device.read()
