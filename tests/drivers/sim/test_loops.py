"""Simulated traffic: exact times, and flaws that leave the truth as it is."""

import gzip
import itertools
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.sim.gpio import SimChip
from drivers.sim.loops import (
    ContactChange,
    Flaws,
    LineLevel,
    LoopPair,
    SimVehicle,
    play_levels,
    read_rows,
    schedule,
    true_times,
)

MS = 1_000_000
CAR = SimVehicle(1.0, 50.0, 4.5)
TRUCK = SimVehicle(10.0, 80.0, 16.5)


class Sheet:
    """Wires on paper."""

    def __init__(self) -> None:
        self.rows: list[tuple[int | str, bool | None, int]] = []

    def drive(self, line: int | str, level: bool | None, mono_ns: int) -> None:
        self.rows.append((line, level, mono_ns))

    def wait_read(self, most: int = 0, timeout_s: float = 10.0) -> bool:
        return False


REQUEST = b"""{"do": "request", "line": 0, "consumer": "x", "buffer": 1024, "settings":
{"direction": "input", "bias": "none", "edges": "both", "debounce_ns": 0, "level": 0}}"""

passages = st.lists(
    st.builds(SimVehicle, st.floats(0, 600), st.floats(3, 180), st.floats(1.5, 25)), max_size=30
)
flaws = st.builds(
    Flaws,
    bounce_s=st.sampled_from([0.0, 0.001, 0.005]),
    hole_s=st.sampled_from([0.0, 0.05, 0.08]),
    lead_dead_s=st.none() | st.floats(0, 700),
    trail_dead_s=st.none() | st.floats(0, 700),
    seed=st.integers(0, 9),
)


def of(changes: list[ContactChange], loop: str) -> list[tuple[int, bool]]:
    return [(c.t_ns, c.on) for c in changes if c.loop == loop]


def test_times_follow_from_speed_length_and_distance() -> None:
    """4.5 m at 50 km/h over a loop of 2 m: on for 468 ms, 288 ms from loop to loop."""
    (car,) = true_times([CAR], spacing_m=4.0, loop_m=2.0)
    assert car.lead_off_ns - car.lead_on_ns == 468 * MS
    assert car.trail_on_ns - car.lead_on_ns == 288 * MS
    speed_ms = 4.0 / ((car.trail_on_ns - car.lead_on_ns) / 1e9)
    length_m = speed_ms * (car.trail_off_ns - car.trail_on_ns) / 1e9 - 2.0
    assert [speed_ms * 3.6, length_m] == pytest.approx([50.0, 4.5])
    assert schedule([car]) == [
        (1_000 * MS, "lead", True),
        (1_288 * MS, "trail", True),
        (1_468 * MS, "lead", False),
        (1_756 * MS, "trail", False),
    ]


def test_pulse_mode_tells_the_arrival_only() -> None:
    changes = schedule(true_times([CAR], 4.0, 2.0), mode="pulse")
    assert of(changes, "lead") == [(1_000 * MS, True), (1_125 * MS, False)]
    assert of(changes, "trail") == [(1_288 * MS, True), (1_413 * MS, False)]


def test_a_dead_card_looks_like_constant_presence() -> None:
    vehicles = true_times([CAR, TRUCK], 4.0, 2.0)
    idle = schedule(vehicles, flaws=Flaws(lead_dead_s=5.0))
    assert of(idle, "lead") == [(1_000 * MS, True), (1_468 * MS, False), (5_000 * MS, True)]
    assert of(idle, "trail") == of(schedule(vehicles), "trail")
    occupied = schedule(vehicles, flaws=Flaws(trail_dead_s=1.5))
    assert of(occupied, "trail") == [(1_288 * MS, True)]


def test_a_long_vehicle_breaks_up_and_a_car_does_not() -> None:
    vehicles = true_times([CAR, TRUCK], 4.0, 2.0)
    broken = of(schedule(vehicles, flaws=Flaws(hole_s=0.06)), "lead")
    whole = of(schedule(vehicles), "lead")
    assert [c for c in broken if c in whole] == whole
    hole = [c for c in broken if c not in whole]
    assert [on for _, on in hole] == [False, True]
    assert hole[1][0] - hole[0][0] == 60 * MS
    assert vehicles[1].lead_on_ns < hole[0][0] < hole[1][0] < vehicles[1].lead_off_ns


@given(passages, st.sampled_from(["presence", "pulse"]), flaws)
def test_each_contact_alternates_and_time_never_goes_back(
    vehicles: list[SimVehicle], mode: str, flaw: Flaws
) -> None:
    changes = schedule(true_times(vehicles, 4.0, 2.0), mode, flaws=flaw)  # type: ignore[arg-type]
    assert [c.t_ns for c in changes] == sorted(c.t_ns for c in changes)
    for loop in ("lead", "trail"):
        contact = of(changes, loop)
        assert [on for _, on in contact] == [i % 2 == 0 for i in range(len(contact))]
        assert all(a < b for (a, _), (b, _) in itertools.pairwise(contact))


