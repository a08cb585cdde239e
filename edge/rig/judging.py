"""What a run is worth: each expectation of a scenario, held against what was done and heard.

Pure: the same run is judged the same, on any machine, at any time. What could not be judged is
`not_evaluated`, and says why; that is no pass.
"""

from math import inf
from typing import Final

from edge.rig.judgedevents import judge_event, judge_issue, judge_nothing_else
from edge.rig.judgednumbers import judge_complete
from edge.rig.judgedrecords import judge_quality, judge_value
from edge.rig.judgedrun import JudgedRun, JudgedSpan, seconds
from edge.rig.judgedvolume import judge_volume
from edge.rig.layer import NO_BOUND_S
from edge.rig.outcome import ROWS_LIMIT, Judgement, Outcome, Verdict, not_evaluated, verdict_of
from edge.rig.runlog import Ending, RunLog
from edge.rig.scenario import Expect, Fault, Scenario

__all__ = ["Outcome", "judge", "judge_in_force", "judge_one", "verdict_of"]
ENDINGS: Final[dict[Ending, str]] = {
    "whole": "The run ended",
    "broken_off": "The run was broken off",
    "box_failed": "The box ended by itself",
    "rig_failed": "The rig failed",
}
IN_FORCE: Final = "in_force"
READABLE: Final = "readable"  # `what` of the outcome that the rig adds where something was not
UNDECODABLE: Final = "undecodable"  # the stream of what an adapter could not read
DAMAGES: Final = ("link", "chunk_loss")
WHOLE: Final = "whole"  # `what` of the outcome that the rig adds where a run is not whole
NAMED_BY_OTHERS: Final = ("flag", "event", "gap")
NEVER_LATE: Final = ("complete", IN_FORCE)
"""However late the rig is: no record gets lost by it."""
NEAR_S: Final = 1.0
AFTER_STALL_S: Final = 65.0  # by then the record of its minute has come
TIMED: Final = ("volume", "value", "quality", *NAMED_BY_OTHERS, "nothing_else")
"""What goes by the box's clock, where it says one."""


def judge(scenario: Scenario, log: RunLog) -> list[Outcome]:
    """One outcome of each `[[expect]]`, in their order; then one of each fault that no expectation
    shows to be in force, one of messages that could not be read, and one of a run that was not
    whole."""
    run = JudgedRun(log)
    found = []
    for place, expect in enumerate(scenario.expects):
        finding = judge_one(expect, scenario, run)
        if expect.what not in NEVER_LATE:
            finding = _unless_late(finding, log)
        found.append(_outcome(place, expect.name, expect.what, finding))
    shown = {each.fault for each in scenario.expects if each.what == IN_FORCE}
    for fault in scenario.faults:
        if fault.name not in shown:
            finding = _not_judged(run) or judge_in_force(fault, run)
            found.append(_outcome(None, f"{fault.name} was in force", IN_FORCE, finding))
    if (unread := _unread(scenario, run)) is not None:
        found.append(_outcome(None, "every message could be read", READABLE, unread))
    if log.ending != "whole":
        text = f"{_ended(log)}. A run that is not whole has not passed."
        verdict: Verdict = "fail" if log.ending == "box_failed" else "not_evaluated"
        finding = Judgement(verdict=verdict, text=text, moment_s=log.lasted_s)
        found.append(_outcome(None, "the run was whole", WHOLE, finding))
    return found


def judge_one(expect: Expect, scenario: Scenario, run: JudgedRun) -> Judgement:
    """One expectation alone, on as much of a run as there is."""
    if (why := _not_judged(run)) is not None:
        return why
    fault = next((each for each in scenario.faults if each.name == expect.fault), None)
    if expect.what == IN_FORCE:
        return judge_in_force(fault, run) if fault else not_evaluated("It names no fault.")
    if expect.fault:
        shown = judge_in_force(fault, run) if fault else not_evaluated("It names no fault.")
        if shown.verdict != "pass":
            return not_evaluated(f"The fault was not in force. {shown.text}", shown.moment_s)
    frame = run.frame(expect)
    length_s, bound_s = frame.until_s - frame.from_s, run.log.clock_bound_s
    if length_s <= 0:
        text = f"No time is left for it: it begins at {seconds(frame.from_s)}, and ends at "
        return not_evaluated(f"{text}{seconds(frame.until_s)}.", frame.from_s)
    if expect.what in TIMED and length_s < bound_s:
        text = f"It is wanted within {seconds(length_s)}, and the box's clock is "
        known = f"only known to within {seconds(bound_s)}" if bound_s < NO_BOUND_S else "not known"
        return not_evaluated(f"{text}{known}.", frame.from_s)
    finding = _find(expect, frame, run, scenario)
    if finding.final or (run.reached(frame) and frame.from_s < run.log.lasted_s):
        return finding
    text = f"{_ended(run.log)}, and this is wanted {frame.where()}. So far: {finding.text}"
    return not_evaluated(text, run.log.lasted_s)


