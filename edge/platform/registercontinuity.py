"""Registers that only grow: each record's growth leads from the last value before to its own.

So `last - delta` of a record is `last` of the record before it. What does not meet was counted
twice, or in no record. Fed in the order of the keys, judged when the order of epochs is known.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple

from edge.platform.auditreport import AuditFinding, record_name
from edge.platform.completeness import CompletenessCheck
from edge.platform.receivedrecord import Key
from edge.platform.timeline import RowPlace

FINDINGS_LIMIT: Final = 1000  # steps that do not meet, of one gateway; more are findings at once
NEAR_US: Final = 120_000_000  # an event about a register may come so long before or after
GAPS: Final = ("uncertain:gap", "bad:gap")  # it is another device, or was not watched

Register = tuple[str, str, str]  # stream, source, point


class RegisterReading(NamedTuple):
    """One record's word on a register, in steps of `step`."""

    place: RowPlace
    boot: int
    at_us: int
    step: float
    first: int
    last: int
    before: int  # where its growth began
    sure: bool  # the next one goes on from `last`


@dataclass(slots=True)
class RegisterRun:
    """A register in one epoch. `grown`: some growth was counted."""

    head: RegisterReading
    tail: RegisterReading
    grown: bool


class RegisterStep(NamedTuple):
    """Two records that follow each other and do not meet."""

    register: Register
    left: RegisterReading
    right: RegisterReading
    grown: bool  # in its epoch, before


class RegisterContinuity:
    """Of one gateway."""

    def __init__(self) -> None:
        self._runs: dict[Register, dict[int, RegisterRun]] = {}
        self._steps: list[RegisterStep] = []
        self._more = 0

    def take(self, key: Key, source: str, sent: Mapping[str, Any]) -> None:
        """A record, behind those with smaller numbers of its epoch and stream."""
        for point, reading in readings_of(key, sent):
            run = RegisterRun(reading, reading, reading.last > reading.before)
            self.take_run((key[2], source, point), run)

    def judge(self, check: CompletenessCheck) -> tuple[list[AuditFinding], int]:
        """Findings, and how many registers began anew: what they did before is in no record."""
        steps = [*self._steps, *self._over(check)]
        findings: list[AuditFinding] = []
        uncounted = 0
        for step in steps:
            if _explained(check, step):
                continue
            if _began_anew(step):
                uncounted += 1
            else:
                findings.append(_finding(check.received.gw, step))
        if self._more:
            text = f"{check.received.gw}: {self._more} more registers do not continue as expected"
            findings.append(AuditFinding("register", text))
        return findings, uncounted

    def take_run(self, register: Register, new: RegisterRun) -> None:
        """Records that meet, behind those with smaller numbers."""
        runs = self._runs.setdefault(register, {})
        epoch = new.head.place[0]
        run = runs.get(epoch)
        if run is None:
            runs[epoch] = new
            return
        if not is_continuous(run.tail, new.head):
            if len(self._steps) < FINDINGS_LIMIT:
                self._steps.append(RegisterStep(register, run.tail, new.head, run.grown))
            else:
                self._more += 1
        run.tail = new.tail
        run.grown = run.grown or new.grown

    def _over(self, check: CompletenessCheck) -> Iterator[RegisterStep]:
        """From one epoch to the next in which the register was read."""
        circling = {epoch for circle in check.order.cycles for epoch in circle}
        for register, runs in self._runs.items():
            lines: dict[int, list[tuple[int, RegisterRun]]] = {}
            for epoch, run in runs.items():
                if epoch in circling:
                    continue  # nothing comes before another there
                line, at = check.order.place[epoch]
                lines.setdefault(line, []).append((at, run))
            for found in lines.values():
                found.sort(key=lambda each: each[0])
                for (_, left), (_, right) in pairwise(found):
                    if not is_continuous(left.tail, right.head):
                        yield RegisterStep(register, left.tail, right.head, grown=False)


def readings_of(key: Key, sent: Mapping[str, Any]) -> Iterator[tuple[str, RegisterReading]]:
    """What a record says of registers, by the name of the point."""
    points = sent.get("points")
    for point, register in points.items() if isinstance(points, dict) else ():
        match register:
            case {
                "first": int() | float(), "last": int() | float(), "delta": int() | float(),
                "step": int() | float(),
            }:  # fmt: skip
                if (reading := _reading(key, sent, register)) is not None:
                    yield str(point), reading


def _reading(
    key: Key, sent: Mapping[str, Any], point_map: Mapping[str, Any]
) -> RegisterReading | None:
    step = point_map["step"]
    try:
        first, last, delta = (round(point_map[each] / step) for each in ("first", "last", "delta"))
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    quality = point_map.get("quality")
    sure = not (isinstance(quality, dict) and any(gap in quality for gap in GAPS))
    at_us = sent["mono"][1]
    return RegisterReading(
        (key[1], key[3]), sent["boot"], at_us, step, first, last, last - delta, sure
    )


def is_continuous(left: RegisterReading, right: RegisterReading) -> bool:
    """Whether they meet. Yes, too, where it is not known: another step, or another device."""
    doubted = not (left.sure and right.sure) or left.step != right.step
    return doubted or abs(right.before - left.last) <= 1


def _began_anew(step: RegisterStep) -> bool:
    """Whether the register began anew, with its first growth of an epoch: what it did before is
    counted by nobody. It counts from where it was first seen, or was seen where it was left."""
    left, right = step.left.last, step.right
    return not step.grown and right.before > left and right.first in (right.before, left)


def _explained(check: CompletenessCheck, step: RegisterStep) -> bool:
    """Records between the two are missing, or an event reports another register."""
    stream, source, point = step.register
    if check.absent(step.left.place, step.right.place, stream):
        return True
    return any(
        meter.source == source
        and meter.point in (None, point)
        and any(
            meter.boot == each.boot and low - NEAR_US <= meter.at_us <= high + NEAR_US
            for each, low, high in (
                (step.left, step.left.at_us, max(step.left.at_us, step.right.at_us)),
                (step.right, 0, step.right.at_us),
            )
        )
        for meter in check.received.declared.meters
    )


def _finding(gw: str, step: RegisterStep) -> AuditFinding:
    stream, source, point = step.register
    left, right = step.left, step.right
    size = right.step
    where = record_name(gw, right.place[0], stream, right.place[1])
    text = f"{where}: {source}.{point} grew from {right.before * size:g} to {right.last * size:g},"
    text += f" and the record before it ({left.place[0]}/{left.place[1]}) ends at"
    text += f" {left.last * size:g}: the growth between these two values was counted twice, or not"
    text += " at all"
    return AuditFinding("register", text, (gw, right.place[0], stream, right.place[1]))
