"""The box and its clock, looked at once, by the same limits as the gateway's alarms. Pure but for
what reads the kernel's files.

Sources: systemd-timesyncd.service(8), chronyd(8); proc_pid_comm(5): a name is cut to 15 characters.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from edge.acquire.clock import SystemClock
from edge.core.humanize import megabytes_text, percent_text, span_text
from edge.diagnose.checks import CheckId, CheckResult, fault, passed, unchecked, warn
from edge.diagnose.issueresults import alarm_results
from edge.health.boxalarms import UNSYNCED_NS, BoxAlarms, BoxReadings, alarm_findings
from edge.health.issuekinds import ISSUE_KINDS
from edge.health.kernelfiles import ROOT, matching_files, read_text
from edge.kernelclock import Discipline
from edge.wire.contract.health import BoardCondition

TIME_SERVICES: Final = {
    "systemd-timesyn": "systemd-timesyncd", "chronyd": "chrony", "ntpd": "ntpd",
    "phc2sys": "phc2sys",
}  # fmt: skip
LOOKED_AT: Final[dict[CheckId, tuple[BoardCondition, ...]]] = {
    "power": ("undervoltage",),
    "throttled": ("throttled",),
    "temperature": ("hot",),
    "memory": ("memory",),
    "disk_room": ("disk_full",),
    "disk_writable": ("read_only",),
    "card": ("card_worn",),
}
BOX: Final = tuple(LOOKED_AT)
CLOCK: Final[tuple[CheckId, ...]] = ("clock_synced", "clock_source", "clock_right")


def box_results(readings: BoxReadings) -> list[CheckResult]:
    """What the kernel reports of board, memory and card."""
    found = alarm_findings(
        readings, BoxAlarms(), oom_kills_before=None, card_years=None, unsynced_ns=0, log_flood=None
    )
    on = {word: each.text for word, each in found.items() if each.wrong}
    wrong = alarm_results(on, readings.vitals.seen or ())
    said = {each.check for each in wrong}
    for check, words in LOOKED_AT.items():
        if check in said:
            continue
        if check == "card":
            wrong.append(_card(readings))
        elif all(found[word].wrong is None for word in words):
            wrong.append(unchecked(check, "the kernel does not report it here"))
        else:
            wrong.append(passed(check, _seen(check, readings)))
    return wrong


def _seen(check: CheckId, readings: BoxReadings) -> str:
    vitals, space = readings.vitals, readings.space
    match check:
        case "power":
            return "good" if vitals.seen is not None else "good now"
        case "throttled":
            return "full speed"
        case "temperature":
            return f"{vitals.cpu_temperature or 0:.0f} Cel"
        case "memory":
            return f"{megabytes_text(vitals.memory_available_bytes)} left"
        case "disk_room":
            part = 0.0 if space is None or not space.total else space.free / space.total
            return (
                f"{megabytes_text(None if space is None else space.free)} free, "
                f"{percent_text(part)}"
            )
        case _:
            return "it can be written"


def _card(readings: BoxReadings) -> CheckResult:
    """What it says of itself: SD cards say nothing, ext4 says what it has found."""
    seen = []
    if readings.wear.life_used is not None:
        seen.append(f"{percent_text(readings.wear.life_used)} of its life used")
    if readings.filesystem_errors is not None:
        seen.append("its file system has found no error")
    if not seen:
        return unchecked("card", "neither the card nor its file system reports anything")
    return passed("card", ", ".join(seen))


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """What was seen of the clock. `floor_ns`: a moment (Unix ns) that has certainly passed."""

    wall_ns: int
    floor_ns: int
    discipline: Discipline | None
    services: Sequence[str]  # that run
    battery: bool  # a clock with a battery that the kernel has read
    unsynced_s: float  # for so long it is not synchronised, or the box is up

    @property
    def may_come(self) -> bool:
        """It is not synchronised yet: the gateway says nothing of it for as long."""
        return self.unsynced_s * 1e9 <= UNSYNCED_NS


def read_clock(
    clock: SystemClock, discipline: Discipline | None, unsynced_s: float, root: Path = ROOT
) -> ClockFacts:
    """Which time service runs is asked by the names of processes: some run without systemd."""
    names = {read_text(file) for file in matching_files(root, "proc/[0-9]*/comm")}
    hctosys = matching_files(root, "sys/class/rtc/rtc*/hctosys")
    return ClockFacts(
        clock.now().wall_ns,
        clock.floor.ns,
        discipline,
        sorted(service for name, service in TIME_SERVICES.items() if name in names),
        any(read_text(file) == "1" for file in hctosys),
        unsynced_s,
    )


def clock_results(facts: ClockFacts) -> Iterator[CheckResult]:
    """Whether it is synchronised, by whom, and whether the time can be."""
    kind, waited = ISSUE_KINDS["clock_unsynchronised"], span_text(facts.unsynced_s)
    if facts.discipline is None:
        yield unchecked("clock_synced", "the kernel does not let us ask")
    elif facts.discipline.synced:
        error_ms = facts.discipline.max_error_us / 1000
        yield passed("clock_synced", f"by the kernel's account within {error_ms:.0f} ms")
    elif facts.may_come:
        yield unchecked("clock_synced", f"not synchronised for {waited}, which may come yet")
    else:
        yield warn("clock_synced", f"Not synchronised for {waited}", kind.remedy)
    battery = "a battery clock" if facts.battery else ""
    if facts.services:
        yield passed("clock_source", ", ".join([*facts.services, *([battery] if battery else [])]))
    elif facts.discipline is not None and facts.discipline.synced:
        yield passed("clock_source", "synchronised, by what is no process of this machine")
    elif facts.may_come:
        yield unchecked("clock_source", f"no time service runs {waited} after the start")
    else:
        cause = "No time service runs" + (f", there is only {battery}" if battery else "")
        remedy = "Start one: `systemctl enable --now systemd-timesyncd`, or install chrony"
        yield warn("clock_source", cause, remedy)
    shown = datetime.fromtimestamp(facts.wall_ns / 1e9, UTC)
    if facts.wall_ns < facts.floor_ns:
        passed_day = datetime.fromtimestamp(facts.floor_ns / 1e9, UTC).date()
        cause = f"The clock shows {shown:%Y-%m-%d %H:%M} UTC, and {passed_day} has passed already"
        remedy = "Set it (`timedatectl set-time`), then find out why no time service does"
        yield fault("clock_right", cause, remedy)
    else:
        yield passed("clock_right", f"{shown:%Y-%m-%d %H:%M:%S} UTC")
