"""Merging records: associative bit for bit, and equal to one longer window where that is known."""

import json
import math
import random
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Contact, DoubtedLoop, StoredBody
from edge.core.quality import Reason
from edge.core.reading import Bad, UncertainValue
from edge.process.engine import Engine
from edge.process.merge import merge_bodies
from edge.process.traffic.loopselection import HEALTH_STATES, STATES
from edge.process.traffic.singleloopspeed import single_speed
from edge.wire.contract.body import body_map
from tests.kit.engine import (
    AIR,
    HEAT,
    METER,
    MINUTE,
    PAIR,
    S,
    body,
    car,
    close_doubted,
    engine,
    found,
    presences,
    sweeps,
)
from tests.kit.randomsite import SITE, SiteInput, worlds
from tests.process.windows import SLOW, run


def bodies(world: SiteInput) -> dict[str, list[dict[str, Any]]]:
    """Per source the records of three windows at least."""
    last = world.ends[-1]
    ends = sorted({*world.ends, last // 3 + 1, last // 2 + 2})
    reported: dict[str, list[dict[str, Any]]] = {}
    for text in run(SiteInput(world.sources, ends)):
        for stream, source, _, _, record in json.loads(text):
            if stream != "event":
                reported.setdefault(source, []).append(record)
    return reported


def judged(world: SiteInput, chance: random.Random) -> list[list[dict[str, Any]]]:
    """With what models add to some records."""
    reported = list(bodies(world).values())
    for record in (record for records in reported for record in records):
        if chance.random() < 0.5 and "lane" in record:
            record["p_congested"] = chance.randrange(1000) / 1000
            record["p_congested_15"] = chance.randrange(1000) / 1000
        if chance.random() < 0.5 and "lane" in record:
            record["loops"] = {
                part: {"score": chance.randrange(3) / 2, "fault": chance.choice((None, "chatter"))}
                for part in chance.sample(("trail", "lead"), chance.randrange(1, 3))
            }
        if chance.random() < 0.5:
            keys = ("volume", "speed", "occupancy") if "lane" in record else ("b", "a", "c")
            record["anomaly"] = {key: chance.randrange(1, 4) / 4 for key in chance.sample(keys, 2)}
    return reported


@SLOW
@given(worlds(), st.randoms(use_true_random=False))
def test_merging_is_associative_to_the_bit(world: SiteInput, chance: random.Random) -> None:
    for records in judged(world, chance):
        for a, b, c in zip(records, records[1:], records[2:], strict=False):
            left, right = merge_bodies(merge_bodies(a, b), c), merge_bodies(a, merge_bodies(b, c))
            assert json.dumps(left) == json.dumps(right)


def windows(made: Engine, feed: Any, *ends: int) -> list[dict[str, Any]]:
    feed(made)
    return [dict(body(made.close(end), made_name(made))) for end in ends]


def made_name(made: Engine) -> str:
    (name,) = made.setup.names()
    return name


def both(part: Any, feed: Any) -> tuple[StoredBody, StoredBody]:
    """Two windows merged, and one window of both."""
    first, second = windows(engine(part), feed, MINUTE, 2 * MINUTE)
    (whole,) = windows(engine(part), feed, 2 * MINUTE)
    return merge_bodies(first, second), whole


VALUES = st.lists(st.floats(0, 999), min_size=32, max_size=60)


@given(VALUES)
def test_two_windows_of_a_gauge_are_one(values: list[float]) -> None:
    rows = [(i * 2, (v, Bad(Reason.CRC) if i % 3 else 20.0)) for i, v in enumerate(values)]
    merged, whole = both(AIR, lambda made: made.sweeps(sweeps("hut_air", rows)))
    for reported in (merged, whole):
        for point in reported["points"].values():
            point["quality"].pop("bad:stale", None)  # each window forgives one sweep
    assert merged == whole


@given(st.lists(st.integers(0, 200), min_size=32, max_size=60))
def test_two_windows_of_a_register_are_one(steps: list[int]) -> None:
    rows = [(i * 2, (100.0, 5 + sum(steps[:i]) / 1000)) for i in range(len(steps))]
    merged, whole = both(METER, lambda made: made.sweeps(sweeps("main_meter", rows)))
    assert merged["points"]["energy_import"] | {"quality": 0} == whole["points"][
        "energy_import"
    ] | {"quality": 0}


def test_good_values_outweigh_uncertain_ones_over_windows_too() -> None:
    made = engine(AIR)
    made.sweeps(
        sweeps("hut_air", [(1, (10.0, 20.0)), (61, (UncertainValue(90.0, Reason.WARMUP), 20.0))])
    )
    good, doubtful = (dict(body(made.close(i * MINUTE), "hut_air")) for i in (1, 2))
    for merged in (merge_bodies(good, doubtful), merge_bodies(doubtful, good)):
        reported = merged["points"]["pm2_5"]
        assert (reported["n"], reported["mean"], reported["max"]) == (1, 10.0, 10.0)
        assert reported["quality"] == {"bad:stale": 118, "good": 1, "uncertain:warmup": 1}
        assert "grade" not in reported
    assert merge_bodies(doubtful, doubtful)["points"]["pm2_5"]["grade"] == "uncertain"


def test_two_windows_of_a_lane_are_one() -> None:
    def traffic(made: Engine) -> None:
        made.contacts(found("north_1.lead", "north_1.trail"))
        for i in range(20):
            made.contacts(car("north_1", 1 + i * 5.7, 30 + i * 3, 4 + i % 3))

    merged, whole = both(PAIR, traffic)
    assert merged == whole
    assert whole["volume"] == 20
    assert whole["classes"] == {"short": 20}
    assert whole["tailgating"]["of"] == 19


DOUBTS = st.lists(
    st.builds(
        lambda part, fault: DoubtedLoop("north_1", part, fault),
        st.sampled_from(["lead", "trail"]),
        st.sampled_from(STATES[1:]),
    ),
    max_size=2,
)


def doubted(world: SiteInput, doubts: list[list[DoubtedLoop]]) -> list[dict[str, Any]]:
    """Records of a lane whose loops are doubted in some windows."""
    made = Engine(SITE)
    made.start(0)
    made.contacts(
        [each for line in world.sources.values() for each in line if isinstance(each, Contact)]
    )
    last = world.ends[-1]
    ends = sorted({*world.ends, last // 3 + 1, last // 2 + 2})
    reported = []
    for at, end_ns in enumerate(ends):
        drafts = close_doubted(made, end_ns, lambda *_, at=at: doubts[at % len(doubts)])
        reported.append(dict(body(drafts, "north_1")))
    return reported


@SLOW
@given(worlds(), st.lists(DOUBTS, min_size=3, max_size=5))
def test_a_doubted_part_takes_nothing_and_gives_nothing(
    world: SiteInput, doubts: list[list[DoubtedLoop]]
) -> None:
    records = doubted(world, doubts)
    for a, b, c in zip(records, records[1:], records[2:], strict=False):
        left, right = merge_bodies(merge_bodies(a, b), c), merge_bodies(a, merge_bodies(b, c))
        assert json.dumps(left) == json.dumps(right)
    whole: StoredBody = reduce(merge_bodies, records)
    known = [each for each in records if each["volume"] is not None]
    assert whole["volume"] == (sum(each["volume"] for each in known) if known else None)
    by = {each.get("counted_by", "lead") for each in known}
    assert whole.get("counted_by", "lead" if known else None) == (
        "both" if len(by) == 2 else next(iter(by), None)
    )
    void_s = sum(each["covered_s"] for each in records if each["volume"] is None)
    assert whole.get("void_s", 0) == pytest.approx(void_s)
    assert whole["health"] == max((each["health"] for each in records), key=HEALTH_STATES.index)
    if whole["volume"] is None:
        assert whole["occupancy"] is whole["on_us"] is whole["headway"] is None
        assert not any("good" in word or "uncertain:loop" in word for word in whole["quality"])


COUNTS = st.integers(0, 9)
RARE = st.fixed_dictionaries(
    {},
    optional={
        "classes": st.dictionaries(st.sampled_from(["short", "long", "a"]), st.integers(1, 9)),
        "speed_single": st.builds(
            lambda n, pace, cm: body_map(single_speed(n, n * pace, cm)),
            st.integers(1, 40),
            st.integers(18_000_000, 10**10),
            st.integers(500, 900),
        ),
        "tailgating": st.fixed_dictionaries({"n": COUNTS, "of": st.integers(9, 40)}),
        "stopped": st.integers(1, 9),
        "queue_us": st.integers(1, 60_000_000),
    },
)


@given(RARE, RARE, RARE)
def test_what_is_rarely_told_merges_to_the_bit(a: Any, b: Any, c: Any) -> None:
    lane = dict(body(engine(PAIR).close(S), "north_1"))
    one, two, three = ({**lane, **each} for each in (a, b, c))
    left, right = (
        merge_bodies(merge_bodies(one, two), three),
        merge_bodies(one, merge_bodies(two, three)),
    )
    assert json.dumps(left) == json.dumps(right)
    for key in ("stopped", "queue_us"):
        assert left.get(key, 0) == sum(each.get(key, 0) for each in (a, b, c))
    reported = [each["speed_single"] for each in (a, b, c) if "speed_single" in each]
    if reported:
        merged = left["speed_single"]
        assert merged["n"] == sum(each["n"] for each in reported)
        assert merged["effective_cm"] == reported[-1]["effective_cm"]
        slowest, fastest = (f(each["kmh"] for each in reported) for f in (min, max))
        assert slowest - 0.01 <= merged["kmh"] <= fastest + 0.01


def test_two_windows_of_a_pulse_meter_are_one() -> None:
    def load(made: Engine) -> None:
        pulses = presences("heat", *((i * 2.5, i * 2.5 + 0.05) for i in range(40)))
        made.contacts([*found("heat"), *pulses])

    merged, whole = both(HEAT, load)
    assert merged == whole


def test_a_void_window_takes_nothing_from_its_neighbour() -> None:
    made = engine(PAIR)
    made.contacts([*found("north_1.lead", "north_1.trail"), *car("north_1", 10, 50)])
    good = dict(body(made.close(MINUTE), "north_1"))
    void = {
        **good, "volume": None, "occupancy": None, "on_us": None, "void_s": 60.0,
        "speed": None, "length": None, "headway": None, "gap": None,
        "quality": {"bad:stuck": 1}, "health": "stuck_on",
    }  # fmt: skip
    del void["classes"]
    for reported in (merge_bodies(good, void), merge_bodies(void, good)):
        assert (reported["volume"], reported["occupancy"]) == (1, good["occupancy"])
        assert (reported["covered_s"], reported["void_s"], reported["health"]) == (
            120,
            60,
            "stuck_on",
        )
        assert reported["quality"] == {"bad:stuck": 1, "good": 1}
        assert reported["speed"] == good["speed"]


def test_what_models_said_of_the_worst_minute_stays() -> None:
    lane, air = (dict(body(engine(part).close(S), part.name)) for part in (PAIR, AIR))
    reported = merge_bodies({**lane, "p_congested": 0.25}, {**lane, "p_congested": 0.75})
    assert reported["p_congested"] == merge_bodies(reported, lane)["p_congested"] == 0.75
    assert "p_congested" not in merge_bodies(lane, lane)
    one, two = {"score": 0.75, "fault": "chatter"}, {"score": 0.25, "fault": None}
    reported = merge_bodies(
        {**lane, "loops": {"lead": two, "trail": two}}, {**lane, "loops": {"lead": one}}
    )
    assert reported["loops"] == merge_bodies(reported, lane)["loops"] == {"lead": one, "trail": two}
    one, two = {"pm2_5": 0.5}, {"pm2_5": 0.25, "temperature": 0.75}
    reported = merge_bodies({**air, "anomaly": one}, {**air, "anomaly": two})
    assert reported["anomaly"] == {"pm2_5": 0.5, "temperature": 0.75}
    assert "anomaly" not in merge_bodies(air, air)


def test_what_does_not_belong_together_is_refused() -> None:
    lane, air, meter = (dict(body(engine(part).close(S), part.name)) for part in (PAIR, AIR, METER))
    for a, b in ((lane, air), (air, meter), (lane, {**lane, "lane": "other"})):
        with pytest.raises(ValueError):
            merge_bodies(a, b)


@pytest.mark.parametrize(
    ("key", "odd"),
    [
        ("speed", {"first": 40, "counts": [1, 1]}),
        ("headway", {"first": 10_000}),
        ("covered_s", math.inf),
    ],
    ids=["a bin too many", "a bin far out", "for ever"],
)
def test_what_contradicts_itself_is_refused_and_ends_no_downsampling(key: str, odd: Any) -> None:
    """A row with a right checksum that no version of ours has written."""
    made = engine(PAIR)
    made.contacts(found("north_1.lead", "north_1.trail"))
    for i in range(5):
        made.contacts(car("north_1", 1 + i * 5.7, 40, 4))
    lane = dict(body(made.close(MINUTE), PAIR.name))
    wrong = {**lane, key: {**lane[key], **odd} if isinstance(odd, dict) else odd}
    for pair in ((wrong, lane), (lane, wrong)):
        with pytest.raises(ValueError, match="contradicts itself"):
            merge_bodies(*pair)


def test_a_form_of_another_version_is_refused_and_not_guessed() -> None:
    lane, air = (dict(body(engine(part).close(S), part.name)) for part in (PAIR, AIR))
    for key in ("lane", "volume", "on_us", "speed", "quality", "health"):
        with pytest.raises(ValueError):
            merge_bodies({k: v for k, v in lane.items() if k != key}, lane)
    for other in (7, None, {"pm2_5": 7}, {"pm2_5": {"n": 1}, "temperature": {}}):
        with pytest.raises(ValueError):
            merge_bodies(air, {**air, "points": other})
