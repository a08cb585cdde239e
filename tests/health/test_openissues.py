"""The one list of open issues: what was known is looked at first, and goes when it is over."""

import json
import logging
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.core import Stamp, TimeQuality
from edge.health.issuekinds import ISSUE_KINDS
from edge.health.openissues import (
    LINES_PER_HOUR,
    OPEN_LIMIT,
    IssueFinding,
    OpenIssues,
    source_of_issue,
    whose_issue,
)
from edge.wire.contract.issues import IssueName

S = 1_000_000_000
WALL = 1_795_000_000 * S
NTP, NONE = TimeQuality.NTP, TimeQuality.NONE
NAMES = get_args(IssueName)


def at(seconds: float, tq: TimeQuality = NTP) -> Stamp:
    return Stamp(int(seconds * S), WALL + int(seconds * S), tq)


def kinds(issues: OpenIssues) -> list[tuple[str, str]]:
    return [(each.kind, each.about) for each in issues]


def silent(name: str, cause: str = "no answer") -> IssueFinding:
    return IssueFinding("device_fails", name, cause)


def test_what_is_found_opens_and_what_is_not_found_any_more_closes() -> None:
    issues = OpenIssues()
    assert issues.see("devices", [silent("hut"), silent("tower")], at(0))
    assert not issues.see("devices", [silent("hut"), silent("tower", "still")], at(5))
    assert [each.cause for each in issues] == ["no answer.", "still."]
    assert issues.see("devices", [silent("tower")], at(10))
    assert kinds(issues) == [("device_fails", "tower")]
    (one,) = issues
    assert one.for_s(at(12)) == 12
    assert one.since_ns(at(12)) == WALL
    assert one.remedy == "`kerbstone doctor tower` says more."


def test_a_device_has_its_display_name_in_the_sentence_and_not_in_what_is_typed() -> None:
    issues = OpenIssues(names={"hut": "Hütte / شارع", "north_1": "Nord", "anomaly": "a lane"})
    issues.see(
        "devices",
        [
            silent("hut", "hut: no answer on hut/i2c"),
            IssueFinding("device_errors", "shut", "10% of the reads of shut failed"),
        ],
        at(0),
    )
    issues.put(IssueFinding("loop_fault", "north_1 lead stuck_on", "north_1: the lead loop"), at(0))
    issues.see(
        "models", [IssueFinding("model_fails", "anomaly", "The model anomaly is away")], at(0)
    )
    told = {each.about: (each.cause, issues.name_of(each)) for each in issues}
    assert told == {
        "hut": ("hut (Hütte / شارع): no answer on hut/i2c.", "Hütte / شارع"),
        "shut": ("10% of the reads of shut failed.", ""),
        "north_1 lead stuck_on": ("north_1 (Nord): the lead loop.", "Nord"),
        "anomaly": ("The model anomaly is away.", ""),
    }
    (hut,) = (each for each in issues if each.about == "hut")
    assert hut.remedy == "`kerbstone doctor hut` says more."
    assert hut.short == "hut does not answer"
    # the next look says it once, and a restart with another name has the new one
    issues.see("devices", [silent("hut", "hut: no answer")], at(5))
    assert [each.cause for each in issues if each.about == "hut"] == [
        "hut (Hütte / شارع): no answer."
    ]
    after = OpenIssues(names={"hut": "Halle"})
    after.restore(issues.snapshot(3, at(6)), 3, at(7))
    assert {after.name_of(each) for each in after if each.about == "hut"} == {"Halle"}


@pytest.mark.parametrize(
    ("kind", "about", "whose", "source"),
    [
        ("device_fails", "hut", "hut", "hut"),
        ("loop_fault", "north_1 lead stuck_on", "north_1", "north_1"),
        ("contact_fault", "heat chatter", "heat", "heat"),
        ("bus_fails", "bus air", "air", ""),
        ("line_closed", "line a", "", ""),
        ("model_fails", "congestion", "", ""),
        ("broker_untrusted", "mqtts://a:8883", "", ""),
        ("flooded_cabinet", "hut", "", ""),
    ],
)
def test_an_issue_is_of_one_bus_device_or_lane(
    kind: str, about: str, whose: str, source: str
) -> None:
    assert (whose_issue(kind, about), source_of_issue(kind, about)) == (whose, source)


def test_a_bus_has_no_name_of_the_device_that_is_called_as_it() -> None:
    issues = OpenIssues(names={"air": "Luft", "bus": "Bus stop", "line": "Linie"})
    found = [IssueFinding("bus_fails", "bus air", "bus air: it is stuck")]
    issues.see("devices", [*found, IssueFinding("line_closed", "line a", "line a: busy")], at(0))
    told = {each.cause: issues.name_of(each) for each in issues}
    assert told == {"bus air: it is stuck.": "", "line a: busy.": ""}


def test_a_hostile_name_is_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    issues = OpenIssues(names={"hut": "\x1b[2J\nhut: fine\u202e"})
    issues.see("devices", [silent("hut", "hut: no answer")], at(0))
    assert [each.cause for each in issues] == [r"hut (\x1b[2J\nhut: fine\u202e): no answer."]
    assert len(caplog.records) == 1
    assert "\n" not in caplog.text.rstrip("\n")
    assert "\x1b" not in caplog.text


