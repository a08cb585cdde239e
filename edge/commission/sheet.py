"""The acceptance sheet: what was proven, what was not, who signed. A plain map.

Its bytes for digest and signature are those of `edge/wire/acceptancebytes.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from edge.commission.session import CommissionSession, verdict_counts
from edge.commission.stepstatus import StepStatus, status_row
from edge.commission.verdict import StepVerdict

SHEET_VERSION: Final = 1
OPEN_LISTED: Final = 64  # steps that did not pass, in the event

SheetState = Literal["accepted", "reservations"]


@dataclass(frozen=True, slots=True)
class SheetBox:
    """Where it was, and by which program."""

    site: str
    site_name: str
    gateway: str
    software: str
    board: str
    configuration: str  # digest
    time: str  # ISO, of the signature; empty where no clock knew it
    time_quality: str
    confirm: str  # whose confirmation counts: platform or broker


def make_sheet(
    box: SheetBox, number: int, session: CommissionSession, steps: Sequence[StepStatus], *,
    by: str, note: str,
) -> dict[str, Any]:  # fmt: skip
    """All of it. Raises ValueError for a session in which nothing was done."""
    if not any(each.done for each in steps):
        raise ValueError("no step has been done: there is nothing to sign")
    return {
        "kind": "acceptance",
        "v": SHEET_VERSION,
        "number": number,
        "state": sheet_state(steps),
        "site": box.site,
        "site_name": box.site_name,
        "gateway": box.gateway,
        "software": box.software,
        "board": box.board,
        "configuration_sha256": box.configuration,
        "confirm": box.confirm,
        "at": box.time,
        "tq": box.time_quality,
        "by": by,
        "note": note,
        "counts": verdict_counts(each.verdict for each in steps),
        "steps": [status_row(each) for each in steps],
        "unmatched": [
            {"place": one.place, "driver": one.driver, "what": one.what, "serial": one.serial}
            for one in session.found
            if one.state == "open" and one.id in unmatched_ids(steps)
        ],
    }


def unmatched_ids(steps: Sequence[StepStatus]) -> set[str]:
    """Of the devices that answered and belong to nobody."""
    return {
        str(each.figures["id"])
        for status in steps
        for each in status.findings
        if each.kind == "unmatched"
    }


def sheet_state(steps: Sequence[StepStatus]) -> SheetState:
    """Whether there is anything that did not pass."""
    return (
        "accepted" if all(each.verdict is StepVerdict.PASSED for each in steps) else "reservations"
    )


def open_steps(sheet: Mapping[str, Any]) -> dict[str, str]:
    """Step -> verdict of those that did not pass, the worst first; OPEN_LISTED of them."""
    worst = {"failed": 0, "doubtful": 1, "unproven": 2}
    rows = [row for row in sheet["steps"] if row["verdict"] in worst]
    rows.sort(key=lambda row: worst[row["verdict"]])
    return {row["id"]: row["verdict"] for row in rows[:OPEN_LISTED]}
