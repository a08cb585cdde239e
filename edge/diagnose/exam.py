"""What is said of a bus or a device: the finding, whose it is, and where that is configured."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from drivers.buses.finding import Finding, fault, note, warning
from edge.config import Site
from edge.core import Condition, Polled, Reason, Sweep
from edge.core.remedies import MILD_CONDITIONS, REMEDIES, TEMPORARY_REASONS, split_remedy
from edge.diagnose.checks import CheckId, CheckResult, as_outcome, unchecked
from edge.gateway.deviceissues import is_of_bus, shared_remedy

FALLBACK_REMEDIES: Final[Mapping[CheckId, str]] = {
    "device_answers": "check its supply, its plug and its wires",
    "device_reports": "see the manual of the device",
}
"""What to do where the finding knows nothing better."""
NOT_CHECKED: Final = "not checked"
BEHIND: Final = "it cannot answer until the fault of bus"
ALL_SILENT: Final = "none of its devices answers as configured"


@dataclass(frozen=True, slots=True)
class ExamFinding:
    """One finding on a bus ("" for the gateway), or on a device of it."""

    bus: str
    device: str
    finding: Finding
    line: int = 0  # of the configuration
    check: CheckId = "bus_line"

    @property
    def about(self) -> str:
        """The bus, and behind a slash its device."""
        return f"{self.bus}/{self.device}" if self.device else self.bus

    def result(self) -> CheckResult:
        """As an answer of the doctor. A note is none of what is wrong."""
        found = self.finding
        blind = found.sentence.startswith((NOT_CHECKED, BEHIND))
        outcome = "not checked" if blind else as_outcome(found.severity)
        remedy = found.remedy
        if outcome in ("warning", "fault"):
            remedy = remedy or FALLBACK_REMEDIES.get(self.check, "")
        return CheckResult(self.check, self.about, outcome, found.sentence, remedy)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a device does not answer: what its driver said; `reason` None: nobody knows the kind."""

    text: str
    reason: Reason | None = None

    @classmethod
    def told(cls, text: str, word: str) -> "Failure":
        """By the word of a gateway, maybe a newer one."""
        return cls(text, Reason(word) if word in {*Reason} else None)

    @property
    def finding(self) -> Finding:
        return split_finding("fault", self.text, self.reason)


