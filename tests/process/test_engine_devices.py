"""What is polled changes between two windows: lanes notice nothing, and registers go on."""

import random

import pytest

from edge.process.engine import DeviceSetup, Engine
from tests.kit.asread import as_read
from tests.kit.engine import (
    AIR,
    METER,
    MINUTE,
    PAIR,
    body,
    car,
    engine,
    found,
    sweeps,
)

FASTER = DeviceSetup(METER.name, METER.stream, METER.points, 0.5)
OTHER = DeviceSetup("other_meter", METER.stream, METER.points, 1.0)


def drive(one: Engine, minute: int, seed: int) -> None:
    rng = random.Random(f"{seed}.{minute}")
    at_s = minute * 60.0 + 0.5
    while at_s < minute * 60 + 64:  # the last one passes while the window ends
        one.contacts(car("north_1", at_s, rng.uniform(30, 70)))
        at_s += rng.uniform(2.0, 6.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_lane_has_the_same_records_as_without_a_change(seed: int) -> None:
    plain, changed = engine(PAIR, METER), engine(PAIR, METER)
    for one in (plain, changed):
        one.contacts(found("north_1.lead", "north_1.trail"))
    for minute in range(4):
        records = []
        for one in (plain, changed):
            one.contacts([])
            drive(one, minute, seed)
            records.append(one.close((minute + 1) * MINUTE))
        lanes = [[as_read(d) for d in each if d.source == "north_1"] for each in records]
        assert lanes[0] == lanes[1]
        changed.change_devices([FASTER, AIR] if minute % 2 else [OTHER])
    assert changed.snapshot()["lanes"] == plain.snapshot()["lanes"]


def test_a_register_goes_on_where_it_stood() -> None:
    one = engine(PAIR, METER)
    one.sweeps(sweeps("main_meter", [(second, (100.0, 5.0 + second / 60)) for second in range(60)]))
    one.close(MINUTE)
    one.change_devices([FASTER])
    later = [(60 + n / 2, (100.0, 6.0 + n / 120)) for n in range(120)]
    one.sweeps(sweeps("main_meter", later))
    grown = body(one.close(2 * MINUTE), "main_meter")["points"]["energy_import"]
    assert grown["delta"] == pytest.approx(1.0, abs=0.05), "also between the two"


def test_who_comes_is_fresh_and_who_goes_is_gone() -> None:
    one = engine(PAIR, METER)
    one.close(MINUTE)
    one.change_devices([OTHER])
    assert one.fresh == ("other_meter",)
    one.sweeps(sweeps("main_meter", [(61, (1.0, 2.0))]))
    assert one.unmatched_inputs == 1, "it is nobody's any more"
    drafts = one.close(2 * MINUTE)
    assert {draft.source for draft in drafts} == {"north_1", "other_meter"}


def test_what_cannot_be_leaves_the_engine_as_it_is() -> None:
    one = engine(METER)
    one.close(MINUTE)
    twice = [OTHER, OTHER]
    with pytest.raises(ValueError, match="same name"):
        one.change_devices(twice)
    with pytest.raises(ValueError, match="another site"):
        one.change_devices([OTHER])
    assert body(one.close(2 * MINUTE), "main_meter")
    assert one.setup.devices == (METER,)
