"""What commissioning asks the running gateway: readings of a device, the lines of a contact, the
loops during a drive, the confirmation of a record.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from edge.acquire.poll import PollState
from edge.commission.contacttest import SeenContact, arm_contact, judge_contact
from edge.commission.devicetest import DeviceSeen, Direction, RegisterGrowth, judge_device
from edge.commission.devicevalues import plotted_points
from edge.commission.drivejudgement import DriveSeen, ToldDrive, judge_drive, loops_of
from edge.commission.looptrace import DriveTrace, LoopTrace
from edge.commission.seenpassage import SeenPassage
from edge.commission.steps import CommissionStep
from edge.commission.verdict import StepFinding, finding, rounded
from edge.config import Site
from edge.core import Clock, Contact, Point, Reading, Sweep
from edge.gateway.linewatch import LineWatch
from edge.process.calibration import Correction
from edge.process.calibration.correction import evaluate_polynomial
from edge.process.enginesetup import LaneSetup
from edge.uplink.delivery import ConnectionState

READS: Final = 3
READ_S: Final = 12.0  # for all of them; a slow bus has one
DRIVE_S: Final = 300.0
OLD_PERIODS: Final = 3  # without a confirmed record: the way to the city is open no more
OLD_S: Final = 60
PASSAGES_SHOWN: Final = 30


class AskedBuses(Protocol):
    """The threads of the buses, as tests of devices use them."""

    async def read(self, name: str) -> Sweep: ...
    def device(self, name: str) -> PollState: ...
    def devices(self) -> Iterable[PollState]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminedGateway:
    """The parts that are asked. `published` makes of a sweep what the city gets."""

    site: Site
    lanes: Sequence[LaneSetup]
    clock: Clock
    buses: AskedBuses
    points: Mapping[str, Sequence[Point]]  # that devices measure, in the order of their sweeps
    corrections: Mapping[str, Sequence[Correction]]  # by device
    published: Callable[[Sweep], Iterable[Reading]]
    lines: LineWatch
    growth: Callable[[str], Iterable[RegisterGrowth]]
    serials: Callable[[], Mapping[str, str]]  # device -> serial number, where it tells one
    connection: Callable[[], tuple[ConnectionState, bool]]


async def examine_device(
    gateway: ExaminedGateway, name: str, direction: Direction
) -> tuple[list[StepFinding], dict[str, Any]]:
    """A few readings, and what they come to; the figures are for its plot."""
    sweeps: list[list[Reading]] = []
    refused: dict[str, float] = {}
    try:
        async with asyncio.timeout(READ_S):
            for _ in range(READS):
                measured = await gateway.buses.read(name)
                sweeps.append(list(gateway.published(measured)))
                refused = _corrected(gateway, measured)
    except TimeoutError:
        pass
    others = {
        each.name: list(gateway.published(each.latest))
        for each in gateway.buses.devices()
        if each.latest is not None and each.name != name
    }
    device = gateway.buses.device(name)
    seen = DeviceSeen(
        name, sweeps, others, direction, device.text or "no answer in time",
        tuple(gateway.growth(name)), refused,
    )  # fmt: skip
    return judge_device(seen), {"points": plotted_points(sweeps[-1] if sweeps else ())}


def _corrected(gateway: ExaminedGateway, measured: Sweep) -> dict[str, float]:
    """What corrections without humidity make of what was measured, whatever it comes to."""
    keys = [point.key for point in gateway.points[measured.source]]
    values = dict(zip(keys, measured.values, strict=True))
    found = {}
    for each in gateway.corrections.get(measured.source, ()):
        value = values.get(each.point)
        if each.humidity is None and isinstance(value, int | float) and not isinstance(value, bool):
            found[each.point] = evaluate_polynomial(each.polynomial, float(value))
    return found


class ContactExams:
    """Which contacts have been armed: what they did since then is what the test looks at."""

    def __init__(self, gateway: ExaminedGateway) -> None:
        self._gateway = gateway
        self._armed: dict[str, int] = {}

    def examine(self, step: CommissionStep) -> list[StepFinding]:
        """The first time it says what to do; then it judges what was seen since."""
        lines, name = self._gateway.lines, step.subject
        now_ns = self._gateway.clock.now().mono_ns
        armed_ns = self._armed.get(step.id)
        device = self._gateway.site.devices.get(name)
        per_kwh = float(device.options.get("imp_per_kwh", 1000)) if device else 1000.0
        since_ns = now_ns if armed_ns is None else armed_ns
        changes = [one for one in lines.last_edges(name) if one.mono_ns >= since_ns]
        seen = SeenContact(
            name, step.kind, lines.level(name), (now_ns - since_ns) / 1e9, changes, per_kwh
        )
        if armed_ns is None:
            self._armed[step.id] = now_ns
            return arm_contact(seen)
        found = judge_contact(seen)
        if all(each.verdict == "passed" for each in found):
            del self._armed[step.id]
        return found


class LaneDrive:
    """One drive: what all loops of the site do from the command on, for at most DRIVE_S."""

    def __init__(self, gateway: ExaminedGateway, lane: LaneSetup, told: ToldDrive) -> None:
        self.lane, self.told = lane, told
        self._gateway = gateway
        self.from_ns = gateway.clock.now().mono_ns
        self.until_ns = self.from_ns + round(DRIVE_S * 1e9)
        self.ended_ns: int | None = None  # it was judged; another passage may still be chosen
        lines = gateway.lines
        self._trace = DriveTrace(
            self.from_ns,
            [
                LoopTrace(source, lines.level(source), lines.level_since_ns(source, self.from_ns))
                for each in gateway.lanes
                for source in loops_of(each)
            ],
        )

    def take(self, contacts: Sequence[Contact]) -> None:
        """What came in, until it has ended."""
        if self.ended_ns is None and contacts and contacts[0].mono_ns <= self.until_ns:
            self._trace.take(contacts)

    @property
    def running(self) -> bool:
        return self.ended_ns is None and self._gateway.clock.now().mono_ns <= self.until_ns

    @property
    def left_s(self) -> float:
        """How long it looks on."""
        left_ns = self.until_ns - self._gateway.clock.now().mono_ns
        return 0.0 if self.ended_ns is not None else round(max(0, left_ns) / 1e9, 1)

    def judge(self, told: ToldDrive, before: str = "", *, end: bool = False) -> DriveSeen:
        """As it stands now; `end`: nothing more is taken."""
        to_ns = min(self._gateway.clock.now().mono_ns, self.until_ns)
        if self.ended_ns is not None:
            to_ns = self.ended_ns
        elif end:
            self.ended_ns = to_ns
        return judge_drive(self._gateway.lanes, self.lane, self._trace, to_ns, told, before)

    def rows(self, seen: DriveSeen) -> list[dict[str, Any]]:
        """The passages, for the technician to choose from; the newest last."""
        return [self._row(each, seen) for each in seen.passages[-PASSAGES_SHOWN:]]

    def _row(self, each: SeenPassage, seen: DriveSeen) -> dict[str, Any]:
        now_ns = self._gateway.clock.now().mono_ns
        return {
            "at_ms": (each.at_ns - self.from_ns) // 1_000_000,
            "age_s": round((now_ns - each.at_ns) / 1e9, 1),
            "lane": each.lane,
            "kind": each.kind,
            "loops": list(each.sources),
            "speed_kmh": rounded(each.speed_kmh),
            "length_m": rounded(each.length_m),
            "mine": seen.own is each,
        }

    def place_of(self, at_ms: int, seen: DriveSeen) -> int:
        """In the list of passages, of the one that began then. Raises LookupError."""
        for place, each in enumerate(seen.passages):
            if (each.at_ns - self.from_ns) // 1_000_000 == at_ms:
                return place
        raise LookupError(at_ms)


def examine_record(gateway: ExaminedGateway) -> list[StepFinding]:
    """Whether the city has confirmed a record to this process."""
    connection, connected = gateway.connection()
    if connection.confirmed_ns is None:
        link = "connected" if connected else connection.failure or "not connected"
        return [finding("record_waits", link=link, period=gateway.site.place.period_s)]
    age_s = max(0, gateway.clock.now().mono_ns - connection.confirmed_ns) // 1_000_000_000
    period_s = gateway.site.place.period_s
    if age_s > OLD_PERIODS * period_s + OLD_S:
        link = "connected" if connected else connection.failure or "not connected"
        return [finding("record_old", age=age_s, link=link, period=period_s)]
    platform = gateway.site.uplink.confirm == "platform"
    return [finding("record_confirmed" if platform else "record_at_broker", age=age_s)]
