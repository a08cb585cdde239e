"""Expectations of a scenario: which keys belong to which, and whether what they name is there."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge.config.draft import FileDraft
from edge.config.keylines import KeyPath
from edge.config.problem import show_value, suggest
from edge.core import Reason
from edge.rig.faultchecks import FaultRows, check_names
from edge.rig.scenario import Expect
from edge.rig.scenariosite import ScenarioSite
from edge.rig.stimuluschecks import check_span
from edge.rig.vocabulary import EVENT_WORDS, FLAGS, GAP_REASONS, ISSUES, LANE_FIGURES, REASONS

ExpectRows = Sequence[tuple[KeyPath, Expect]]
TIMES: Final = ("fault", "from_s", "until_s", "after_s", "within_s")
OWN: Final = ("name", "what")
NO_TIME: Final = "this ends at {:g} s, and begins at {:g} s: no time is left to judge"


@dataclass(frozen=True, slots=True)
class ExpectKeys:
    """The keys that a kind of expectation cannot do without, and those that it may have."""

    needed: tuple[str, ...] = ()
    more: tuple[str, ...] = ()


EXPECT_KEYS: Final[Mapping[str, ExpectKeys]] = {
    "volume": ExpectKeys(("source",), ("equals", "true", "tolerance", *TIMES)),
    "value": ExpectKeys(
        ("source", "key"), ("field", "equals", "tolerance", "unit", "absent", *TIMES)
    ),
    "quality": ExpectKeys(("source",), ("key", "reason", "absent", *TIMES)),
    "flag": ExpectKeys(("source", "key"), ("absent", *TIMES)),
    "event": ExpectKeys(("source", "key"), ("absent", *TIMES)),
    "gap": ExpectKeys(("source",), ("key", "absent", *TIMES)),
    "issue": ExpectKeys(("key",), ("source", "absent", *TIMES)),
    "complete": ExpectKeys(),
    "nothing_else": ExpectKeys((), ("from_s", "until_s")),
    "in_force": ExpectKeys(("fault",)),
}
WORDS: Final[Mapping[str, tuple[str, Collection[str]]]] = {
    "flag": ("flag", FLAGS),
    "event": ("event", EVENT_WORDS),
    "gap": ("reason of a gap", GAP_REASONS),
    "issue": ("issue", ISSUES),
}
"""What `key` is of those whose words are in the contract."""


def check_expectations(
    draft: FileDraft, end_s: float, site: ScenarioSite | None, rows: ExpectRows, faults: FaultRows
) -> None:
    """`end_s`: of the whole run. Without a site only what stands in the file."""
    check_names(draft, rows)
    starts = {fault.name: fault.at_s for _, fault in faults}
    named = _raw_names(draft)
    for path, expect in rows:
        _keys(draft, path, expect)
        _time(draft, path, expect, end_s, starts)
        _numbers(draft, path, expect)
        if expect.fault is not None and expect.fault not in named:
            draft.report((*path, "fault"), f"no fault is called {show_value(expect.fault)}; "
                         + suggest(expect.fault, named))  # fmt: skip
        if (words := WORDS.get(expect.what)) is not None and expect.key:
            what, known = words
            if expect.key not in known:
                draft.report((*path, "key"), f"no {what} is called {show_value(expect.key)}; "
                             + suggest(expect.key, known))  # fmt: skip
        if expect.reason and expect.reason not in REASONS:
            draft.report((*path, "reason"), f"{show_value(expect.reason)} is no reason; "
                         + suggest(expect.reason, map(str, Reason)))  # fmt: skip
        if site is not None and expect.source:
            _source(draft, path, expect, site)
    watched = {expect.fault for _, expect in rows}
    for path, fault in faults:
        if fault.name not in watched:
            draft.report((*path, "name"), f"no expectation is about {fault.name}: add one with "
                         f'what = "in_force" and fault = "{fault.name}"')  # fmt: skip
    if not rows and not draft.written("expect"):
        draft.report(("expect",), "is missing; without an expectation nothing can pass")


def _raw_names(draft: FileDraft) -> set[str]:
    """Names of faults, of those that are wrong, too."""
    listed = draft.data.get("fault")
    rows = listed if isinstance(listed, list) else []
    names = (row.get("name") for row in rows if isinstance(row, dict))
    return {name for name in names if isinstance(name, str)}


def _keys(draft: FileDraft, path: KeyPath, expect: Expect) -> None:
    own = EXPECT_KEYS[expect.what]
    for key in Expect.__struct_fields__:
        there = draft.written(*path, key)
        if there and key not in (*OWN, *own.needed, *own.more):
            draft.report((*path, key), f'does not belong to what = "{expect.what}"; leave it out')
        if not there and key in own.needed:
            draft.report((*path, key), f'is missing; what = "{expect.what}" needs it')


def _time(
    draft: FileDraft, path: KeyPath, expect: Expect, end_s: float,
    starts: Mapping[str, float | None],
) -> None:  # fmt: skip
    check_span(draft, path, "from_s", expect.from_s, "until_s", expect.until_s, end_s)
    if not draft.written(*path, "fault") and draft.written(*path, "after_s"):
        draft.report((*path, "after_s"), "counts from a fault: name it with `fault`, or use from_s")
    within_s, after_s = expect.within_s, expect.after_s or 0.0
    base_s = starts.get(expect.fault or "") or 0.0  # on a condition: at the earliest
    from_s = max(base_s + after_s, expect.from_s or 0.0)
    if from_s >= end_s and after_s:
        draft.report((*path, "after_s"), f"this begins at {from_s:g} s, not before the end of the "
                     f"run, {end_s:g} s")  # fmt: skip
    if (until_s := expect.until_s) is not None and (expect.from_s or 0.0) < until_s <= from_s:
        draft.report((*path, "until_s"), NO_TIME.format(until_s, from_s))
    if within_s is None:
        return
    if within_s <= after_s:
        draft.report((*path, "within_s"), f"{within_s:g} is not after after_s, {after_s:g}")
    last_s = base_s + within_s
    if after_s < within_s and last_s <= from_s and starts.get(expect.fault or "", 0.0) is not None:
        draft.report((*path, "within_s"), NO_TIME.format(last_s, from_s))
    if last_s > end_s:
        draft.report((*path, "within_s"), f"this ends at {last_s:g} s, after the end of the run, "
                     f"{end_s:g} s")  # fmt: skip


def _numbers(draft: FileDraft, path: KeyPath, expect: Expect) -> None:
    if expect.what not in ("value", "volume"):
        return
    given = draft.written(*path, "equals")
    if expect.what == "volume" and given == bool(expect.true):
        draft.report((*path, "equals"), "write either `equals`, or `true = true` for as many as "
                     "the rig drove over it")  # fmt: skip
    elif expect.what == "value" and not given and not expect.absent:
        draft.report((*path, "equals"), "is missing; write the value, or `absent = true`")
    if expect.absent:
        for key in ("equals", "tolerance", "unit"):
            if draft.written(*path, key):
                draft.report((*path, key), "with `absent` no value is wanted; leave this out")


def _source(draft: FileDraft, path: KeyPath, expect: Expect, site: ScenarioSite) -> None:
    lanes, devices = site.site.lanes, {**site.points, **site.site.bays}
    known: Collection[str] = site.sources
    if expect.what == "volume":
        known = list(lanes)
    elif expect.what in ("value", "quality"):
        known = [*lanes, *devices, *(d for d in site.site.devices if d not in devices)]
    if expect.source not in known:
        draft.report((*path, "source"), f"nothing is called {show_value(expect.source)}; "
                     + suggest(expect.source, known))  # fmt: skip
        return
    if expect.what not in ("value", "quality") or not expect.key:
        return
    points = site.points.get(expect.source)
    keys = LANE_FIGURES if expect.source in lanes else points
    if keys is not None and expect.key not in keys:
        draft.report((*path, "key"), f"{expect.source} has no point {show_value(expect.key)}; "
                     + suggest(expect.key, keys))  # fmt: skip
    elif expect.unit and points is not None:
        unit = points[expect.key].quantity.unit
        if expect.unit != unit:
            draft.report((*path, "unit"), f"records state {expect.key} in {show_value(unit)}, not "
                         f"in {show_value(expect.unit)}")  # fmt: skip


def warn(remarks: FileDraft, rows: ExpectRows) -> None:
    """What is right, and may not be what was meant."""
    for path, expect in rows:
        if (
            expect.what == "value"
            and expect.field == "mean"
            and not expect.tolerance
            and (not expect.absent)
        ):
            remarks.report((*path, "tolerance"), "is 0: a mean is hardly ever exactly a number; "
                           "say how far off is right")  # fmt: skip
        if (
            expect.what in ("flag", "event", "issue")
            and expect.fault
            and not (expect.within_s or expect.until_s or expect.absent)
        ):
            remarks.report((*path, "within_s"), "is not set: until the end of the run is soon "
                           "enough")  # fmt: skip
    if not any(expect.what == "complete" for _, expect in rows):
        remarks.report(("expect",), 'nothing asks whether all records came: add one with what = '
                       '"complete"')  # fmt: skip
