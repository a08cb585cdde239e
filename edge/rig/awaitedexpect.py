"""An expectation of a test that drives a run step by step: when it can be judged, and what of it.

The words are those of `[[expect]]`, and so is the judge. What is added is the waiting: a box tells
of a time only when its window has ended, and of a flag when it goes up.

    what                            without times of its own it is about
    volume                          all that drove since the start
    value                           the next window that begins after the question
    quality, flag, event, gap,      whatever comes; it passes as soon as that was seen
    issue
    these with `absent`,            what was up to the question
    complete, nothing_else
"""

from collections.abc import Mapping, Sequence
from math import inf
from operator import methodcaller
from typing import Any, Final

from msgspec.structs import replace

from edge.config.draft import FileDraft
from edge.core import ConfigError
from edge.rig.expectationchecks import EXPECT_KEYS, check_expectations
from edge.rig.judgedrun import JudgedRun, seconds
from edge.rig.judgedvolume import EDGE_S
from edge.rig.judging import judge_one
from edge.rig.layer import NO_BOUND_S
from edge.rig.outcome import Judgement, not_evaluated
from edge.rig.runlog import Heard
from edge.rig.runner import settled
from edge.rig.scenario import SENTENCE_LIMIT, Expect, Scenario
from edge.rig.scenariosite import ScenarioSite

OF_RECORDS: Final = ("volume", "value", "quality")
COMING: Final = ("quality", "flag", "event", "gap", "issue")
PLACE: Final = "records.expect"
LOOKS_S: Final = 2.0  # the status is looked at once a second

__tracebackhide__ = methodcaller("errisinstance", ConfigError)


def make_expect(words: Mapping[str, Any], site: ScenarioSite, faults: Sequence[str]) -> Expect:
    """Checked as those of a file are. Raises Problems that say all that is wrong."""
    given = {"name": _name(words), **words}
    draft = FileDraft({"expect": [given], "fault": [{"name": name} for name in faults]})
    path = ("expect", 0)
    made = draft.table(Expect, path, given)
    if made is not None:
        check_expectations(draft, inf, site, [(path, made)], [])
    if draft.found or made is None:
        raise draft.problems(PLACE, {})
    return made


def _name(words: Mapping[str, Any]) -> str:
    """A sentence for reports."""
    head = " ".join(str(words[key]) for key in ("what", "key") if words.get(key))
    of = f" of {words['source']}" if words.get("source") else ""
    rest = [f"{k} = {v}" for k, v in words.items() if k not in ("what", "key", "source", "name")]
    return f"{head}{of}{': ' if rest else ''}{', '.join(rest)}"[:SENTENCE_LIMIT] or "an expectation"


class AwaitedExpect:
    """One that is asked for at `asked_s`, and is waited for until `until_s` at the latest."""

    def __init__(self, expect: Expect, scenario: Scenario, asked_s: float, wait_s: float) -> None:
        self.expect = expect
        """As it was judged: with the times that it is about, once these are known."""
        self._scenario, self._asked_s, self._wait_s = scenario, asked_s, wait_s
        times = (expect.from_s, expect.until_s, expect.within_s, expect.fault)
        self._is_open = expect.until_s is None and expect.within_s is None
        self._has_window = expect.what != "value" or any(one is not None for one in times)

    def look(self, run: JudgedRun) -> Judgement | None:
        """What has become of it; None as long as that may still change."""
        log, expect = run.log, self.expect
        if expect.fault is not None and expect.fault not in run.spans:
            return not_evaluated(f"{expect.fault} never began.")
        late_s = self._late_s(run)
        if not self._has_window and not self._find_window(log.heard):
            if log.lasted_s < late_s:
                return None
            return not_evaluated(f"No window of {expect.source} began and ended after "
                                 f"{seconds(self._asked_s)}.")  # fmt: skip
        told = self._is_told(run)
        coming = self._is_open and expect.what in COMING and not expect.absent
        if told and self._is_open and not coming:
            self._close(run)
        finding = judge_one(self.expect, self._scenario, run)
        decided = finding.final and finding.verdict != "not_evaluated"
        if decided or (told and (not coming or finding.verdict == "pass")):
            return finding
        if log.lasted_s < late_s:
            return None
        if told or coming or finding.verdict == "not_evaluated":
            return finding
        return not_evaluated(f"The box has not told of the time up to {seconds(self._end_s(run))}. "
                             f"So far: {finding.text}", log.lasted_s)  # fmt: skip

    def _end_s(self, run: JudgedRun) -> float:
        """Up to then it has to be told; its own end, or the question."""
        end_s = run.frame(self.expect).until_s
        if end_s < inf:
            return end_s
        # a vehicle next to an end may count on either side of it: let there be none
        apart = self.expect.what == "volume" and run.log.clock_bound_s < NO_BOUND_S
        return self._asked_s + (EDGE_S + run.log.clock_bound_s if apart else 0.0)

    def _late_s(self, run: JudgedRun) -> float:
        return max(self._asked_s, self._end_s(run)) + self._wait_s

    def _is_told(self, run: JudgedRun) -> bool:
        """Whether what the box has said so far is all that it will say of this time."""
        expect, heard, end_s = self.expect, run.log.heard, self._end_s(run)
        if expect.what == "in_force":
            return True
        if expect.what == "issue":
            return run.log.lasted_s >= end_s + LOOKS_S
        if expect.what in OF_RECORDS:
            ends = (
                one.to_s - one.error_s
                for one in heard if one.source == expect.source and one.to_s is not None
            )  # fmt: skip
            return any(to_s >= end_s for to_s in ends)
        waiting = next((one.queue for one in reversed(run.log.seen) if one.queue is not None), 0)
        return settled(heard, end_s) and (expect.what != "complete" or not waiting)

    def _find_window(self, heard: Sequence[Heard]) -> bool:
        """The first that begins after the question."""
        for one in heard:
            if one.source != self.expect.source or one.from_s is None or one.to_s is None:
                continue
            if one.from_s - one.error_s >= self._asked_s and one.to_s > one.from_s:
                self.expect = replace(self.expect, from_s=one.from_s, until_s=one.to_s)
                self._is_open, self._has_window = False, True
                return True
        return False

    def _close(self, run: JudgedRun) -> None:
        """What comes later is none of its business: it may be judged again, and is the same."""
        expect = self.expect
        keys = EXPECT_KEYS[expect.what]
        if "until_s" not in (*keys.needed, *keys.more):
            return
        ends = [self._asked_s]
        if expect.what in OF_RECORDS:
            ends += [row.moment_s for row in run.records(expect.source, run.frame(expect))]
        self.expect = replace(expect, until_s=min(max(ends), run.log.lasted_s))
