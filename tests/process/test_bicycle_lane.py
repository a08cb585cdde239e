"""Loops of a cycle track: close together, slow, short; what is no bicycle has no speed."""

from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.process.engine import LaneSetup
from edge.process.merge import merge_bodies
from edge.process.traffic.passage import BICYCLE_LIMITS, SpeedTrap, measure_passage
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, S, body, engine, events, found, presences

TRACK = LaneSetup("track", "quay", spacing_m=1.5, loop_m=0.8, kind="bicycle")
LINES = ("track.lead", "track.trail")


def bike(at_s: float, kmh: float, length_m: float = 1.8, wrong: bool = False) -> list[Contact]:
    """What it does to the contacts of TRACK."""
    v = kmh / 3.6
    on = (length_m + 0.8) / v
    first, second = reversed(LINES) if wrong else LINES
    return presences(first, (at_s, at_s + on)) + presences(
        second, (at_s + 1.5 / v, at_s + 1.5 / v + on)
    )


def reported(*contacts: list[Contact], setup: LaneSetup = TRACK) -> dict[str, object]:
    made = engine(setup)
    made.contacts(found(*LINES))
    made.contacts(sorted(chain(*contacts), key=lambda each: each.mono_ns))
    return dict(body(made.close(MINUTE), "track"))


def test_a_pair_tells_speed_and_length_of_bicycles() -> None:
    said = reported(bike(5, 18), bike(10, 27, 1.6), bike(15, 4, 2.6), bike(30, 59))
    assert said["kind"] == "bicycle"
    assert said["volume"] == 4
    speed, length = said["speed"], said["length"]
    assert isinstance(speed, dict)
    assert isinstance(length, dict)
    assert (speed["n"], speed["mean"]) == (4, 27)
    assert length["sum"] == pytest.approx(180 + 160 + 260 + 180, abs=4)
    assert said["quality"] == {"good": 4}


@pytest.mark.parametrize(("kmh", "length_m"), [(2.5, 1.8), (62, 1.8), (30, 4.6), (15, 0.3)])
def test_what_is_no_bicycle_counts_and_has_no_speed(kmh: float, length_m: float) -> None:
    said = reported(bike(5, 18), bike(15, kmh, length_m))
    assert said["volume"] == 2
    assert said["speed"]["n"] == 1  # type: ignore[index]
    assert said["quality"] == {"good": 1, "bad:range": 1}


def test_the_wrong_way_is_counted_and_has_no_speed() -> None:
    said = reported(bike(5, 18), bike(10, 18, wrong=True), bike(15, 22, wrong=True), bike(20, 25))
    assert (said["volume"], said["wrong_way"]) == (4, 2)
    assert said["speed"]["n"] == 2  # type: ignore[index]


def test_a_lane_of_vehicles_says_nothing_of_its_kind_and_has_other_limits() -> None:
    vehicles = replace(TRACK, kind="vehicle", spacing_m=4.0)
    assert "kind" not in reported(setup=vehicles)
    with pytest.raises(ValueError, match=r"1\.8288 to 100"):
        replace(TRACK, kind="vehicle")
    with pytest.raises(ValueError, match=r"0\.5 to 100"):
        replace(TRACK, spacing_m=0.4)


def test_a_school_class_is_no_chatter_and_a_loose_wire_is() -> None:
    def ridden(count: int, every_s: float) -> list[Contact]:
        return list(chain(*(bike(1 + i * every_s, 20) for i in range(count))))

    assert reported(ridden(60, 0.7))["health"] == "ok"
    made = engine(replace(TRACK, spacing_m=None))
    made.contacts(found(LINES[0]))
    made.contacts(presences(LINES[0], *((1 + i * 0.2, 1.1 + i * 0.2) for i in range(120))))
    drafts = made.close(MINUTE)
    assert body(drafts, "track")["health"] == "chatter"
    assert [as_read(each)["state"] for each in events(drafts)] == ["on", "off"]
    assert body(drafts, "track")["volume"] is None


def test_records_are_merged_with_their_like() -> None:
    one, two = reported(bike(5, 18)), reported(bike(8, 24), bike(10, 18, wrong=True))
    both = merge_bodies(one, two)
    assert (both["kind"], both["volume"], both["wrong_way"]) == ("bicycle", 3, 1)
    with pytest.raises(ValueError, match="two lanes"):
        merge_bodies(one, {key: value for key, value in two.items() if key != "kind"})


@given(
    st.floats(3.2, 59), st.floats(0.6, 3.9), st.floats(0.5, 3), st.floats(0.3, 2.5),
)  # fmt: skip
def test_any_bicycle_over_any_pair_is_measured(
    kmh: float, length_m: float, spacing_m: float, loop_m: float
) -> None:
    v = kmh / 3.6
    on, later = round((length_m + loop_m) / v * S), round(spacing_m / v * S)
    trap = SpeedTrap(round(spacing_m * 1000), round(loop_m * 1000), limits=BICYCLE_LIMITS)
    one = measure_passage(trap, 0, on, later, later + on)
    assert one is not None
    assert one.speed == pytest.approx(kmh * 10, rel=0.002, abs=0.6)
    assert one.length == pytest.approx(length_m * 100, rel=0.01, abs=2)
    assert measure_passage(
        replace(trap, limits=SpeedTrap(0, 0).limits), 0, on, later, later + on
    ) is None or (spacing_m >= 1.8 and kmh > 4.9)