@dataclass(slots=True)
class Exam:
    """One bus: what is known of it and of those on it that were asked about (`names`).

    `answers` are those that do. `failed` are those that do not, with what the driver said; what is
    `known` better goes before. `refused` says why nobody looked.
    """

    site: Site
    bus: str
    names: tuple[str, ...]
    wire: list[Finding] = field(default_factory=list)  # of the bus itself
    answers: set[str] = field(default_factory=set)
    failed: dict[str, Failure] = field(default_factory=dict)
    known: dict[str, list[Finding]] = field(default_factory=dict)
    checks: dict[Finding, CheckId] = field(default_factory=dict)  # which check has found it
    read: set[str] = field(default_factory=set)  # its values were looked at
    paced: set[str] = field(default_factory=set)  # the daemon asks it, and knows how often it came
    unread: str = ""  # why nobody could look at values
    refused: str = ""
    step: str = ""
    finished: bool = False

    def add(self, device: str, finding: Finding, check: CheckId | None = None) -> None:
        """Of one of its devices, or of the bus itself (""); of others nobody has asked."""
        if check is not None:
            self.checks[finding] = check
        if not device:
            self.wire.append(finding)
        elif device in self.names:
            self.known.setdefault(device, []).append(finding)

    def add_wire(self, found: Iterable[Finding], check: CheckId) -> None:
        """Of the bus itself."""
        for one in found:
            self.add("", one, check)

    def add_all(self, found: list[Finding]) -> None:
        """Findings whose sentences begin with the name of the device that they are about."""
        devices = self.site.devices_on(self.bus)
        for one in found:
            name, _, rest = one.sentence.partition(": ")
            if name in devices:
                self.add(name, Finding(one.severity, rest, one.remedy) if one.remedy
                         else split_finding(one.severity, rest))  # fmt: skip
            elif one.sentence.removesuffix(" answers") not in devices:
                self.add("", one if one.remedy else split_finding(one.severity, one.sentence))

    @property
    def broken(self) -> bool:
        """Something is wrong with the bus itself."""
        return any(one.severity == "fault" for one in self.wire)

    @property
    def all_silent(self) -> bool:
        """None of its devices answers: that may be the fault of the bus, or of each of them."""
        return bool(self.failed) and not self.answers

    @property
    def blames_bus(self) -> bool:
        """What its devices do not answer is told of the bus."""
        return self.broken or self._is_shared

    @property
    def _is_shared(self) -> bool:
        """Nobody answers, and of none is known why: it is told of the bus, once."""
        failed = [(each.reason, each.text) for each in self.failed.values()]
        if not self.all_silent or self.broken or not is_of_bus(failed):
            return False
        own = any(_fault(self.known.get(name, ())) for name in self.failed)
        return not own or len({self._said(name).remedy for name in self.failed}) == 1

    def _shared(self) -> Finding:
        """What all of its devices say, or that none answers."""
        sentences = {self._said(name).sentence for name in self.failed}
        remedy = shared_remedy([self._said(name).remedy for name in self.failed])
        names = ", ".join(self.failed)
        if len(sentences) == 1:
            return fault(f"{sentences.pop()}: no values of {names}", remedy)
        return fault(f"{ALL_SILENT}: {names}", remedy)

    def _said(self, name: str) -> Finding:
        """Of one that failed: what is known better goes before."""
        return _fault(self.known.get(name, ())) or self.failed[name].finding

    def findings(self) -> Iterator[ExamFinding]:
        """All that is known now, the bus first."""
        line = self.line("")
        if self.refused:
            refused = split_finding("warning", self.refused)
            yield ExamFinding(self.bus, "", refused, line, "bus_port")
        if self._is_shared:
            yield ExamFinding(self.bus, "", self._shared(), line)
        for one in dict.fromkeys(self.wire):
            yield ExamFinding(self.bus, "", one, line, self.checks.get(one, "bus_line"))
        for name in self.names:
            for one in dict.fromkeys(self._of(name)):
                check = self.checks.get(one, self.first_check(name))
                yield ExamFinding(self.bus, name, one, self.line(name), check)

    def results(self) -> Iterator[CheckResult]:
        """What was found as answers of the doctor, and what is well. A note stands with what is
        worse of the same check and thing."""
        found: dict[tuple[CheckId, str], list[CheckResult]] = {}
        for one in self.findings():
            found.setdefault((one.check, one.about), []).append(one.result())
        for results in found.values():
            wrong = [each for each in results if each.is_wrong]
            yield from wrong or (replace(results[0], cause="; ".join(r.cause for r in results)),)
        for check, about in self._looked_at():
            if (check, about) not in found:
                yield CheckResult(check, about, "ok", "")
        for name in self.names:
            about = f"{self.bus}/{name}"
            if self.unread and name in self.answers and ("device_values", about) not in found:
                yield unchecked("device_values", self.unread, about)

    def _looked_at(self) -> Iterator[tuple[CheckId, str]]:
        if self.finished and not self.refused:
            yield "bus_port", self.bus
        if self.is_fine("") and self.site.buses[self.bus].kind != "gpio":
            yield "bus_line", self.bus
        for name in self.names:
            about = f"{self.bus}/{name}"
            if name in self.answers:
                yield self.first_check(name), about
            if name in self.answers and self.first_check(name) == "device_answers":
                yield "device_reports", about
                if name in self.read:
                    yield "device_values", about
                if name in self.paced:
                    yield "device_pace", about

    def first_check(self, name: str) -> CheckId:
        """What is asked first of a device, a lane or a bay."""
        return "gpio_lines" if self.site.buses[self.bus].kind == "gpio" else "device_answers"

    def is_blamed(self, name: str, check: CheckId) -> bool:
        """Something that is wrong with it was found by this check already."""
        return any(
            one.severity != "note" and self.checks.get(one, self.first_check(name)) == check
            for one in self._of(name)
        )

    def is_fine(self, name: str) -> bool:
        """Nothing is wrong with this device, lane or bay, or with the bus itself ("")."""
        found = self._of(name) if name else self.wire
        seen = (
            name in self.answers
            if name
            else self.finished and not (self.refused or self.all_silent)
        )
        return seen and all(one.severity == "note" for one in found)

    def line(self, name: str) -> int:
        """Where the bus (""), or a device, a lane or a bay of it, stands in the configuration."""
        site = self.site
        table = "device" if name in site.devices else "bay" if name in site.bays else "lane"
        return self.site.remark((table, name) if name else ("bus", self.bus), "").line

    def _of(self, name: str) -> list[Finding]:
        found = list(self.known.get(name, ()))
        if name in self.failed and self._is_shared:
            one_voice = len({self._said(each).sentence for each in self.failed}) == 1
            own = "" if one_voice else f" ({self._said(name).sentence})"
            behind = note(f"{BEHIND} {self.bus} is cleared{own}")
            return [*(one for one in found if one.severity != "fault"), behind]
        if _fault(found):
            return found
        if name in self.failed and self.broken:
            return [*found, note(f"{BEHIND} {self.bus} is cleared")]
        if name in self.failed:
            return [*found, self.failed[name].finding]
        if not found and name not in self.answers:
            why = f": first clear the fault of bus {self.bus}" if self.broken else ""
            return [note(f"{NOT_CHECKED}{why}")]
        return found


def _fault(found: Sequence[Finding]) -> Finding | None:
    return next((one for one in found if one.severity == "fault"), None)


def split_finding(severity: str, text: str, reason: Reason | None = None) -> Finding:
    """A driver's error as sentence and remedy."""
    make = {"fault": fault, "warning": warning}.get(severity, note)
    return make(*split_remedy(text, reason))


def reading_findings(polled: Polled, result: Sweep) -> Iterator[Finding]:
    """Which values a reading that came has not."""
    missing: dict[Reason, list[str]] = {}
    for reading in result.readings(polled.points):
        if reading.value is None:
            reason = reading.quality.reason or Reason.FAULT
            missing.setdefault(reason, []).append(reading.point.key)
    yield from missing_findings(missing, len(result.values))


def missing_findings(missing: Mapping[Reason, Sequence[str]], total: int) -> Iterator[Finding]:
    """Points without a value, by why they have none; of so many."""
    for reason, keys in missing.items():
        shown = ", ".join(keys[:6]) + (" ..." if len(keys) > 6 else "")
        text = f"{len(keys)} of {total} points have no value ({reason}): {shown}"
        if reason in TEMPORARY_REASONS:
            yield note(text, "it has no values yet, which is normal after power-on: try again soon")
        else:
            make = fault if len(keys) == total else warning
            yield make(text, REMEDIES.get(reason, "`kerbstone read` says more"))


def condition_findings(health: Mapping[Condition, str] | Mapping[str, str]) -> Iterator[Finding]:
    """What a device says of itself."""
    for word, text in health.items():
        yield split_finding("note" if word in MILD_CONDITIONS else "warning", text)
