"""What the doctor says, as lines for people and as one object for programs. Pure.

A line begins with the outcome and the id of its check, so it can be searched for. Faults stand
first, then what the wires have, bus by bus, then warnings, each with what to do; then what is well;
what nobody looked at last, by its reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from edge.core.displayname import with_name
from edge.diagnose.checks import CHECKS, CheckResult, sort_results
from edge.diagnose.exam import Exam, ExamFinding

WIDTH: Final = 9  # of an outcome
LINES_ONLY: Final = (
    "not checked: edges of loops and contacts: only the running gateway sees that one is stuck,"
    " dead, inverted or swapped, or chatters: start it, let traffic pass for some minutes, then"
    " `kerbstone doctor --check lanes`"
)
WIRES_SHOWN: Final = ("bus_line", "gpio_lines", "device_answers")  # of what is well on the wires


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """All of it. `through`: how the wires were looked at; `why` it ended early, empty if not.
    `asked`: only some checks were wanted, so each is shown. `file` is the site file's name."""

    results: Sequence[CheckResult]  # but for those of the wires
    exams: Sequence[Exam]
    through: str
    why: str
    asked: frozenset[str]
    file: str
    names: Mapping[str, str]  # how things are called for people, by id
    lines_only: bool = False  # GPIO lines were looked at, and no gateway knows their edges

    @property
    def wires(self) -> list[ExamFinding]:
        """What was found on the wires, of the checks that were asked for."""
        found = (one for exam in self.exams for one in exam.findings())
        return [one for one in found if one.check in self.asked]

    @property
    def checks(self) -> list[CheckResult]:
        """Every answer, in the order of the table."""
        wires = (one for exam in self.exams for one in exam.results())
        everything = [*self.results, *(one for one in wires if one.check in self.asked)]
        places = {check: number for number, check in enumerate(CHECKS)}
        return sorted(everything, key=lambda each: places[each.check])

    @property
    def refused(self) -> list[str]:
        """Buses that nobody could look at."""
        return [exam.bus for exam in self.exams if exam.refused]


def report_lines(report: DoctorReport) -> Iterator[str]:
    """For people."""
    few = len(report.asked) < len(CHECKS)
    if report.exams or not few:
        yield report.through
    own = [_for_people(each, report) for each in sort_results(report.results)]
    for each in own:
        if each.outcome == "fault":
            yield from _wrong(each)
    for exam in report.exams:
        yield from _wire_lines(exam, report)
    for each in own:
        if each.outcome == "warning":
            yield from _wrong(each)
    wires = [one for exam in report.exams for one in exam.results() if one.outcome == "ok"]
    shown = [
        one for one in wires
        if one.check in report.asked and not one.cause and (few or one.check in WIRES_SHOWN)
    ]  # fmt: skip
    for each in (*own, *(_for_people(one, report) for one in shown)):
        if each.outcome == "ok":
            yield _ok(each)
    yield from _not_checked(own, alone=few)
    if report.lines_only:
        yield LINES_ONLY


def _wire_lines(exam: Exam, report: DoctorReport) -> Iterator[str]:
    """Of one bus. A note stands below what is wrong with the same thing by the same check."""
    found: dict[tuple[str, str], list[ExamFinding]] = {}
    for one in exam.findings():
        if one.check in report.asked:
            found.setdefault((one.check, one.about), []).append(one)
    for group in found.values():
        notes = [one for one in group if one.finding.severity == "note"]
        heads = [one for one in group if one not in notes] or notes[:1]
        for one in heads:
            place = f"{_named(one.about, report)} ({report.file}:{one.line})"
            words = (_one_line(text) for text in (one.finding.sentence, one.finding.remedy))
            yield from _finding(one.finding.severity, one.check, place, *words)
        for one in notes:
            if one not in heads:
                words = (_one_line(text) for text in (one.finding.sentence, one.finding.remedy))
                yield f"{'':<{WIDTH}}also: {': '.join(word for word in words if word)}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _for_people(result: CheckResult, report: DoctorReport) -> CheckResult:
    """With names behind ids. Where there is one broker, nobody need be told which it is."""
    group = CHECKS[result.check].group
    abouts = {one.about for one in report.results if CHECKS[one.check].group == group}
    if group == "broker" and len(abouts - {""}) < 2:
        return replace(result, about="")
    return replace(result, about=_named(result.about, report))


def _named(about: str, report: DoctorReport) -> str:
    """`about` of a lane, a device on its bus, or one of these with words behind it."""
    head, mark, rest = about.rpartition("/")
    name, blank, words = rest.partition(" ")
    return f"{head}{mark}{with_name(name, report.names)}{blank}{words}"


def _wrong(result: CheckResult) -> Iterator[str]:
    return _finding(result.outcome, result.check, result.about, result.cause, result.remedy)


def _finding(word: str, check: str, about: str, cause: str, remedy: str) -> Iterator[str]:
    yield f"{word:<{WIDTH}}{check}{' ' + about if about else ''}: {cause}"
    if remedy:
        yield f"{'':<{WIDTH}}{remedy}"


def _ok(result: CheckResult) -> str:
    about = f" {result.about}" if result.about else ""
    seen = f": {result.cause}" if result.cause else ""
    return f"{'ok':<{WIDTH}}{result.check}{about}{seen}"


def _not_checked(results: Sequence[CheckResult], *, alone: bool) -> Iterator[str]:
    """Those with one reason in one line."""
    reasons: dict[str, list[str]] = {}
    for each in results:
        if each.outcome == "not checked":
            name = f"{each.check} {each.about}" if alone and each.about else each.check
            names = reasons.setdefault(each.cause, [])
            if name not in names:
                names.append(name)
    for reason, names in reasons.items():
        yield f"not checked: {', '.join(names)}: {reason}"


def report_object(report: DoctorReport) -> dict[str, Any]:
    """For programs."""
    own = [
        {
            "bus": "", "device": "", "severity": each.outcome, "sentence": each.cause,
            "remedy": each.remedy, "line": 0, "check": each.check, "about": each.about,
        }
        for each in sort_results(report.results)
        if each.is_wrong
    ]  # fmt: skip
    wires = [
        {
            "bus": one.bus, "device": one.device, "severity": one.finding.severity,
            "sentence": one.finding.sentence, "remedy": one.finding.remedy, "line": one.line,
            "check": one.check, "about": one.about,
        }
        for one in report.wires
    ]  # fmt: skip
    return {
        "through": report.through,
        "whole": not report.why,
        "fine": [
            name for exam in report.exams for name in exam.names if exam.is_fine(name)
        ],
        "not_reached": report.refused,
        "findings": [*own, *wires],
        "checks": [
            {
                "id": each.check, "about": each.about, "outcome": each.outcome,
                "cause": each.cause, "remedy": each.remedy,
            }
            for each in report.checks
        ],
    }  # fmt: skip


def list_lines() -> Iterator[str]:
    """All checks, by group."""
    group = ""
    for check, row in CHECKS.items():
        if row.group != group:
            group = row.group
            yield group
        yield f"  {check:<20}{row.asks}"
