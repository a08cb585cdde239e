"""The verdict's parts, each held against what it has to say and where."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.numbers import count_in_ranges
from edge.platform.completeness import (
    CompletenessCheck,
    _before,
    _epoch_names,
    _gaps_lead,
    judge_completeness,
    subtract_ranges,
    unsealed_numbers,
)
from edge.platform.declaredlosses import DeclaredGap
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.timeline import SLACK_US
from tests.kit.records import E1, E2, GW
from tests.platform.seals import KEY, seal

E3 = (3 << 32) + 1
Found = list[tuple[str, str]]


def received(
    numbers: dict[int, list[int]], joined: int = E1, stream: str = "air"
) -> ReceivedRanges:
    made = ReceivedRanges(GW, joined)
    for epoch, mine in numbers.items():
        for number in mine:
            made.add_number(epoch, stream, number)
    return made


def event(of: ReceivedRanges, epoch: int, number: int = 1, **data: Any) -> None:
    of.add_number(epoch, "event", number)
    said = {"boot": epoch >> 32, "mono": [0, 0], **data}
    of.declared.event((GW, epoch, "event", number), said)


def follows(of: ReceivedRanges, epoch: int, former: int, **last: int) -> None:
    gap: dict[str, Any] = {"event": "gap", "gap": [0, 0], "sources": ["*"]}
    event(of, epoch, **gap, former={"epoch": former, "last": last})


def found(of: ReceivedRanges) -> Found:
    return [
        (each.kind, each.text.removeprefix(f"{GW}: ")) for each in judge_completeness(of, [])[0]
    ]


RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 6)), max_size=6)


@given(RANGES, RANGES)
def test_what_is_left_of_ranges(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    whole = received({E1: [n for a, more in one for n in range(a, a + more + 1)]})
    cut = received({E1: [n for a, more in two for n in range(a, a + more + 1)]})
    ranges, taken = ([*each.numbers.values()] for each in (whole, cut))
    mine = ranges[0].ranges() if ranges else []
    others = taken[0].ranges() if taken else []
    left = subtract_ranges(mine, others)
    truth = {n for a, b in mine for n in range(a, b + 1)}
    truth -= {n for a, b in others for n in range(a, b + 1)}
    assert [n for a, b in left for n in range(a, b + 1)] == sorted(truth)
    assert all(b + 1 < c for (_, b), (c, _) in pairwise(left))
    assert count_in_ranges(left) == len(truth)


def test_what_no_manifest_seals_are_own_numbers_only() -> None:
    made = received({E1: [1, 2, 3, 4, 5], E2: [1]})
    made.add_number(E1, "manifest", 1)
    made.covered[E1, "air"] = received({E1: [2]}).numbers[E1, "air"]
    made.sealed[E1, "air"] = received({E1: [1, 4]}).numbers[E1, "air"]
    assert unsealed_numbers(made) == {(E1, "air"): [(3, 3), (5, 5)], (E2, "air"): [(1, 1)]}


def test_forks_name_their_starts() -> None:
    made = received({E1: [1], E2: [1], E3: [1]})
    follows(made, E2, E1, air=1)
    follows(made, E3, E1, air=1)
    (kind, text), open_ = found(made)
    assert (kind, open_[0]) == ("fork", "open")
    assert text.startswith(f"the starts {E2}, {E3} all name {E1} as the previous epoch")
    assert open_[1].startswith(f"epoch {E2} was never closed")
    event(made, E3, 2, event="gap", gap=[0, 0], sources=[], former={"epoch": E2, "last": {}})
    assert ("fork", f"the start {E3} names several previous epochs: {E1}, {E2}") in found(made)
    circle = received({E1: [1], E2: [1]})
    follows(circle, E2, E1)
    follows(circle, E1, E2)
    (first, *_) = judge_completeness(circle, [])[0]
    starts = f"{GW}: the starts {E2}, {E1}"
    assert first.text == f"{starts} name each other as the previous epoch, in a circle"
    assert first.place is not None
    assert first.place[1] == E1


def test_names_are_few() -> None:
    assert _epoch_names([1, 2, 3, 4]) == "1, 2, 3, 4"
    assert _epoch_names([1, 2, 3, 4, 5, 6]) == "1, 2, 3, 4 and 2 more"


def test_losses_say_of_what() -> None:
    made = received({E1: [1, 4]})
    event(made, E1, event="drop", epoch_of=E1, stream_of="air")
    assert found(made) == [
        ("lost", f"the gateway lost air records of epoch {E1}: how many is not known"),
        ("lost", f"{GW} {E1}/air: 2 numbers are missing (the gateway lost its outbox): 2-3"),
    ]
    made.sealed[E1, "air"] = received({E1: [2]}).numbers[E1, "air"]
    assert [text for _, text in found(made)][1:] == [
        f"{GW} {E1}/air: 1 numbers are missing: 2",
        f"{GW} {E1}/air: 1 numbers are missing (the gateway lost its outbox): 3",
    ]
    every = received({E1: [1]})
    event(every, E1, event="drop", epoch_of=E1, stream_of="*")
    text = f"the gateway lost all undelivered records of epoch {E1} and earlier"
    assert found(every) == [("lost", f"{text}: how many is not known")]


def test_all_before_a_lost_epoch_is_lost_too_and_nothing_after() -> None:
    for lost in (E1, E2, E3):
        made = received({E1: [1, 3], E2: [1, 3], E3: [1, 3]})
        follows(made, E2, E1, air=3, event=0)
        follows(made, E3, E2, air=3, event=1)
        event(made, E3, 2, event="drop", epoch_of=lost, stream_of="*")
        kinds = {each.place[1]: each.kind for each in judge_completeness(made, [])[0]
                 if each.place is not None and each.place[2] == "air"}  # fmt: skip
        assert kinds == {epoch: "lost" if epoch <= lost else "missing" for epoch in (E1, E2, E3)}


def test_numbers_before_the_first_that_came_are_missed_only_where_we_were_there() -> None:
    notes: list[str] = []
    made = received({E1: [5], E2: [2]})
    follows(made, E2, E1, air=5)
    findings, missing = judge_completeness(made, notes)
    assert missing == {(E2, "air"): [(1, 1)]}
    assert [each.place for each in findings] == [(GW, E2, "air", 1)]
    assert notes == [f"{GW} {E1}/air: the records begin at number 5"]
    notes.clear()
    assert judge_completeness(received({E1: [1]}), notes) == ([], {})
    assert notes == []
    assert judge_completeness(ReceivedRanges(GW, E1), notes) == ([], {})


def test_what_came_beyond_the_last_that_is_known_is_damage() -> None:
    made = received({E1: [1, 2, 3], E2: [1]})
    follows(made, E2, E1, air=3)
    assert found(made) == []
    made.declared.claims.former(E2, E1, {"air": 2})
    ((kind, text),) = found(made)
    assert (kind, text) == (
        "damage",
        f"{GW} {E1}/air has arrived up to 3, but the gateway knows only 2: its outbox was damaged,"
        " or an older copy was restored",
    )


def test_epochs_before_the_one_we_joined_in_are_a_note() -> None:
    notes: list[str] = []
    made = received({E2: [1]}, joined=E2)
    follows(made, E2, E1, air=5)
    assert judge_completeness(made, notes) == ([], {})
    text = f"{GW}: there is no record of epoch {E1} or earlier: the store begins with epoch {E2}"
    assert notes == [text]


def test_only_the_epoch_that_was_heard_last_may_be_open() -> None:
    made = received({E1: [1]})
    assert CompletenessCheck(made).running == E1
    follows(made, E2, E1, air=1)
    made.add_number(E2, "air", 1)
    assert CompletenessCheck(made).running == E2
    assert found(made) == []
    lone = received({E1: [1]})
    lone.add_number(E3, "air", 1, "2026")
    lone.add_number(E3, "event", 1, "2026")
    assert CompletenessCheck(lone).running == E3
    assert [kind for kind, _ in found(lone)] == ["open"]


def test_strict_believes_no_excuse_that_nobody_sealed() -> None:
    made = received({E1: [1, 5]})
    event(made, E1, event="drop", epoch_of=E1, stream_of="air", range=[2, 4], count=3)
    assert found(made) == []
    assert CompletenessCheck(made, strict=True).verdict([])[1] == {}
    made.sealed[E1, "air"] = received({E1: [2, 3]}).numbers[E1, "air"]
    assert CompletenessCheck(made).verdict([])[1] == {}
    assert CompletenessCheck(made, strict=True).verdict([])[1] == {(E1, "air"): [(2, 3)]}
    made.sealed[E1, "event"] = received({E1: [1]}).numbers[E1, "air"]
    assert CompletenessCheck(made, strict=True).verdict([])[1] == {}


def test_more_may_not_be_missing_than_was_declared() -> None:
    for count, kinds in ((3, []), (4, []), (2, ["missing"])):
        made = received({E1: [1, 5]})
        event(made, E1, event="drop", epoch_of=E1, stream_of="air", range=[2, 4], count=count)
        findings, missing = judge_completeness(made, [])
        assert ([each.kind for each in findings], missing) == (kinds, {})
    assert "3 numbers are missing, but the gateway declared only 2 as lost" in findings[0].text
    assert findings[0].place == (GW, E1, "air", 2)


def test_records_are_absent_between_two_of_one_epoch_or_of_several() -> None:
    made = received({E1: [1, 2, 5], E2: [1, 2], E3: [1]})
    follows(made, E2, E1, air=5)
    follows(made, E3, E2, air=2)
    of = CompletenessCheck(made)
    assert of.absent((E1, 2), (E1, 5), "air")
    assert of.absent((E1, 5), (E1, 2), "air")
    assert not of.absent((E1, 1), (E1, 2), "air")
    assert not of.absent((E1, 5), (E2, 1), "air")
    assert of.absent((E1, 2), (E2, 1), "air")
    assert not of.absent((E1, 5), (E3, 1), "air"), "all of the one between is there"
    made.add_number(E2, "air", 4)
    assert CompletenessCheck(made).absent((E1, 5), (E3, 1), "air")
    made.add_number(E2, "air", 3)
    made.add_number(E3, "air", 3)
    assert CompletenessCheck(made).absent((E1, 5), (E3, 3), "air")
    made.add_number(E3, "air", 2)
    assert not CompletenessCheck(made).absent((E1, 5), (E3, 3), "air")
    event(made, E3, 2, event="drop", epoch_of=E1, stream_of="air")
    assert CompletenessCheck(made).absent((E1, 5), (E3, 3), "air")


@pytest.mark.parametrize(
    ("gap", "leads"),
    [
        ({}, True),
        ({"boot_before": 0}, True),  # one before it
        ({"boot_before": 2}, False),
        ({"boot_before": 9}, True),  # nothing has come of it
        ({"boot": 1}, False),
        ({"to_us": 5000 - SLACK_US}, True),
        ({"to_us": 4999 - SLACK_US}, False),
    ],
)
def test_a_gap_leads_from_a_boot_to_the_first_record_of_the_next(
    gap: dict[str, int], leads: bool
) -> None:
    reported = {"epoch": E1, "boot": 2, "from_us": 0, "to_us": 5000, "boot_before": 1, **gap}
    declared = DeclaredGap(("*",), **reported)
    assert _gaps_lead([declared], 1, 2, 5000, {0: 0, 1: 1, 2: 2}) == leads


@pytest.mark.parametrize(("begins_us", "leads"), [(9_000, True), (9_000_000, False)])
def test_gaps_lead_over_a_boot_whose_power_went_before_it_had_a_record(
    begins_us: int, leads: bool
) -> None:
    """`make power-cut` has found it on an honest disk. What such a boot has watched and
    no gap names is missing."""
    ranks = {1: 0, 2: 1, 3: 2}
    into = DeclaredGap(("*",), epoch=2, boot=2, from_us=50, to_us=9_000, boot_before=1)
    out_of = DeclaredGap(("*",), epoch=3, boot=3, from_us=begins_us, to_us=8_000, boot_before=2)
    assert _gaps_lead([into, out_of], 1, 3, 8_000, ranks) is leads
    assert not _gaps_lead([out_of], 1, 3, 8_000, ranks)
    assert not _gaps_lead([into], 1, 3, 8_000, ranks)


def test_what_stands_before_a_number() -> None:
    assert [_before(start) for start in (1, 2, 9)] == [[], [(1, 1)], [(1, 8)]]


def test_a_seal_counts_as_numbers_that_exist() -> None:
    made = received({E1: [1]})
    made.add_seal(KEY, {
        "epoch_of": E1, "stream_of": "air", "first": 1, "last": 4, "count": 4, "seqs": [[1, 4, 1]],
        "sha256": seal(1).sha256, "clock": [],
    })  # fmt: skip
    assert judge_completeness(made, [])[1] == {(E1, "air"): [(2, 4)]}


def timed(of: ReceivedRanges, epoch: int, boot: int, number: int, at: tuple[int, int]) -> list[str]:
    """A record of air; seconds."""
    of.add_number(epoch, "air", number)
    mono = [second * 1_000_000 for second in at]
    data = {"stream": "air", "epoch": epoch, "seq": number, "boot": boot, "mono": mono}
    return [each.kind for each in of.add_record("hut", data)]


def leading(
    of: ReceivedRanges, epoch: int, former: int, boots: tuple[int, int], gap: list[int]
) -> None:
    us = [second * 1_000_000 for second in gap]
    event(of, epoch, event="gap", gap=us, sources=["hut"], boot=boots[1], boot_before=boots[0],
          former={"epoch": former, "last": {"air": 1}})  # fmt: skip


def test_time_goes_on_over_epochs_of_one_boot() -> None:
    for end, kinds in ((100, []), (90, ["hole"])):
        made = ReceivedRanges(GW, E1)
        assert timed(made, E2, 1, 1, (100, 160)) == []
        timed(made, E1, 1, 1, (0, 60))
        leading(made, E2, E1, (1, 1), [60, end])
        made.latest = E2
        findings, _ = judge_completeness(made, [])
        assert [each.kind for each in findings] == kinds
    assert findings[0].place == (GW, E2, "air", 1)
    assert findings[0].text == (
        f"{GW} air/hut: 10.000 s are missing between 60000000 and 100000000 us of boot 1"
    )


def test_a_time_that_two_epochs_tell_is_an_overlap() -> None:
    made = ReceivedRanges(GW, E1)
    timed(made, E1, 1, 1, (0, 60))
    timed(made, E2, 1, 1, (59, 90))
    leading(made, E2, E1, (1, 1), [60, 60])
    (finding,) = judge_completeness(made, [])[0]
    assert (finding.kind, finding.place) == ("overlap", (GW, E2, "air", 1))
    assert finding.text == (
        f"{GW} air/hut: records of epoch {E2} cover a time of boot 1 that another epoch covers too"
        " (59000000..90000000 us)"
    )


def test_boots_come_in_the_order_of_their_epochs_whenever_they_are_heard() -> None:
    for led in (True, False):
        made = ReceivedRanges(GW, E1)
        for epoch, boot in ((E3, 3), (E1, 1), (E2, 2)):
            timed(made, epoch, boot, 1, (5, 60))
        leading(made, E2, E1, (1, 2), [0, 5])
        leading(made, E3, E2, (2, 3), [0, 5 if led else 4])
        made.declared.claims.former(E3, E2, {"event": 1})
        made.latest = E3
        findings, _ = judge_completeness(made, [])
        if led:
            assert findings == []
        else:
            (finding,) = findings
            assert (finding.kind, finding.place) == ("hole", (GW, E3, "air", 1))
            assert finding.text == (
                f"{GW} air/hut: no gap event covers the time from boot 2 to the first"
                " record of boot 3"
            )


def test_a_gap_of_another_line_excuses_nothing() -> None:
    """Two starts say that they followed the first one: what one says is not true of the other."""
    made = ReceivedRanges(GW, E1)
    timed(made, E1, 1, 1, (0, 60))
    timed(made, E3, 1, 1, (100, 160))
    leading(made, E2, E1, (1, 1), [60, 100])
    leading(made, E3, E1, (1, 1), [100, 100])
    kinds = [each.kind for each in judge_completeness(made, [])[0]]
    assert kinds == ["fork", "open", "hole"]


def test_where_we_came_late_the_newest_older_epoch_is_taken_for_the_one_before() -> None:
    def taken(numbers: dict[int, list[int]], opened: bool) -> list[str]:
        made = received(numbers, joined=E3)
        made.latest = E3
        if opened:
            event(made, E3, event="start")
        return [each.text for each in judge_completeness(made, [])[0] if each.kind == "open"]

    assert taken({E3: [7], E2: [5]}, False) == []
    (text,) = taken({E3: [7], E2: [5], E1: [5]}, False)
    assert f"epoch {E1} was never closed" in text
    assert len(taken({E3: [7], E2: [5]}, True)) == 1
    later = (4 << 32) + 1
    (text,) = taken({E3: [7], later: [5]}, False)
    assert "was never closed" in text
