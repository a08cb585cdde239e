"""The street in a file: classes, signals, approaches, bays; what is said of one wrong thing."""

import pytest

from edge.config import Class, site_warnings
from tests.config.conftest import RIGHT, Read, Wrong

# RIGHT ends in [lane.north_1], whose header is on line 12; what is added begins on line 16.
LANE_SOUTH = '[lane.south_1]\napproach = "south"\nbus = "loops"\nlead = "GPIO18"\n'
PAIR = 'trail = "GPIO27"\nspacing_m = 4.0\n'
BAY = '[bay.bakery]\nbus = "loops"\nline = "GPIO25"\nkind = "loading"\n'
PHASE = (
    '[device.green]\ndriver = "contact"\nbus = "loops"\nline = "GPIO6"\n'
    'phase = { approach = "north", colour = "green" }\n'
)


def of(*classes: str) -> str:
    """A pair with these classes, each on a line of its own; the first is on line 19."""
    return PAIR + "classes = [\n" + "".join(f"  {{ {each} }},\n" for each in classes) + "]\n"


def after(name: str, downstream: str, distance_m: float = 200) -> str:
    return f'[approach.{name}]\ndownstream = "{downstream}"\ndistance_m = {distance_m}\n'


def test_a_street_that_is_right(read: Read) -> None:
    text = (
        RIGHT
        + of('name = "short", to_m = 6.5', 'name = "long"')
        + "limit_kmh = 50\neffective_m = 2.4\ntailgate_s = 1.5\nstopped_s = 20\n"
        + 'position = "stop"\n'
        + LANE_SOUTH
        + after("north", "south", 220)
        + BAY
        + "max_stay_min = 30\n"
        + PHASE
    )
    site = read(text)
    assert site_warnings(site) == []
    lane = site.lanes["north_1"]
    assert lane.classes == (Class(name="short", to_m=6.5), Class(name="long"))
    assert (lane.limit_kmh, lane.effective_m, lane.tailgate_s, lane.stopped_s) == (50, 2.4, 1.5, 20)
    assert (site.ways["north"].downstream, site.ways["north"].distance_m) == ("south", 220)
    bay = site.bays["bakery"]
    assert (bay.kind, bay.max_stay_min, bay.min_stay_s, bay.active) == ("loading", 30, 10, "low")
    phase = site.devices["green"].phase
    assert phase is not None
    assert (phase.approach, phase.colour) == ("north", "green")
    assert site.signals == {"north": ["green"]}
    assert list(site.bays_on("loops")) == ["bakery"]


def test_what_is_left_out_has_a_default(read: Read) -> None:
    lane = read(RIGHT).lanes["north_1"]
    assert (lane.tailgate_s, lane.stopped_s) == (0.9, 10.0)
    assert (lane.classes, lane.limit_kmh, lane.effective_m) == (None, None, None)
    assert read(RIGHT + BAY).bays["bakery"].max_stay_min == 0


