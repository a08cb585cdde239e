"""The engine: the same input gives the same bytes, however it is cut into batches and windows."""

import json
import random

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.core.quality import Reason
from edge.core.record import Stream
from edge.process.engine import Engine
from tests.kit.asread import as_read
from tests.kit.engine import (
    AIR,
    HEAT,
    METER,
    MINUTE,
    MS,
    PAIR,
    SINGLE,
    S,
    body,
    engine,
    found,
    presences,
    setup,
    sweeps,
)
from tests.kit.randomsite import SiteInput, worlds
from tests.process.windows import SLOW, run


@SLOW
@given(worlds(), st.randoms(use_true_random=False))
def test_the_result_does_not_depend_on_batches(world: SiteInput, chance: random.Random) -> None:
    assert run(world, chance) == run(world)


@SLOW
@given(worlds())
def test_bodies_are_json_and_msgpack(world: SiteInput) -> None:
    for text in run(world):
        for _, _, begin, end, record in json.loads(text):
            assert begin <= end
            msgpack.packb(record)
            assert "NaN" not in text
            assert "Infinity" not in text


@SLOW
@given(worlds())
def test_no_summary_claims_what_cannot_be(world: SiteInput) -> None:
    for text, begin, end in zip(run(world), [0, *world.ends], world.ends, strict=False):
        for stream, _, start, stop, record in json.loads(text):
            if stream == Stream.EVENT:
                continue
            assert (start, stop) == (begin, end)
            assert 0 <= record["covered_s"] <= (end - begin) / 1e9
            if stream == Stream.TRAFFIC and record["occupancy"] is not None:
                assert 0 <= record["occupancy"] <= 1
                assert 0 <= record["on_us"] <= round(record["covered_s"] * 1e6)
                assert record["volume"] >= 0
                assert record["gap"]["n"] <= record["volume"]
                assert record.get("queue_us", 0) <= round((end - begin) / 1000)
                if speed := record["speed"]:
                    lengths, estimated = record["length"]["n"], speed.get("estimated", 0)
                    assert sum(record.get("classes", {}).values()) == lengths
                    assert record["quality"].get("good", 0) + estimated == speed["n"] >= lengths
                    assert record["quality"].get("uncertain:estimated", 0) == estimated
                gaps = record.get("tailgating", {"n": 0, "of": 0})
                assert gaps["n"] <= gaps["of"]
                assert 0 < record.get("speed_single", {"kmh": 1})["kmh"] <= 200


STAYS = SiteInput(
    {"east_1.lead": [Contact("east_1.lead", True, 2 * S)]}, [*range(MINUTE, 7 * MINUTE, MINUTE)]
)
"""A vehicle that came and was still there after more than `max_presence_s`."""


@SLOW
@given(worlds())
@example(STAYS)
def test_a_window_more_changes_no_sum(world: SiteInput) -> None:
    """Vehicles, speeds and pulses belong to one window each, wherever the borders are."""

    def sums(ends: list[int]) -> tuple[int, ...]:
        records = [
            record
            for text in run(SiteInput(quiet, ends))
            for stream, _, _, _, record in json.loads(text)
            if stream in (Stream.TRAFFIC, Stream.ENERGY)
        ]
        return (
            sum(each.get("volume") or 0 for each in records),
            sum((each.get("speed") or {"n": 0})["n"] for each in records),
            sum(each.get("on_us") or 0 for each in records) // 100,
            sum(each.get("stopped", 0) for each in records),
            sum(each["tailgating"]["of"] for each in records if "tailgating" in each),
            sum(sum(each.get("classes", {}).values()) for each in records),
            sum(
                round((each["points"]["energy_import"]["delta"] or 0) * 1000)
                for each in records
                if "points" in each
            ),
        )

    # Edges that keep clear of the borders by more than a bounce, and no faults that void a window.
    quiet = {
        name: [each for each in items if isinstance(each, Contact) and not each.lost][:40]
        for name, items in world.sources.items()
    }
    quiet = {name: spaced(items) for name, items in quiet.items()}
    last = world.ends[-1] // (100 * MS) * 100 * MS + 50 * MS
    middle = [end // (100 * MS) * 100 * MS + 50 * MS for end in world.ends[:-1]]
    one = sums([last])
    more = sums([*sorted({*middle} - {last}), last])
    assert one[:2] == more[:2]
    assert one[3:] == more[3:]
    assert abs(one[2] - more[2]) <= 1


def spaced(items: list[Contact]) -> list[Contact]:
    """Alternating edges on a grid of 100 ms, none stays for minutes, and the last one leaves.

    Who stays for more than `max_presence_s` makes a fault, which voids the window that it is told
    in, with all who were counted there: a longer window loses more.
    """
    if not items:
        return []
    source, at = items[0].source, 0
    made = [Contact(source, False, 0, initial=True)]
    for index, each in enumerate(items):
        at = max(at + 100 * MS, min(each.mono_ns // (100 * MS) * 100 * MS, at + 200 * S))
        made.append(Contact(source, index % 2 == 0, at))
    if made[-1].on:
        made.append(Contact(source, False, at + 100 * MS))
    return made


def test_what_is_kept_is_bounded_and_nothing_is_lost_of_it() -> None:
    made = engine(SINGLE, AIR)
    flood = presences("east_1.lead", *((i * 0.9, i * 0.9 + 0.3) for i in range(10_000)))
    made.contacts(found("east_1.lead"))
    made.sweeps(sweeps("hut_air", ((i, (1.0, 2.0)) for i in range(10_000))))
    made.contacts(flood)
    contacts, swept = made.pending()
    assert len(contacts) <= 2048
    assert len(swept) <= 64
    drafts = made.close(10_000 * S)
    assert body(drafts, "hut_air")["points"]["pm2_5"]["n"] == 10_000
    assert body(drafts, "east_1")["headway"]["n"] == 9_999


def test_a_mark_stands_in_every_record_of_its_window() -> None:
    made = engine(PAIR, AIR, HEAT)
    made.contacts(found("north_1.lead"))
    made.mark(Reason.CLOCK)
    marked, clean = made.close(MINUTE), made.close(2 * MINUTE)
    assert all(as_read(each)["quality"]["uncertain:clock"] == 1 for each in marked)
    assert not any("uncertain:clock" in as_read(each).get("quality", {}) for each in clean)


def test_a_window_closed_short_says_so() -> None:
    made = engine(PAIR, AIR, METER, HEAT)
    assert all(as_read(each)["partial"] is True for each in made.close(7 * S, partial=True))
    assert not any("partial" in as_read(each) for each in made.close(MINUTE))


def test_windows_do_not_run_backward() -> None:
    made = Engine(setup(SINGLE))
    with pytest.raises(ValueError, match="no window"):
        made.close(S)
    made.start(5 * S)
    assert made.close(5 * S) == []
    with pytest.raises(ValueError, match="no window"):
        made.close(4 * S)
    with pytest.raises(ValueError, match="gap"):
        made.mark_gap(5, 4)


def test_contacts_of_nobody_are_counted() -> None:
    made = engine(SINGLE)
    made.contacts([Contact("door", True, 0), Contact("east_1.trail", True, 0)])
    assert made.unmatched_inputs == 2
