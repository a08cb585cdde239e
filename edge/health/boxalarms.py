"""What is wrong with the box, in words with a remedy: the alarms of the gateway itself, from one
look at everything that the kernel reports.

An alarm goes on at once, and off when it was well for HOLD_NS: so a bit that flaps makes at most
twelve events an hour. Values have a second threshold for the way back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.health.board import Space, Vitals, read_space, read_vitals
from edge.health.countergrowth import HOUR_NS
from edge.health.flash import Wear, disk_bytes_written, own_written, read_wear
from edge.health.kernelfiles import ROOT
from edge.health.mounts import MountedDisk, disk_of, filesystem_errors, mount_of
from edge.wire.contract.health import BoardCondition

HOLD_NS: Final = 600_000_000_000
ALARM_WORDS: Final[tuple[BoardCondition, ...]] = (
    "undervoltage",
    "throttled",
    "hot",
    "disk_full",
    "read_only",
    "memory",
    "card_worn",
    "clock_unsynchronised",
    "log_flood",
)
HOT_LIMITS: Final = (80.0, 75.0)  # Cel: on from, off below; a Pi slows down from 80 on
FULL_LIMITS: Final = (0.05, 0.07)  # free part of the disk: on below, off from
SCARCE_LIMITS: Final = (0.08, 0.12)  # available part of the memory: on below, off from
YEARS_LIMITS: Final = (2.0, 3.0)  # projected life of a card: on below, off from
LIFE_USED: Final = 0.9  # of an eMMC's own estimate
UNSYNCED_NS: Final = HOUR_NS


@dataclass(frozen=True, slots=True)
class BoxReadings:
    """What was seen. None where the kernel does not report it."""

    vitals: Vitals = field(default_factory=Vitals)
    space: Space | None = None
    disk: MountedDisk = field(default_factory=lambda: MountedDisk(None))
    read_only: bool | None = None
    disk_written: int | None = None
    own_written: int | None = None
    wear: Wear = field(default_factory=Wear)
    filesystem_errors: int | None = None


def read_box(folder: Path, root: Path = ROOT) -> BoxReadings:
    """At the box, and at the disk below `folder`. Reads some 25 small files, never the disk."""
    mount = mount_of(str(folder.absolute()), root)
    disk = disk_of(mount, root)
    return BoxReadings(
        read_vitals(root),
        read_space(folder),
        disk,
        None if mount is None else mount.read_only,
        None if disk.name is None else disk_bytes_written(disk.name, root),
        own_written(root),
        Wear() if disk.name is None else read_wear(disk.name, root),
        filesystem_errors(disk, root),
    )


@dataclass(frozen=True, slots=True)
class AlarmFinding:
    """Whether something is wrong now (None: nobody knows, all stays as it is), and what to do."""

    wrong: bool | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """An alarm has gone on or off."""

    word: BoardCondition
    on: bool
    text: str


def below_hysteresis(value: float | None, limits: tuple[float, float], was: bool) -> bool | None:
    """On below the first limit, off from the second on."""
    return None if value is None else value < (limits[1] if was else limits[0])


def above_hysteresis(value: float | None, limits: tuple[float, float], was: bool) -> bool | None:
    """On from the first limit, off below the second."""
    return None if value is None else value >= (limits[1] if was else limits[0])


class BoxAlarms:
    """Which alarms are on, and since when each is well."""

    def __init__(self) -> None:
        self._on: dict[BoardCondition, str] = {}  # and what was said
        self._well_ns: dict[BoardCondition, int] = {}

    def __contains__(self, word: object) -> bool:
        return word in self._on

    @property
    def on(self) -> tuple[BoardCondition, ...]:
        return tuple(word for word in ALARM_WORDS if word in self._on)

    def restore(self, state: object) -> None:
        """What a former process had reported: the platform believes that they are still on, and
        they go off here when they are well. What is no map says of none."""
        if isinstance(state, Mapping):
            self._on.update({word: str(state[word]) for word in ALARM_WORDS if word in state})

    def snapshot(self) -> dict[BoardCondition, str]:
        """What is on, with its sentence: for records, and for `restore` of the next process."""
        return dict(self._on)

    def see(
        self, mono_ns: int, findings: Mapping[BoardCondition, AlarmFinding]
    ) -> Iterator[AlarmChange]:
        """What turns. Each word at most once in HOLD_NS and back."""
        for word, finding in findings.items():
            if finding.wrong is None:
                continue
            if finding.wrong:
                self._well_ns.pop(word, None)
                if word not in self._on:
                    self._on[word] = finding.text
                    yield AlarmChange(word, on=True, text=finding.text)
            elif word in self._on and (
                mono_ns - self._well_ns.setdefault(word, mono_ns) >= HOLD_NS
            ):
                del self._well_ns[word]
                yield AlarmChange(word, on=False, text=f"Ended: {self._on.pop(word)}")


def alarm_findings(
    readings: BoxReadings,
    was: BoxAlarms,
    *,
    oom_kills_before: int | None,
    card_years: float | None,
    unsynced_ns: int,
    log_flood: str | None,
) -> dict[BoardCondition, AlarmFinding]:
    """What the box's alarms should be. `card_years` is None until it is worth believing."""
    vitals, room = readings.vitals, readings.space
    now = vitals.throttled
    free = None if room is None or not room.total else room.free / room.total
    return {
        "undervoltage": AlarmFinding(
            vitals.undervoltage,
            "The board's supply voltage is too low: check the power supply, its cable and what "
            "else it feeds. Readings go on, but the card may be damaged.",
        ),
        "throttled": AlarmFinding(
            None if now is None else bool({"throttled", "frequency_capped"} & {*now}),
            "The board is slowed down: it is too hot, or its supply is too weak.",
        ),
        "hot": AlarmFinding(
            above_hysteresis(vitals.cpu_temperature, HOT_LIMITS, "hot" in was),
            f"The board is at {vitals.cpu_temperature or 0:.0f} Cel: check the cabinet's fan, "
            "filter and sunshade.",
        ),
        "disk_full": AlarmFinding(
            below_hysteresis(free, FULL_LIMITS, "disk_full" in was),
            f"Only {(room.free if room else 0) >> 20} MiB are free on the file system of the "
            "outbox: remove what does not belong there, or lower store.limit_mb.",
        ),
        "read_only": AlarmFinding(
            readings.read_only,
            "The file system of the outbox is read-only: the card has failed or is about to. "
            "Records are kept in memory; replace the card.",
        ),
        "memory": _memory(readings, "memory" in was, oom_kills_before),
        "card_worn": _card(readings, "card_worn" in was, card_years),
        "clock_unsynchronised": AlarmFinding(
            unsynced_ns > UNSYNCED_NS,
            "The clock has not been synchronised for more than an hour: the wall times "
            "of records are doubtful. Check the time server and the network.",
        ),
        "log_flood": AlarmFinding(
            log_flood is not None,
            f"The log has used up its bytes for today, most of them by {log_flood or 'nobody'}: "
            "lines are left out until tomorrow.",
        ),
    }  # fmt: skip