@pytest.mark.parametrize(
    ("added", "message"),
    [
        # classes
        (PAIR + "classes = 3\n", "18: lane.north_1.classes: 3 does not fit; a list of tables"),
        (PAIR + 'classes = ["a"]\n', "18: lane.north_1.classes: a list does not fit; a list of"),
        (PAIR + "classes = []\n", "18: lane.north_1.classes: has 0 classes; 1 to 8 belong here"),
        (
            of(*[f'name = "c{i}", to_m = {i}' for i in range(1, 10)]),
            "18: lane.north_1.classes: has 9 classes; 1 to 8 belong here",
        ),
        (
            of('name = "a", to_m = 6', 'name = "b", to_m = 5', 'name = "c"'),
            "20: lane.north_1.classes[1].to_m: 5 m is not above the 6 m of the class before",
        ),
        (
            of('name = "a"', 'name = "b"'),
            "19: lane.north_1.classes[0].to_m: is missing; only the last class may",
        ),
        (
            of('name = "a", to_m = 6', 'name = "b", to_m = 9'),
            "20: lane.north_1.classes[1].to_m: the last class takes all longer vehicles",
        ),
        (
            of('name = "a", to_m = 6', 'name = "a"'),
            '20: lane.north_1.classes[1].name: "a" is listed twice',
        ),
        (of("to_m = 6", 'name = "a"'), "19: lane.north_1.classes[0].name: is missing; 1 to 64 of"),
        (
            of('name = "A B", to_m = 6', 'name = "a"'),
            '19: lane.north_1.classes[0].name: "A B" is not 1 to 64 of a-z',
        ),
        (
            of('name = "a", to_m = 0', 'name = "b"'),
            "19: lane.north_1.classes[0].to_m: 0 is not between 0.5 and 50.0",
        ),
        (
            of('name = "a", upto = 3, to_m = 3', 'name = "b"'),
            "19: lane.north_1.classes[0].upto: unknown key; choose from name, to_m",
        ),
        # the other keys of a lane
        ("limit_kmh = 0\n", "16: lane.north_1.limit_kmh: 0 is not between 5.0 and 200.0"),
        ("effective_m = 0.1\n", "16: lane.north_1.effective_m: 0.1 is not between 0.2 and 20.0"),
        ("tailgate_s = 0\n", "16: lane.north_1.tailgate_s: 0 is not between 0.1 and 10.0"),
        ("stopped_s = 2\n", "16: lane.north_1.stopped_s: 2 is not between 3.0 and 600.0"),
        (
            "stopped_s = 301\n",
            "16: lane.north_1.stopped_s: a vehicle has stopped after 301 s, and a loop is stuck "
            "after 300 s; stopped_s must not be more than max_presence_s",
        ),
        # approaches
        (
            after("nort", "north"),
            '16: approach.nort: no lane belongs to approach "nort"; did you mean north?',
        ),
        (
            after("north", "bridge"),
            '17: approach.north.downstream: no lane belongs to approach "bridge"; '
            "choose from north",
        ),
        (after("north", "north"), "17: approach.north.downstream: is the approach itself"),
        (
            LANE_SOUTH + after("north", "south") + after("south", "north"),
            "21: approach.north.downstream: makes a circle: north -> south -> north; leave one out",
        ),
        (
            LANE_SOUTH + after("north", "south", 0),
            "22: approach.north.distance_m: 0 is not between 1.0 and 20000.0",
        ),
        (
            LANE_SOUTH + '[approach.north]\ndownstream = "south"\n',
            "20: approach.north.distance_m: is missing; a number from 1.0 to 20000.0 belongs here",
        ),
        (
            "[approach.north]\ndistance_m = 3\n",
            "16: approach.north.downstream: is missing; 1 to 64 of",
        ),
        # bays
        (BAY.replace("loops", "loop"), '17: bay.bakery.bus: no bus is called "loop"; did you mean'),
        (
            '[bus.air]\nkind = "i2c"\n' + BAY.replace("loops", "air"),
            "19: bay.bakery.bus: a bay needs a bus of kind gpio, and air is i2c; loops would fit",
        ),
        (
            BAY.replace("GPIO25", "17"),
            "18: bay.bakery.line: 17 on loops is used by lane.north_1.lead already",
        ),
        (
            BAY + BAY.replace("bakery", "baker"),
            "22: bay.baker.line: GPIO25 on loops is used by bay.bakery.line already",
        ),
        (
            BAY.replace("bakery", "north_1"),
            "16: bay.north_1: a lane has this name already; records are told apart by it",
        ),
        (
            BAY + '[device.bakery]\ndriver = "contact"\nbus = "loops"\nline = "GPIO3"\n',
            "16: bay.bakery: a device has this name already",
        ),
        (BAY.replace("loading", "loadin"), '19: bay.bakery.kind: "loadin" is not one of'),
        (BAY.replace('kind = "loading"\n', ""), "16: bay.bakery.kind: is missing; one of"),
        (BAY + "max_stay_min = -1\n", "20: bay.bakery.max_stay_min: -1 is not between 0.0 and"),
        (BAY + "max_stay = 1\n", "20: bay.bakery.max_stay: unknown key; did you mean max_stay_min"),
        (
            BAY + "max_stay_min = 0.1\n",
            "20: bay.bakery.max_stay_min: 0.1 min are not more than the 10 s that make a stay",
        ),
        (BAY + "min_stay_s = 601\n", "20: bay.bakery.min_stay_s: 601 is not between 0.0 and 600.0"),
        # signals
        (
            PHASE.replace("north", "nort"),
            '20: device.green.phase.approach: no lane belongs to approach "nort"; did you mean '
            "north?",
        ),
        (PHASE.replace('"green" }', '"grene" }'), "did you mean green?"),
        (PHASE.replace(', colour = "green"', ""), "20: device.green.phase.colour: is missing; one"),
        (PHASE.replace("colour", "color"), "20: device.green.phase.color: unknown key; did you"),
        (
            PHASE.replace('"green" }', '"amber" }'),
            "20: device.green.phase.colour: amber alone does not show when north is green; add",
        ),
        (
            PHASE.replace('{ approach = "north", colour = "green" }', '"green"'),
            '20: device.green.phase: "green" does not fit; a table such as { approach = "north"',
        ),
        (
            PHASE + PHASE.replace("[device.green]", "[device.two]").replace("GPIO6", "GPIO7"),
            "25: device.two.phase.colour: device.green tells green of north already; use one",
        ),
        (
            PHASE + 'event = "door"\n',
            "21: device.green.event: a contact with a phase sends no events; leave this out",
        ),
        (
            PHASE.replace('"contact"', '"s0"'),
            '20: device.green.phase: s0 is no contact; a phase needs driver = "contact"',
        ),
        (
            PHASE.replace("GPIO6", "GPIO17"),
            "15: lane.north_1.lead: GPIO17 on loops is used by device.green.line already",
        ),
    ],
)
def test_one_thing_is_wrong(wrong: Wrong, added: str, message: str) -> None:
    problems = wrong(RIGHT + added)
    assert len([each for each in problems if message in each]) == 1, problems


