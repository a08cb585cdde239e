"""Registers that only grow: nothing counted twice, nothing left out, never a spike."""

import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.point import Point, PointKind, Quantity
from edge.core.quality import Reason
from edge.core.reading import Bad
from edge.core.record import Draft, Stream
from edge.process.calibration import Correction
from edge.process.engine import DeviceSetup, Engine
from tests.kit.asread import as_read
from tests.kit.engine import METER, MINUTE, S, body, engine, events, sweeps

NAME = "main_meter"


def feed(made: Engine, *readings: tuple[float, float]) -> None:
    made.sweeps(sweeps(NAME, ((at, (100.0, kwh)) for at, kwh in readings)))


def energy(drafts: list[Draft]) -> Any:
    return body(drafts, NAME)["points"]["energy_import"]


def test_growth_is_counted_from_the_window_before() -> None:
    made = engine(METER)
    feed(made, (0, 100.0), (30, 100.01), (59, 100.02), (61, 100.025), (119, 100.04))
    first, second = energy(made.close(MINUTE)), energy(made.close(2 * MINUTE))
    assert first == {
        "first": 100.0, "last": 100.02, "delta": 0.02, "step": 0.001,
        "quality": {"bad:stale": 57, "good": 3},
    }  # fmt: skip
    assert (second["first"], second["last"], second["delta"]) == (100.025, 100.04, 0.02)


def test_a_window_without_a_value_has_no_growth_and_the_next_one_has_it_all() -> None:
    made = engine(METER)
    feed(made, (0, 5.0))
    made.close(MINUTE)
    made.sweeps(sweeps(NAME, [(70, (100.0, Bad(Reason.SILENT)))]))
    silent = energy(made.close(2 * MINUTE))
    assert silent["first"] is silent["last"] is silent["delta"] is None
    feed(made, (130, 5.1))
    assert energy(made.close(3 * MINUTE))["delta"] == 0.1


def test_a_reset_is_an_event_and_only_what_is_certain_is_counted() -> None:
    made = engine(METER)
    feed(made, (0, 500.0), (1, 500.01), (2, 0.0), (3, 0.001), (4, 0.002))
    drafts = made.close(5 * S)
    reported = energy(drafts)
    assert (reported["delta"], reported["first"], reported["last"]) == (0.012, 500.0, 0.002)
    assert reported["quality"] == {"good": 4, "uncertain:range": 1}
    (event,) = events(drafts)
    assert event.from_ns == event.to_ns == 2 * S
    assert event.source == NAME
    assert {key: as_read(event)[key] for key in ("event", "kind", "point", "before", "after")} == {
        "event": "meter", "kind": "reset", "point": "energy_import", "before": 500.01, "after": 0.0,
    }  # fmt: skip


def test_another_meter_is_a_swap_in_either_direction() -> None:
    made = engine(METER)
    feed(made, (0, 500.0), (1, 500.001), (2, 8123.4), (3, 8123.401), (4, 700.0), (5, 700.001))
    drafts = made.close(6 * S)
    assert [as_read(each)["kind"] for each in events(drafts)] == ["swap", "swap"]
    assert energy(drafts)["delta"] == 0.003


def test_one_wild_value_changes_nothing() -> None:
    made = engine(METER)
    feed(made, (0, 500.0), (1, 500.001), (2, 0.0), (3, 500.002), (4, 9e5), (5, 500.003))
    drafts = made.close(6 * S)
    reported = energy(drafts)
    assert not events(drafts)
    assert (reported["delta"], reported["last"]) == (0.003, 500.003)
    assert reported["quality"] == {"good": 4, "uncertain:range": 2}


def test_two_wild_values_with_good_ones_between_do_not_confirm_each_other() -> None:
    made = engine(METER)
    feed(made, (0, 500.0), (1, 7.0), (2, 500.001), (3, 7.0), (4, 500.002))
    drafts = made.close(5 * S)
    assert not events(drafts)
    assert energy(drafts)["delta"] == 0.002


def test_a_reset_at_the_border_is_told_when_it_is_certain() -> None:
    made = engine(METER)
    feed(made, (0, 500.0), (59, 500.001), (59.5, 0.0), (61, 0.0), (62, 0.003))
    first, second = made.close(MINUTE), made.close(2 * MINUTE)
    assert not events(first)
    assert energy(first)["delta"] == 0.001
    assert [as_read(each)["before"] for each in events(second)] == [500.001]
    assert energy(second)["delta"] == 0.003


def test_a_coarse_register_may_jump_by_its_own_step() -> None:
    coarse = Point("energy_import", Quantity.ENERGY, kind=PointKind.TOTAL, resolution=1.0)
    made = engine(DeviceSetup(NAME, Stream.ENERGY, (coarse,), 1.0))
    rows = [(0.0, 5.0), (1.0, 6.0), *((float(i), 6.0) for i in range(2, 3600)), (3600.0, 7.0)]
    made.sweeps(sweeps(NAME, ((at, (kwh,)) for at, kwh in rows)))
    drafts = made.close(3601 * S)
    assert not events(drafts)
    assert energy(drafts)["delta"] == 2.0