@given(passages, st.floats(0.001, 0.005), st.integers(0, 9))
def test_bounce_comes_after_the_true_change_and_soon_ends(
    vehicles: list[SimVehicle], bounce_s: float, seed: int
) -> None:
    true = schedule(true_times(vehicles, 4.0, 2.0))
    bounced = schedule(true_times(vehicles, 4.0, 2.0), flaws=Flaws(bounce_s=bounce_s, seed=seed))
    assert set(true) <= set(bounced)
    for loop in ("lead", "trail"):
        for t_ns, on in of(true, loop):
            after = [c for c in of(bounced, loop) if t_ns < c[0] < t_ns + bounce_s * 1e9]
            if after and after[0][1] is not on:
                assert after[-1][0] <= t_ns + bounce_s * 1e9
    calm = [c for c in bounced if c not in true]
    assert all(any(0 < c.t_ns - t.t_ns <= bounce_s * 1e9 for t in true) for c in calm)


@pytest.mark.parametrize("active", ["low", "high"])
def test_a_pair_plays_its_passages_on_both_wires(active: str) -> None:
    sheet = Sheet()
    pair = LoopPair(sheet, "GPIO17", "GPIO27", active=active, at_ns=7)  # type: ignore[arg-type]
    on = active == "high"
    assert sheet.rows == [("GPIO17", not on, 7), ("GPIO27", not on, 7)]
    vehicles = pair.play([CAR], start_ns=1_000 * MS)
    assert vehicles == true_times([CAR], 4.0, 2.0)
    assert sheet.rows[2:] == [
        ("GPIO17", on, 2_000 * MS),
        ("GPIO27", on, 2_288 * MS),
        ("GPIO17", not on, 2_468 * MS),
        ("GPIO27", not on, 2_756 * MS),
    ]


def test_in_real_time_a_change_is_never_early() -> None:
    made: list[tuple[int, int]] = []

    class Watch(Sheet):
        def drive(self, line: int | str, level: bool | None, mono_ns: int) -> None:
            made.append((time.monotonic_ns(), mono_ns))

    start_ns = time.monotonic_ns()
    rows = [LineLevel(i * 5 * MS, 0, i % 2 == 0) for i in range(10)]
    assert play_levels(Watch(), rows, start_ns, "real") == 10
    assert [stamp for _, stamp in made] == [start_ns + i * 5 * MS for i in range(10)]
    assert all(now >= stamp for now, stamp in made)


def test_fast_play_waits_for_its_readers_and_gives_up_without_them() -> None:
    rows = [LineLevel(i, 0, i % 2 == 0) for i in range(600)]
    with pytest.raises(TimeoutError):
        play_levels(Sheet(), rows, 0)
    with SimChip(["A"]) as sim:
        link = sim.connect()
        link.send(REQUEST)
        got = 0
        thread = threading.Thread(target=play_levels, args=(sim, [*rows] * 10, 0))
        thread.start()
        while got < 6_000:
            link.send(b'{"do": "read", "max": 1024}')
            answer = b"!"
            while answer == b"!" or answer[:1] == b"{":
                answer = link.recv(65_536)
            got += len(answer) // 17
        thread.join(60)
        held = sim.lines[0].holder
        assert held is not None
        assert (got, held.seqno) == (6_000, 6_000)  # none was dropped
        link.close()


@pytest.mark.parametrize("name", ["edges.csv", "edges.csv.gz"])
def test_a_recording_keeps_its_microseconds(tmp_path: Path, name: str) -> None:
    text = b"t_ms,line,level\n0,GPIO17,1\n12.345678,GPIO27,0\n1e3,3,1\n"
    path = tmp_path / name
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert list(read_rows(path)) == [
        LineLevel(0, "GPIO17", True),
        LineLevel(12_345_678, "GPIO27", False),
        LineLevel(1_000 * MS, "3", True),
    ]


def test_a_level_that_was_found_is_driven_and_one_that_nobody_watched_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "edges.csv"
    path.write_text("t_ms,line,level\n0,3,=1\n5,3,?\n7,3,=0\n", encoding="utf-8")
    assert [(row.t_ns // MS, row.level) for row in read_rows(path)] == [(0, True), (7, False)]


@pytest.mark.parametrize("row", ["x,GPIO1,1", "1,GPIO1,2", "1,GPIO1", "nan,GPIO1,1", "inf,GPIO1,1"])
def test_a_row_that_is_wrong_is_named(tmp_path: Path, row: str) -> None:
    path = tmp_path / "edges.csv"
    path.write_text(f"t_ms,line,level\n0,GPIO17,1\n{row}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="row 3"):
        list(read_rows(path))
