"""What a Sensirion module says of itself is worth less than its values, and asked for again."""

import pytest

from drivers.chips._sensirion_module import STATUS_EVERY
from drivers.chips._sensirion_profile import CLEAR, STATUS
from drivers.chips.sen55 import Sen55
from drivers.sim import sen55 as sim
from edge.core import Bad, BusError, Condition, DataError, Reason
from tests.kit.air import Now, SimI2c

VALUES = {point.key: 9.0 for point in Sen55.points}


class Torn(SimI2c):
    """A bus on which the answer to one command is damaged or does not come."""

    torn: bytes = b""
    how: str = ""

    async def transfer(
        self, address: int, write: bytes = b"", read: int = 0, wait_s: float = 0.0
    ) -> bytes:
        answer = await super().transfer(address, write, read, wait_s)
        if write != self.torn:
            return answer
        if self.how == "silent":
            raise BusError("nobody")
        return bytes(byte ^ 0x40 for byte in answer)


async def opened(errors: set[int]) -> tuple[Now, sim.Sen55, Torn, Sen55]:
    now = Now()
    chip = sim.Sen55(VALUES, clock=now, powered_s=3600, errors=errors)
    bus = Torn(now, {0x69: chip})
    driver = Sen55(bus, settle_reads=0)
    await driver.open()
    now.s += 2
    return now, chip, bus, driver


@pytest.mark.parametrize(
    ("torn", "how"), [(STATUS, "damaged"), (STATUS, "silent"), (CLEAR, "silent")]
)
async def test_a_torn_status_costs_no_value_and_what_was_known_stands(
    torn: bytes, how: str
) -> None:
    now, _, bus, driver = await opened({4})
    await driver.read()
    bus.torn, bus.how = torn, how
    for _ in range(STATUS_EVERY + 1):
        now.s += 1
        assert (await driver.read())[5] == 9.0  # the temperature
        assert Condition.FAN in driver.health


async def test_a_damaged_status_is_asked_for_at_the_next_sample() -> None:
    now, chip, bus, driver = await opened(set())
    await driver.read()
    chip.errors.add(4)
    bus.torn = STATUS
    for _ in range(STATUS_EVERY):
        now.s += 1
        await driver.read()
    assert Condition.FAN not in driver.health
    bus.torn = b""
    now.s += 1
    await driver.read()
    assert Condition.FAN in driver.health


async def test_values_of_which_nothing_is_known_do_not_count() -> None:
    now, _, bus, driver = await opened({4})
    bus.torn = STATUS
    with pytest.raises(DataError):
        await driver.read()
    bus.torn = b""
    now.s += 1
    assert (await driver.read())[0] == Bad(Reason.FAULT)