def test_who_looks_at_one_area_closes_nothing_of_another() -> None:
    issues = OpenIssues()
    issues.see("devices", [silent("hut")], at(0))
    issues.see("box", [IssueFinding("hot")], at(0))
    issues.see("link", [], at(1))
    assert kinds(issues) == [("device_fails", "hut"), ("hot", "")]
    with pytest.raises(ValueError, match="no kind of link"):
        issues.see("link", [IssueFinding("hot")], at(2))


def test_what_loses_data_stands_first() -> None:
    issues = OpenIssues()
    issues.see("models", [IssueFinding("model_fails", "anomaly")], at(0))
    issues.see("box", [IssueFinding("hot")], at(1))
    issues.see("outbox", [IssueFinding("records_in_memory")], at(2))
    assert [kind for kind, _ in kinds(issues)] == ["records_in_memory", "hot", "model_fails"]


def test_what_happened_stays_for_its_time_and_begins_anew_when_it_happens_again() -> None:
    def lost(count: int) -> list[IssueFinding]:
        return [IssueFinding("records_lost", cause=f"{count}", count=count)]

    issues, day = OpenIssues(), ISSUE_KINDS["records_lost"].lasts_s
    assert not issues.see("outbox", lost(0), at(0))
    assert issues.see("outbox", lost(3), at(10))
    assert not issues.see("outbox", lost(3), at(day))
    assert issues.see("outbox", lost(3), at(day + 10)), "nothing was lost for a day"
    assert not len(issues)
    assert issues.see("outbox", lost(4), at(day + 20))
    assert issues.see("outbox", lost(4), at(2 * day + 20))
    assert issues.see("outbox", lost(1), at(2 * day + 30)), "a new process counts from zero"


def test_each_is_a_line_when_it_opens_and_one_when_it_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "kerbstone")
    issues = OpenIssues()
    for second in range(20):
        issues.see("devices", [silent("hut")], at(second))
    for second in range(20, 40):
        issues.see("devices", [], at(second))
    assert [record.getMessage() for record in caplog.records] == [
        "issue device_fails hut does not answer: no answer. `kerbstone doctor hut` says more.",
        "issue device_fails is over: hut does not answer",
    ]


def test_what_comes_and_goes_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kerbstone")
    issues = OpenIssues()
    for second in range(0, 3000, 10):
        issues.see("devices", [silent("hut")] if second % 20 else [], at(second))
    assert len(caplog.records) == LINES_PER_HOUR
    assert "comes and goes" in caplog.records[-1].getMessage()


def test_there_is_room_for_so_many_and_the_rest_is_counted() -> None:
    issues = OpenIssues()
    issues.see("devices", [silent(f"d{n}") for n in range(OPEN_LIMIT + 5)], at(0))
    assert (len(issues), issues.left_out) == (OPEN_LIMIT, 5)
    issues.see("devices", [silent(f"d{n}") for n in range(5, OPEN_LIMIT + 5)], at(5))
    assert (len(issues), issues.left_out) == (OPEN_LIMIT, 5), "who was left out has found room"


def test_what_opened_behind_the_status_that_arrived_is_not_told() -> None:
    issues = OpenIssues()
    issues.see("devices", [silent("hut")], at(0))
    given = issues.changes
    issues.see("devices", [silent("hut"), silent("tower")], at(5))
    issues.mark_told(given)
    assert [each.told for each in issues] == [True, False]


def test_what_the_gateway_itself_has_always_finds_room() -> None:
    issues = OpenIssues()
    issues.see("devices", [silent(f"d{n}") for n in range(OPEN_LIMIT + 5)], at(0))
    issues.see("outbox", [IssueFinding("records_lost", count=3)], at(5))
    assert kinds(issues)[0] == ("records_lost", "")


def test_the_city_knows_what_was_open_when_the_status_arrived() -> None:
    issues = OpenIssues()
    issues.see("devices", [silent("hut")], at(0))
    issues.mark_told(issues.changes)
    issues.see("devices", [silent("hut", "still"), silent("tower")], at(5))
    assert [each.told for each in issues] == [True, False]


def restarted(issues: OpenIssues, now: Stamp, then: Stamp, *, same_boot: bool) -> OpenIssues:
    kept = json.loads(json.dumps(issues.snapshot(3, now)))
    after = OpenIssues()
    after.restore(kept, 3 if same_boot else 4, then)
    return after


@pytest.mark.parametrize("same_boot", [True, False])
def test_what_was_open_stays_open_until_it_is_looked_at(same_boot: bool) -> None:
    issues = OpenIssues()
    issues.see("devices", [silent("hut"), silent("tower")], at(100, NONE))
    issues.mark_told(issues.changes)
    then = at(9000) if same_boot else Stamp(5 * S, WALL + 9000 * S, NTP)
    after = restarted(issues, at(8000), then, same_boot=same_boot)
    assert kinds(after) == [("device_fails", "hut"), ("device_fails", "tower")]
    assert all(each.told for each in after)
    one = next(iter(after))
    # the clock was not known when it opened, and was before the process ended
    assert (one.for_s(then), one.since_ns(then)) == (8900, WALL + 100 * S)
    assert after.see("devices", [silent("tower")], then)
    assert kinds(after) == [("device_fails", "tower")]