def _find(expect: Expect, frame: JudgedSpan, run: JudgedRun, scenario: Scenario) -> Judgement:
    match expect.what:
        case "volume":
            return judge_volume(expect, frame, run)
        case "value":
            return judge_value(expect, frame, run)
        case "quality":
            return judge_quality(expect, frame, run)
        case "issue":
            return judge_issue(expect, frame, run)
        case "complete":
            return judge_complete(run)
        case "nothing_else":
            others = [
                (each, run.frame(each))
                for each in scenario.expects
                if each.what in NAMED_BY_OTHERS and (not each.fault or each.fault in run.spans)
            ]
            return judge_nothing_else(expect, frame, run, others)
        case _:
            return judge_event(expect, frame, run)


def _not_judged(run: JudgedRun) -> Judgement | None:
    """Why nothing of this run can be judged."""
    if run.log.ending == "rig_failed":
        return not_evaluated(f"{_ended(run.log)}.", run.log.lasted_s)
    if not run.log.heard:
        return not_evaluated("Nothing came from the box in the whole run.")
    return None


def _unread(scenario: Scenario, run: JudgedRun) -> Judgement | None:
    """What a message says that the adapter cannot read nobody knows: it may be anything. What the
    rig itself damages on the way is none of the box's doing."""
    damaged = [run.spans[each.name] for each in scenario.faults
               if (each.target, each.kind) == DAMAGES and each.name in run.spans]  # fmt: skip
    rows = [
        (number, heard) for number, heard in enumerate(run.log.heard)
        if heard.stream == UNDECODABLE and not any(
            each.began_s <= heard.t_s <= (each.ended_s or inf) + AFTER_STALL_S for each in damaged)
    ]  # fmt: skip
    if not rows:
        return None
    _, first = rows[0]
    text = f"{len(rows)} messages of the box could not be read: nobody knows what they said. The "
    text += f"first came at {seconds(first.t_s)} on {first.body.get('topic', '?')}: "
    return Judgement(
        verdict="not_evaluated", text=f"{text}{first.body.get('text', '')}", moment_s=first.t_s,
        rows=tuple(number for number, _ in rows[:ROWS_LIMIT]), final=True,
    )  # fmt: skip


def judge_in_force(fault: Fault, run: JudgedRun) -> Judgement:
    """Something went through while it lasted, and the rig saw it go wrong."""
    span = run.spans.get(fault.name)
    if span is None:
        return not_evaluated(f"{fault.name} never began.")
    began = f"{fault.name} ({fault.kind} of {fault.target}) began at {seconds(span.began_s)}"
    if not span.through:
        return not_evaluated(f"{began}, and nothing went through while it lasted.", span.began_s)
    seen = [each for each in span.evidence if each.t_s >= span.began_s]
    if not seen:
        text = f"{began}. {span.through} things went through, and none of them went wrong."
        return Judgement(verdict="fail", text=text, moment_s=span.began_s, final=True)
    if fault.for_s is not None and span.ended_s is None:
        due_s = span.began_s + fault.for_s
        if due_s < run.log.lasted_s:
            text = f"{began}. It had to heal at {seconds(due_s)}, and did not."
            return not_evaluated(text, due_s)
    text = f"{began}. {seen[0].text} (at {seconds(seen[0].t_s)}; {len(seen)} seen, "
    text += f"{span.through} went through)."
    return Judgement(verdict="pass", text=text, moment_s=seen[0].t_s, final=True)


def _unless_late(finding: Judgement, log: RunLog) -> Judgement:
    """A failure is none where the rig itself was late: it may have been its own."""
    moment_s = finding.moment_s
    if finding.verdict != "fail" or moment_s is None:
        return finding
    for stall in log.stalls:
        if stall.t_s - stall.for_s - NEAR_S <= moment_s <= stall.t_s + AFTER_STALL_S:
            text = f"The rig itself was late by {stall.for_s:.2f} s at "
            text += f"{seconds(stall.t_s)}, and so was what it plays. {finding.text}"
            return not_evaluated(text, moment_s)
    return finding


def _ended(log: RunLog) -> str:
    """Without its full stop."""
    why = f": {log.text.rstrip('.')}" if log.text else ""
    return f"{ENDINGS[log.ending]} at {seconds(log.lasted_s)}{why}"


def _outcome(place: int | None, name: str, what: str, finding: Judgement) -> Outcome:
    return Outcome(
        place=place,
        name=name,
        what=what,
        verdict=finding.verdict,
        text=finding.text,
        moment_s=finding.moment_s,
        rows=finding.rows,
    )