def _memory(readings: BoxReadings, was: bool, kills_before: int | None) -> AlarmFinding:
    vitals = readings.vitals
    total, available = vitals.memory_total_bytes, vitals.memory_available_bytes
    part = available / total if total and available is not None else None
    scarce = below_hysteresis(part, SCARCE_LIMITS, was)
    if vitals.oom_kills is not None and kills_before is not None:
        if vitals.oom_kills > kills_before:
            return AlarmFinding(
                True,
                "The kernel has killed a process because memory ran out: journalctl -k shows "
                "which. Stop what does not belong on this box.",
            )
        scarce = bool(scarce)
    return AlarmFinding(
        scarce,
        f"Only {(available or 0) >> 20} MiB of memory are left: stop what does not belong on this "
        "box.",
    )


def _card(readings: BoxReadings, was: bool, years: float | None) -> AlarmFinding:
    """Worn by its own account, at fault, or written to so fast that it will not last."""
    wear = readings.wear
    if wear.pre_eol in ("warning", "urgent") or (wear.life_used or 0) >= LIFE_USED:
        return AlarmFinding(
            True, "The card says that it is nearly worn out: replace it at the next visit."
        )
    if readings.filesystem_errors:
        return AlarmFinding(
            True,
            f"The file system has found {readings.filesystem_errors} errors since it was checked: "
            "the card may be failing. Check it (e2fsck), and replace it if errors come again.",
        )
    short = below_hysteresis(years, YEARS_LIMITS, was)
    return AlarmFinding(
        short,
        f"At this rate of writing a new card lasts about {years or 0:.1f} years: find out what "
        "writes so much (kerbstone status, iotop).",
    )
