"""The street of a scenario on a played cabinet, in virtual time: who drives, what wires show."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.traffic import Flow
from edge.cabinet.cabinet import Cabinet, placed_site
from edge.cabinet.deskplaces import desk_places
from edge.cabinet.playedlines import StreetWish
from edge.core import ConfigError
from edge.rig.scenario import Trace, Traffic, Value, Vehicle
from edge.rig.streetplay import Difference, StreetPlay
from edge.rig.values import at, pairs, sources
from tests.rig.scenes import SIGNAL, read_site, scenario

S = 1_000_000_000
MS = 1_000_000
ZERO_NS = 7 * S
CARS = (Traffic(lanes=("north_1", "north_2"), per_hour=900, spread_kmh=5.0),)


class Street:
    """A cabinet whose time a test moves on."""

    def __init__(
        self, folder: Path, duration_s: float = 300.0, more: str = "", **tables: Any
    ) -> None:
        self.now_ns = 0
        site = read_site(folder, more)
        placed = placed_site(site, desk_places(site, folder, {}))
        wish = StreetWish(Flow(0.0))
        self.cabinet = Cabinet(placed, street=wish, clock_ns=lambda: self.now_ns)
        self.play = StreetPlay(scenario(folder, duration_s, **tables), self.cabinet)
        for lines in self.cabinet.lines.values():
            for card in lines.loops.values():
                card.begin(0)
            for lane in lines.lanes.values():
                lane.begin(0)
        self.play.begin(ZERO_NS)

    def until(self, t_s: float) -> None:
        self.now_ns = ZERO_NS + round(t_s * S)
        self.cabinet.timeline.run_until(self.now_ns)

    def misbehave(self, target: str, fault: str) -> None:
        self.cabinet.misbehave(target, fault)
        self.cabinet.timeline.run_until(self.now_ns)

    def differences(self, loop: str, from_s: float, most: int = 100) -> list[Difference]:
        from_ns = ZERO_NS + round(from_s * S)
        return self.play.loops[loop].differences(from_ns, self.now_ns, most)


@pytest.fixture
def street(tmp_path: Path) -> Callable[..., Street]:
    return lambda *args, **tables: Street(tmp_path, *args, **tables)


def test_without_a_fault_the_wires_show_what_is_true(street: Callable[..., Street]) -> None:
    one = street(traffic=CARS)
    one.until(330.0)
    driven = one.play.driven(one.now_ns)
    assert len(driven) > 100
    assert driven == sorted(driven, key=lambda d: (d.on_s, d.lane))
    for name, record in one.play.loops.items():
        assert one.differences(name, 0.0) == [], name
        closes = [t_ns for t_ns, closed in record.changes if closed]
        assert closes == [ZERO_NS + round(d.on_s * S) for d in driven if d.lane == name[:7]] or (
            name.endswith("trail")
        )


def test_who_is_still_on_the_loops_has_come_and_who_is_yet_to_come_has_not(
    street: Callable[..., Street],
) -> None:
    """A box may have counted him already when a run is broken off."""
    stands = Vehicle(lane="north_1", at_s=10.0, stops_s=50.0)
    one = street(vehicles=(stands, Vehicle(lane="north_2", at_s=5.0)))
    one.until(8.0)
    assert [d.lane for d in one.play.driven(one.now_ns)] == ["north_2"]
    one.until(30.0)
    assert [d.lane for d in one.play.driven(one.now_ns)] == ["north_2", "north_1"]


FAULTS = ["stuck_on", "dead", "chatter", "bounce", "crosstalk", "breakup", "late_release",
          "undercount", "inverted", "swapped", "dead_pair", "splashover"]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_a_loop_is_seen_on_its_wire(
    street: Callable[..., Street], fault: str
) -> None:
    one = street(traffic=(Traffic(lanes=("north_1", "north_2"), per_hour=900, kind="mixed"),))
    one.until(60.0)
    one.misbehave("north_2", fault)
    one.until(200.0)
    assert one.differences("north_2.lead", 0.0)[0].from_ns >= ZERO_NS + 60 * S - MS
    assert one.differences("north_1.lead", 0.0) == []
    one.misbehave("north_2", "none")
    one.until(215.0)  # who was on it then has gone
    assert one.differences("north_2.lead", 215.0) == []


def test_only_the_first_differences_are_wanted(street: Callable[..., Street]) -> None:
    one = street(traffic=CARS)
    one.misbehave("north_2", "chatter")
    one.until(100.0)
    assert len(one.differences("north_2.lead", 0.0, 3)) == 3
    assert len(one.differences("north_2.lead", 0.0)) > 50


def test_a_dead_card_is_seen_on_all_its_loops(street: Callable[..., Street]) -> None:
    one = street(traffic=CARS)
    one.misbehave("approach.north", "dead_card")
    one.until(60.0)
    found = one.differences("north_1.lead", 0.0)
    assert len(found) == len([d for d in one.play.driven(one.now_ns) if d.lane == "north_1"])
    assert not any(difference.closed for difference in found)


def test_an_empty_approach_turns_vehicles_away(street: Callable[..., Street]) -> None:
    one = street(traffic=CARS)
    one.until(60.0)
    before = len(one.play.driven(one.now_ns))
    one.misbehave("approach.north", "empty")
    one.until(120.0)
    assert len(one.play.driven(one.now_ns)) <= before + 2
    assert one.play.turned_away > 20
    one.misbehave("approach.north", "none")
    one.until(200.0)
    assert len(one.play.driven(one.now_ns)) > before + 20


def test_a_congested_approach_is_slow_and_nobody_drives_into_another(
    street: Callable[..., Street],
) -> None:
    one = street(traffic=CARS)
    one.until(60.0)
    one.misbehave("approach.north", "congestion")
    one.until(200.0)
    slow = [d for d in one.play.driven(one.now_ns) if d.on_s > 65.0]
    assert slow
    assert all(d.speed_kmh <= 16.0 for d in slow)
    assert one.play.slowed >= len(slow)
    assert one.differences("north_1.lead", 0.0) == []
    spells = one.play.loops["north_1.trail"].true
    lane = [d for d in one.play.driven(one.now_ns) if d.lane == "north_1"]
    assert len([spell for spell in spells if spell[1] <= one.now_ns]) >= len(lane) - 1


def test_recorded_edges_come_to_the_loops_and_their_faults_show(
    street: Callable[..., Street], tmp_path: Path
) -> None:
    rows = ["t_ms,line,level", "500,GPIO17,=1", "1000,GPIO17,0", "1500.5,GPIO17,1",
            "2000,GPIO5,0", "3000,GPIO17,0", "3200,GPIO17,1", "4000,GPIO22,0"]  # fmt: skip
    with gzip.open(tmp_path / "day.csv.gz", "wt") as file:
        file.write("\n".join(rows) + "\n")
    one = street(traces=(Trace(file="day.csv.gz", kind="edges"),))
    one.until(2.5)
    one.misbehave("north_1", "dead")
    one.until(10.0)
    record = one.play.loops["north_1.lead"]
    assert [t_ns - ZERO_NS for t_ns, _ in record.changes[1:]] == [1000 * MS, 1_500_500_000]
    assert [d.from_ns - ZERO_NS for d in one.differences("north_1.lead", 0.0)] == [3000 * MS]
    assert one.play.passed(["north_1"], ZERO_NS, one.now_ns) == 2


def test_a_table_of_vehicles_is_driven(street: Callable[..., Street], tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text(
        "t_s,lane,speed_kmh,length_m\n5,north_1,36,5\n9.5,north_2,72,12\n"
    )
    one = street(traces=(Trace(file="v.csv", kind="vehicles"),))
    one.until(60.0)
    found = [(d.lane, d.on_s, d.speed_kmh, d.length_m) for d in one.play.driven(one.now_ns)]
    assert found == [("north_1", 5.0, 36.0, 5.0), ("north_2", 9.5, 72.0, 12.0)]


def test_what_sumo_writes_is_driven(street: Callable[..., Street], tmp_path: Path) -> None:
    row = '<instantOut id="{}" time="{}" state="{}" vehID="a" speed="10.0" length="4.3"/>'
    rows = [
        row.format("north_1.lead", 4.25, "enter"),
        row.format("north_1.lead", 4.8, "leave"),
        row.format("north_1.trail", 4.65, "enter"),
        row.format("north_2", 7.0, "enter"),
    ]
    (tmp_path / "s.xml").write_text(f"<instantE1>{''.join(rows)}</instantE1>")
    one = street(traces=(Trace(file="s.xml", kind="sumo", lanes=("north_1",)),))
    one.until(60.0)
    found = [(d.lane, d.on_s, d.speed_kmh) for d in one.play.driven(one.now_ns)]
    assert found == [("north_1", 4.25, 36.0)]


WRONG = [
    ("vehicles", "t_s,lane,speed_kmh,length_m\n5,west_9,36,5\n", "lane west_9"),
    ("vehicles", "t_s,lane,speed_kmh,length_m\n5,north_1,0,5\n", "row 2"),
    ("vehicles", "t_s,lane,speed_kmh,length_m\n5,north_1\n", "row 2"),
    ("vehicles", "t_s,lane,speed_kmh\n", "length_m"),
    ("edges", "t_ms,line,level\n5,GPIO17,7\n", "row 2"),
    ("sumo", "<instantE1><instantOut", "cannot be read"),
    ("sumo", '<a><instantOut id="north_1" state="enter" speed="x"/></a>', "cannot be read"),
]


@pytest.mark.parametrize(("kind", "text", "said"), WRONG)
def test_recorded_traffic_that_is_wrong_is_refused(
    street: Callable[..., Street], tmp_path: Path, kind: Any, text: str, said: str
) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(ConfigError, match=said):
        street(traces=(Trace(file="file", kind=kind),))


def test_values_follow_their_course(tmp_path: Path) -> None:
    curve = Value(device="hut", point="temperature", curve=((10.0, 20.0), (20.0, 40.0)))
    assert [at(pairs(curve, tmp_path), t_s) for t_s in (0, 10, 15, 20, 99)] == [20, 20, 30, 40, 40]
    (tmp_path / "t.csv").write_text("t_s,humidity\n0,50\n100,60\n")
    series = Value(device="hut", point="humidity", series="t.csv")
    fixed = Value(device="main_meter", point="voltage_l1", constant=231.0)
    made = sources(scenario(tmp_path, values=(curve, series, fixed)), lambda: 1000.0)
    assert made["hut"](1015.0) == {"temperature": 30.0, "humidity": 51.5}
    assert made["main_meter"](0.0) == {"voltage_l1": 231.0}


@pytest.mark.parametrize("text", ["t_s,humidity\n", "t_s\n0\n", "t_s,humidity\n5,1\n5,2\n",
                                  "t_s,humidity\n5,x\n", ""])  # fmt: skip
def test_a_series_that_is_wrong_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ConfigError, match=r"t\.csv"):
        pairs(Value(device="hut", point="humidity", series="t.csv"), tmp_path)


def test_other_contacts_follow_a_recording_and_nothing_else(
    street: Callable[..., Street], tmp_path: Path
) -> None:
    rows = ["t_ms,line,level", "0,GPIO6,=0", "1000,GPIO6,1", "4000,GPIO6,0", "900000,GPIO6,1"]
    (tmp_path / "day.csv").write_text("\n".join(rows) + "\n")
    one = street(more=SIGNAL, traces=(Trace(file="day.csv", kind="edges"),))
    green = next(lines.contacts["green"] for lines in one.cabinet.lines.values())
    shown = []
    for t_s in (0.5, 2.0, 3.9, 5.0, 290.0):
        one.until(t_s)
        shown.append(green.closed())
    assert shown == [True, False, False, True, True]  # the line is low while it is closed
    other = street(more=SIGNAL, traces=(Trace(file="day.csv", kind="edges", lanes=("north_1",)),))
    wishes = next(lines.contacts["green"] for lines in other.cabinet.lines.values())
    other.until(290.0)
    assert wishes.wishes > 4  # the usual cycle