def test_power_limits_bound_the_growth() -> None:
    made = engine(replace(METER, max_power_w=10_000.0))
    feed(made, (0, 5.0), (1, 5.002), (11, 5.5), (12, 5.501))  # 0.5 kWh in 10 s are 180 kW
    drafts = made.close(13 * S)
    assert [as_read(each)["kind"] for each in events(drafts)] == ["swap"]
    assert energy(drafts)["delta"] == 0.003


def test_after_a_start_the_gap_is_counted() -> None:
    made = engine(METER)
    feed(made, (0, 5.0), (1, 5.001))
    made.close(2 * S)
    again = Engine(made.setup)
    again.restore(made.snapshot())
    again.start(1 * S)  # another boot: its clock began anew
    feed(again, (2, 105.0), (3, 105.001))
    drafts = again.close(4 * S)
    assert not events(drafts)
    assert energy(drafts)["delta"] == 100.0


def test_float32_registers_neither_drift_nor_raise_alarms() -> None:
    def f32(value: float) -> float:
        (rounded,) = struct.unpack(">f", struct.pack(">f", value))
        return float(rounded)

    made, deltas, alarms = engine(METER), [], 0
    for window in range(20):
        feed(
            made,
            *(
                (
                    window * 60 + i,
                    f32(123_456.78 + (window * 60 + i) * 0.0007) - 0.0078125 * (i % 2),
                )
                for i in range(60)
            ),
        )
        drafts = made.close((window + 1) * MINUTE)
        alarms += len(events(drafts))
        deltas.append(round(energy(drafts)["delta"] * 1000))
    assert alarms == 0
    assert sum(deltas) == pytest.approx(20 * 60 * 0.7, abs=16)  # two quanta of the register


@pytest.mark.parametrize("wild", [-1.0, 1e7, float("nan"), float("inf"), "text"])
def test_what_cannot_be_is_not_a_register(wild: float | str) -> None:
    made = engine(METER)
    made.sweeps(sweeps(NAME, [(0, (1.0, 5.0)), (1, (1.0, wild)), (2, (1.0, 5.001))]))
    drafts = made.close(3 * S)
    assert energy(drafts)["quality"] == {"bad:range": 1, "good": 2}
    assert energy(drafts)["delta"] == 0.001
    assert not events(drafts)


def test_a_register_whose_calibration_has_expired_is_billed_all_the_same() -> None:
    made = engine(replace(METER, corrections=(Correction("energy_import", (0.0, 2.0)),)))
    made.expired({NAME: {"energy_import"}})
    feed(made, (0, 100.0), (1, 100.001))
    reported = energy(made.close(2 * S))
    assert (reported["first"], reported["last"], reported["delta"]) == (200.0, 200.002, 0.002)
    assert reported["quality"] == {"uncertain:calibration": 2}
    made.expired({})
    feed(made, (2, 100.002))
    assert energy(made.close(3 * S))["delta"] == 0.002, "only what came since"


def test_a_register_that_is_corrected_otherwise_starts_fresh() -> None:
    """What the correction adds to it was not consumed."""
    made, found = engine(METER), []
    feed(made, (0, 500.0))
    made.close(S)
    for second, gain in enumerate((1.0, 1.02, 1.02), 1):
        correction = Correction("energy_import", (0.0, gain))
        setup = replace(METER, corrections=(correction,))
        again = Engine(replace(made.setup, devices=(setup,)))
        again.restore(made.snapshot())
        feed(again, (second + 0.5, 500.0 + second))
        found.append(energy(again.close((second + 1) * S))["delta"])
        made = again
    assert found == [1.0, 0.0, 1.02], "as before, otherwise, as before"


def test_a_register_of_which_nobody_knows_a_bound_may_grow_as_it_likes() -> None:
    odd = Point("odd", Quantity.INDEX, kind=PointKind.TOTAL, resolution=1.0)
    made = engine(DeviceSetup(NAME, Stream.AIR, (odd,), 1.0))
    made.sweeps(sweeps(NAME, [(0, (5,)), (1, (10**9,))]))
    drafts = made.close(2 * S)
    assert not events(drafts)
    assert body(drafts, NAME)["points"]["odd"]["delta"] == 10**9 - 5


@given(
    st.lists(st.tuples(st.integers(0, 250), st.sampled_from("gggggbx")), min_size=1, max_size=80),
    st.sets(st.integers(1, 79)),
)
def test_growth_over_all_windows_is_what_the_register_did(
    steps: list[tuple[int, str]], borders: set[int]
) -> None:
    """Whatever is bad in between, over restarts at any border, no watt-hour is lost or doubled."""
    made, register, good, total = engine(METER), 1000, [], 0
    for second, (growth, grade) in enumerate(steps):
        register += growth
        kwh = register / 1000
        value = Bad(Reason.CRC) if grade == "b" else kwh
        if grade != "b":
            good.append(register)
        power = Bad(Reason.CRC) if growth % 4 == 0 else 1.0
        made.sweeps(sweeps(NAME, [(second, (power, value))]))
        if second + 1 in borders:
            total += round((energy(made.close((second + 1) * S))["delta"] or 0) * 1000)
        if grade == "x":
            contacts, kept = made.pending()
            again = Engine(made.setup)
            again.restore(made.snapshot())
            again.contacts(contacts)
            again.sweeps(kept)
            made = again
    total += round((energy(made.close(1000 * S))["delta"] or 0) * 1000)
    assert total == (good[-1] - good[0] if good else 0)