def test_a_clock_that_is_not_known_gives_no_time() -> None:
    issues = OpenIssues()
    issues.see("devices", [silent("hut")], at(100, NONE))
    (one,) = issues
    assert one.since_ns(at(105, NONE)) is None
    assert one.for_s(at(105, NONE)) == 5
    assert one.since_ns(at(110)) == WALL + 100 * S


def test_nobody_knows_how_long_it_was_open_when_no_clock_did() -> None:
    issues = OpenIssues()
    issues.see("devices", [silent("hut")], at(100, NONE))
    after = restarted(issues, at(200, NONE), Stamp(5 * S, WALL, NTP), same_boot=False)
    (one,) = after
    assert (one.for_s(at(6)), one.since_ns(at(6))) == (None, None)


def test_news_goes_on_for_the_rest_of_its_time_after_a_restart() -> None:
    issues, day = OpenIssues(), ISSUE_KINDS["too_busy"].lasts_s
    issues.see("daemon", [IssueFinding("too_busy", count=2)], at(0))
    after = restarted(issues, at(day / 2), at(day / 2), same_boot=True)
    assert not after.see("daemon", [IssueFinding("too_busy", count=0)], at(day - 1))
    assert after.see("daemon", [IssueFinding("too_busy", count=0)], at(day + 1))


def test_what_happened_is_over_one_day_though_the_box_is_booted_each_night() -> None:
    issues, night = OpenIssues(), ISSUE_KINDS["records_lost"].lasts_s * 0.7
    issues.see("outbox", [IssueFinding("records_lost", count=2)], at(0))
    issues = restarted(issues, at(night), at(0), same_boot=False)
    assert not issues.see("outbox", [], at(1))
    issues = restarted(issues, at(night), at(0), same_boot=False)
    assert issues.see("outbox", [], at(1))


def test_a_moment_that_is_still_to_come_makes_nothing_last() -> None:
    issues, day = OpenIssues(), ISSUE_KINDS["records_lost"].lasts_s
    issues.see("outbox", [IssueFinding("records_lost", count=2)], at(9 * day))
    after = restarted(issues, at(9 * day), at(0), same_boot=True)
    assert after.see("outbox", [], at(day + 1))


def test_a_kind_that_only_a_later_version_knows_is_left_out() -> None:
    issues = OpenIssues()
    issues.see("devices", [silent("hut")], at(0))
    kept = issues.snapshot(1, at(1))
    rows = kept["open"]
    assert isinstance(rows, list)
    rows.append(["of_tomorrow", *rows[0][1:]])
    after = OpenIssues()
    after.restore(kept, 1, at(2))
    assert kinds(after) == [("device_fails", "hut")]


@pytest.mark.parametrize("saved", [{}, {"boot": 1}, {"boot": 1, "open": [[]]}, {"boot": "x"}])
def test_damage_is_told_apart_from_a_list(saved: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        OpenIssues().restore(saved, 1, at(0))


class Looking(RuleBasedStateMachine):
    """What is open is what was found last, over restarts, too."""

    def __init__(self) -> None:
        super().__init__()
        self.issues, self.now, self.found = OpenIssues(), 0.0, set[str]()
        self.changes = 0

    @rule(names=st.sets(st.sampled_from(["a", "b", "c", "d"])), later_s=st.floats(0, 1e5))
    def look(self, names: set[str], later_s: float) -> None:
        self.now += later_s
        changed = self.issues.see("devices", [silent(name) for name in names], at(self.now))
        assert changed is (names != self.found)
        self.found = names

    @rule(same_boot=st.booleans())
    def restart(self, same_boot: bool) -> None:
        now = at(self.now)
        self.issues = restarted(self.issues, now, now, same_boot=same_boot)

    @invariant()
    def the_list_is_true(self) -> None:
        assert {each.about for each in self.issues} == self.found
        assert all((each.for_s(at(self.now)) or 0) >= 0 for each in self.issues)


TestLooking = Looking.TestCase
TestLooking.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


def test_each_kind_says_what_to_do() -> None:
    for name in NAMES:
        kind = ISSUE_KINDS[name]
        assert kind.remedy.endswith("."), name
        assert kind.remedy[0].isupper() or kind.remedy[0] == "`", name
        assert len(kind.short.format(about="main_meter")) <= 40, name


def test_units_that_remedies_name_are_there() -> None:
    units = Path(__file__).parents[2] / "systemd"
    named = re.findall(r"journalctl -u ([\w-]+)", " ".join(k.remedy for k in ISSUE_KINDS.values()))
    assert len(named) >= 2
    assert all((units / f"{name}.service").is_file() for name in named), named
