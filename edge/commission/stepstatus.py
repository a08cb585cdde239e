"""Each step as it stands now: what was found, or what is still to do. For people and for the sheet.

Steps that only need what is filled in (loops) are judged from the fields each time.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from edge.commission.loopfields import judge_loop
from edge.commission.session import CommissionSession, StepResult, stale_reason
from edge.commission.steps import CommissionStep
from edge.commission.verdict import StepFinding, StepVerdict, finding, worst_verdict


class StepStatus(Struct, frozen=True):
    """One step. `stale`: configuration or device, which is another one since it was done."""

    step: CommissionStep
    findings: list[StepFinding]
    verdict: StepVerdict
    done: bool
    stale: str = ""
    result: StepResult | None = None
    filled: dict[str, float | str] = {}


def step_status(session: CommissionSession, step: CommissionStep, serial: str) -> StepStatus:
    """Of one step; `serial` is its device's now."""
    filled = session.fields.get(step.id, {})
    result = session.steps.get(step.id)
    if step.kind == "loop":
        numbers = {k: float(v) for k, v in filled.items() if not isinstance(v, str)}
        found = judge_loop(step.subject, numbers)
        stale = "" if result is None else stale_reason(result, step, serial)
        verdict = StepVerdict.UNPROVEN if stale else worst_verdict(found)
        return StepStatus(step, found, verdict, bool(numbers), stale, result, filled)
    if result is None:
        found = untouched(step)
        return StepStatus(step, found, StepVerdict.UNPROVEN, False, "", None, filled)
    stale = stale_reason(result, step, serial)
    verdict = StepVerdict.UNPROVEN if stale else result.verdict
    return StepStatus(step, result.findings, verdict, True, stale, result, filled)


def untouched(step: CommissionStep) -> list[StepFinding]:
    """What is said of a step that nobody has done."""
    if step.kind == "lane":
        return [finding("never_driven", lane=step.subject)]
    if step.kind == "scan":
        return [finding("not_scanned")]
    if step.kind == "left_out":
        return [left_out_finding(step)]
    return []


def left_out_finding(step: CommissionStep) -> StepFinding:
    """How many steps there is no room for, and which."""
    first, last = step.left_out[0], step.left_out[-1]
    return finding("steps_left_out", count=len(step.left_out), first=first, last=last)


def status_row(status: StepStatus) -> dict[str, Any]:
    """For people and programs."""
    step, result = status.step, status.result
    return {
        "id": step.id,
        "kind": step.kind,
        "subject": step.subject,
        "name": step.name,
        "verdict": str(status.verdict),
        "done": status.done,
        "stale": status.stale,
        "findings": [finding_row(each) for each in status.findings],
        "at": None if result is None else result.at,
        "by": "" if result is None else result.by,
        "fields": dict(status.filled),
        "figures": {} if result is None else result.figures,
    }


def finding_row(one: StepFinding) -> dict[str, Any]:
    """A finding with its sentences."""
    return {
        "kind": one.kind,
        "verdict": str(one.verdict),
        "text": one.text,
        "remedy": one.remedy,
        "figures": dict(one.figures),
    }


def all_steps(
    session: CommissionSession, steps: Mapping[str, CommissionStep], serials: Mapping[str, str]
) -> list[StepStatus]:
    """In the order in which they are done."""
    return [step_status(session, step, serials.get(id_, "")) for id_, step in steps.items()]