def test_a_long_ring_is_told_once(wrong: Wrong) -> None:
    lanes = LANE_SOUTH + LANE_SOUTH.replace("south", "east").replace("GPIO18", "GPIO19")
    ring = after("north", "south") + after("south", "east") + after("east", "north")
    (problem,) = wrong(RIGHT + lanes + ring)
    assert "makes a circle: north -> south -> east -> north; leave one out" in problem


def test_a_way_that_leads_into_a_ring_is_not_told_of_it(wrong: Wrong) -> None:
    lanes = LANE_SOUTH + LANE_SOUTH.replace("south", "east").replace("GPIO18", "GPIO19")
    ways = after("north", "south") + after("south", "east") + after("east", "south")
    (problem,) = wrong(RIGHT + lanes + ways)
    assert "approach.south.downstream: makes a circle: south -> east -> south" in problem


def test_red_and_amber_are_enough(read: Read) -> None:
    red = PHASE.replace("green", "red")
    amber = PHASE.replace("green", "amber").replace("GPIO6", "GPIO7")
    assert read(RIGHT + red + amber).signals == {"north": ["red", "amber"]}


@pytest.mark.parametrize(
    ("added", "message"),
    [
        (
            'classes = [{ name = "any" }]\n',
            "16: lane.north_1.classes: has no effect: lengths need a pair of loops",
        ),
        (
            PAIR + 'loop_m = 1\nkind = "bicycle"\nclasses = [{ name = "any" }]\n',
            "20: lane.north_1.classes: has no effect: a lane of bicycles counts bicycles",
        ),
        (
            'mode = "pulse"\ntailgate_s = 1\n',
            "17: lane.north_1.tailgate_s: has no effect: a pulse does not show where",
        ),
        (
            PHASE,
            "20: device.green.phase: no lane of north has a position near a signal, so the "
            'signal is not judged; write position = "stop", "mid" or "advance" in lane.north_1',
        ),
        (
            'position = "advance"\n' + PHASE,
            "21: device.green.phase: no lane of north has a loop in presence mode at the stop line",
        ),
        ('[models]\nshadow = "/no"\n', "17: models.shadow: /no is not there; no candidate would"),
        ('[models]\nshadow = "/"\ndir = "/"\n', "17: models.shadow: is the same as dir; a model"),
    ],
)
def test_what_may_surprise_is_said(read: Read, added: str, message: str) -> None:
    (remark,) = (f"{p.line}: {p.key}: {p.text}" for p in site_warnings(read(RIGHT + added)))
    assert remark.startswith(message)


def test_a_site_of_bays_alone_is_a_site(read: Read) -> None:
    assert site_warnings(read(RIGHT[: RIGHT.index("[lane.north_1]")] + BAY)) == []
