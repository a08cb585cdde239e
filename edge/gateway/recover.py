"""After a start: what the process before this one had seen, and what nobody saw.

Four cases. The same boot, a state and a stage: the former process was killed or stopped; its open
window is read back, and only the time in between is a gap. Another boot: power was cut or the box
was restarted; the open window is lost, totals go on. Another box in the place of the former one:
the same, and the gap says so. No state: a first start.

`PreviousRun` is what the outbox keeps of a process for the one after it. Starts that die while they
read the stage back are counted in a file, so that the stage is set aside (`RecoveryAttempts`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from msgspec import UNSET

from edge.acquire.stage import StageSegment
from edge.core import Contact, Draft, Stream, Sweep
from edge.gateway.deviceconditions import DeviceConditions
from edge.gateway.pipeline import Pipeline
from edge.gateway.stagereadback import RawBySetup, StageReadback, entry_contacts, watched_until_ns
from edge.outbox import PastState
from edge.process.inputmeanings import input_meanings
from edge.wire.contract.boxevent import Gap, GapReason, PreviousEpoch, SwapWay

ALL_SOURCES: Final = ("*",)
AWAY_NS: Final = 3_600_000_000_000  # how long a boot is taken to have been off: nobody knows
MAX_WINDOW_PERIODS: Final = 1.5  # periods: a window that would be longer begins anew
GAP_TEXTS: Final = {
    "start": "Nothing is known of the time before this start.",
    "other": "The daemon was not running in between, and its saved state does not fit the present "
    "configuration. Totals start again.",
    "opening": "The daemon was starting: its GPIO lines were not open yet.",
    "lost": "The outbox is gone, and with it what this gateway knew of the time before.",
    "unread": "The outbox cannot be read at this start, and with it what this gateway knew of the "
    "time before. Totals start again.",
    "restart": "The daemon was not running in between.",
    "power": "The box was off in between: the open window and all data that were not committed yet "
    "are lost. Totals go on from the registers.",
    "stage": "The daemon was not running in between, and the data of the open window cannot be "
    "read back. Totals go on from the registers.",
    "older": "The saved state is older than the newest numbers of records: the outbox's log was "
    "damaged, an older copy was put in its place, or another version of this program used the "
    "outbox. Growth of totals up to here is in no record.",
    "swap": "Another box goes on here. Nobody observed anything between the last window of the "
    "former box and this start. The open window of the former box is lost, unless its gateway was "
    "stopped first.",
    "copy": "Another box goes on here from a copy of the former one, which may have counted on. "
    "Growth of totals up to here is in no record.",
    "gone": "These sources are no longer in the configuration, or their names now stand for "
    "something else: their data of the open window are in no record.",
    "new": "These sources were not in the previous configuration, or their names stood for "
    "something else: nothing is known of the time before.",
}

GAP_REASONS: Final = {
    **dict.fromkeys(("lost", "unread", "opening", "other", "stage", "older", "gone"), "restart"),
    **dict.fromkeys(("swap", "copy"), "restart"),
    "new": "start",
}
ATTEMPTS_FILE: Final = "recovering"  # there while a start is at it, or when it has died of it
MAX_ATTEMPTS: Final = 3  # attempts at reading a stage back


@dataclass(frozen=True, slots=True)
class PreviousRun:
    """What the outbox keeps of the former process; `start_ns` is where its open window began.

    `raw` are the segment and the number of its sweeps that are in the outbox as raw records;
    `problems` what was broken, and said so, by device or line; `conditions` what each device has
    said of itself, and `flickering` what was reported of those that sent too much;
    `contacts` how plain contacts stood, and what was sent of them; `others` are devices that were
    swapped, which the totals of the last committed window do not know yet; `starting` is since
    when the lines of `closed` were not open, where no event has reported that; `epoch` is that in
    which it was kept.
    """

    boot: int
    segment: int
    start_ns: int
    raw: tuple[int, int] = (0, 0)
    problems: Mapping[str, str] = field(default_factory=dict)
    conditions: Mapping[str, DeviceConditions] = field(default_factory=dict)
    contacts: Mapping[str, Any] = field(default_factory=dict)
    flickering: Mapping[str, DeviceConditions] = field(default_factory=dict)
    others: Sequence[str] = ()
    starting: int | None = None
    closed: Sequence[str] = ()
    epoch: int = 0

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "PreviousRun":
        """Raises KeyError, TypeError or ValueError for a state that is not one."""
        segment, count = state["raw"]
        boot, number, start_ns = (int(state[key]) for key in ("boot", "segment", "start_ns"))
        conditions, held = (
            {name: DeviceConditions.restore(each) for name, each in dict(state[key]).items()}
            for key in ("told", "held")
        )
        problems = dict(state["problems"])
        contacts = dict(state["contacts"])
        others = tuple(map(str, state["others"]))
        raw = int(segment), int(count)
        since = state["starting"]
        starting = None if since is None else int(since)
        closed = tuple(map(str, state["closed"]))
        return cls(
            boot, number, start_ns, raw, problems, conditions, contacts, held, others, starting,
            closed, int(state["epoch"]),
        )  # fmt: skip

    def snapshot(self) -> dict[str, object]:
        """For the outbox."""
        return {
            "boot": self.boot,
            "segment": self.segment,
            "start_ns": self.start_ns,
            "raw": list(self.raw),
            "problems": dict(self.problems),
            "told": {name: each.snapshot() for name, each in self.conditions.items()},
            "contacts": dict(self.contacts),
            "held": {name: each.snapshot() for name, each in self.flickering.items()},
            "others": list(self.others),
            "starting": self.starting,
            "closed": list(self.closed),
            "epoch": self.epoch,
        }


@dataclass(slots=True)
class Recovered:
    """Where the daemon goes on: its open window [start, end), records to commit.

    `raw` are sweeps that no raw record holds yet, as the process named them that took them.
    `segment` is the one to go on with, `count` the sweeps that are in it; None begins a new one.
    `gap` is to be staged once the records are committed.
    """

    start_ns: int
    end_ns: int
    drafts: list[Draft] = field(default_factory=list)
    raw: RawBySetup = field(default_factory=list)
    segment: StageSegment | None = None
    count: int = 0
    gap: tuple[int, int] | None = None


def recover(
    pipeline: Pipeline,
    previous: PreviousRun | None,
    boot: int,
    segments: Sequence[StageSegment],
    now_ns: int,
    end_ns: int,
    former: PreviousEpoch | None,
    damaged: bool = False,
    fits: bool = True,
    unread: bool = False,
    past: PastState = "known",
    swap: SwapWay | None = None,
) -> Recovered:
    """Bring the pipeline to the present moment. `damaged`: the outbox was not as it was left;
    `unread`: it did not answer, and there may be a time before; `past`: what its states are worth;
    `swap`: another box has left them.

    Its state as of the last committed window is already restored, if it `fits`. `end_ns` is where
    a window that is open now ends by the clock; `former` names the former epoch and its last
    numbers.
    """
    if previous is None:
        why = "unread" if unread else "lost" if damaged or past == "older" else "start"
        return _begin_anew(pipeline, _gap(why, None, now_ns, former, swap), now_ns, end_ns)
    if past == "older":  # nobody can say since when nothing is known
        since_ns = previous.start_ns if previous.boot == boot else now_ns - AWAY_NS
        pipeline.judge.missing(min(since_ns, now_ns), now_ns)
        gap = _gap("copy" if swap else "older", None, now_ns, former, swap)
        return _begin_anew(pipeline, gap, now_ns, end_ns)
    pipeline.engine.plain.restore(previous.contacts, previous.boot == boot)
    since_ns = previous.start_ns if previous.starting is None else previous.starting
    if previous.boot != boot:
        pipeline.engine.swap_devices(previous.others)
        pipeline.judge.missing(now_ns - AWAY_NS, now_ns)
        since = previous.boot, previous.start_ns
        gap = _gap("swap" if swap else "power", since, now_ns, former, swap)
        return _begin_anew(pipeline, gap, now_ns, end_ns)
    setup = pipeline.engine.setup
    readback = StageReadback(input_meanings(setup), previous.raw)
    whole = bool(segments) and segments[0].number == previous.segment
    if not fits or not whole:
        pipeline.engine.swap_devices(previous.others)
        why = "other" if not fits else "older" if segments else "stage"
        if why == "older":  # it knows nothing of a commit for which a segment went
            pipeline.engine.doubt_past(older=True)
        pipeline.judge.missing(min(previous.start_ns, now_ns), now_ns)
        from_then = None if why == "older" else (previous.boot, previous.start_ns)
        gap = _gap(why, from_then, now_ns, former, swap)
        for i, segment in enumerate(segments if whole else ()):
            for _ in readback.entries(segment, again=i > 0):
                pass  # of raw sweeps nobody has to know anything
        found = _begin_anew(pipeline, gap, now_ns, end_ns, readback.raw)
        found.drafts += new_source_gaps(pipeline.engine.fresh if fits else setup.names(), now_ns)
        return found
    result = Recovered(now_ns, end_ns, raw=readback.raw)
    alive_ns = previous.start_ns
    opening = OpeningLines(boot, since_ns, previous.closed)
    for i, segment in enumerate(segments):
        if i:  # the window before had ended, but its commit had not come
            if alive_ns < segment.start_ns:  # a start that was killed had closed it, in a gap
                pipeline.lost(alive_ns, segment.start_ns)
            result.drafts += _close_before(pipeline, segments[i - 1], segment, alive_ns)
        result.segment = segment
        for entry, mine in readback.entries(segment, again=i > 0):
            result.drafts += opening.take(entry_contacts(entry))  # killed before it sent them
            result.drafts += feed_entry(pipeline, mine)
            alive_ns = max(alive_ns, watched_until_ns(entry))
        result.count = readback.count
    if since_ns >= previous.start_ns:  # lines that stay closed for windows are a fault, and sent
        result.drafts += opening.ended(alive_ns)
    result.drafts.append(_gap("restart", (previous.boot, alive_ns), now_ns, former, swap))
    result.drafts += _gap_drafts_of_gone(readback, boot, alive_ns)
    result.drafts += new_source_gaps(readback.new.union(pipeline.engine.fresh), now_ns)
    return _go_on(pipeline, result, alive_ns, now_ns)


def _begin_anew(
    pipeline: Pipeline, gap: Draft, now_ns: int, end_ns: int, raw: RawBySetup | None = None
) -> Recovered:
    pipeline.engine.start(now_ns)
    return Recovered(now_ns, end_ns, [gap], raw or [])


def _gap_drafts_of_gone(readback: StageReadback, boot: int, alive_ns: int) -> Iterator[Draft]:
    """Windows that nobody can close any more, since the configuration was changed."""
    for from_ns in sorted(set(readback.gone.values())):
        names = sorted(name for name, since_ns in readback.gone.items() if since_ns == from_ns)
        yield _gap("gone", (boot, from_ns), max(from_ns, alive_ns), sources=names)


def new_source_gaps(names: Iterable[str], now_ns: int) -> Iterator[Draft]:
    """Sources that were not there before; they may have been, in a configuration before that."""
    if new_names := sorted(names):
        yield _gap("new", None, now_ns, sources=new_names)


def _go_on(pipeline: Pipeline, result: Recovered, alive_ns: int, now_ns: int) -> Recovered:
    """All has been read back; nobody listened from `alive_ns` until now."""
    assert result.segment is not None, "there was a stage"
    planned_ns = result.segment.end_ns
    result.gap = (alive_ns, max(alive_ns, now_ns))
    pipeline.lost(*result.gap)
    if planned_ns > now_ns:  # back before the window's end: it goes on, in its segment
        result.start_ns, result.end_ns = result.segment.start_ns, planned_ns
        if not result.segment.begun:
            result.segment = None  # killed in its first entries: the next holds what is pending
        return result
    result.segment = None
    result.drafts += pipeline.engine.close(planned_ns)
    result.start_ns = planned_ns
    if result.end_ns - planned_ns > MAX_WINDOW_PERIODS * pipeline.engine.setup.period_ns:
        result.drafts += _skip_windows(pipeline, planned_ns, alive_ns, now_ns)
        result.start_ns, result.gap = now_ns, None
    return result


def _close_before(
    pipeline: Pipeline, ended: StageSegment, following: StageSegment, alive_ns: int
) -> list[Draft]:
    """The window of `ended`, as it was closed when `following` was begun."""
    if following.start_ns <= ended.end_ns:
        return pipeline.engine.close(following.start_ns, partial=following.start_ns < ended.end_ns)
    # whole windows had passed when a start that was killed came back
    drafts = pipeline.engine.close(ended.end_ns)
    return drafts + _skip_windows(pipeline, ended.end_ns, alive_ns, following.start_ns)


def _skip_windows(pipeline: Pipeline, planned_ns: int, alive_ns: int, now_ns: int) -> list[Draft]:
    """Windows after the one that ended at `planned_ns` are in the gap; the next begins now."""
    drafts: list[Draft] = []
    if alive_ns > planned_ns:  # the next window had begun
        drafts = pipeline.engine.close(alive_ns + 1, partial=True)
    pipeline.engine.start(now_ns)
    return drafts


def feed_entry(pipeline: Pipeline, entry: Any) -> list[Draft]:
    """Feed one entry of a stage; what cannot wait for the window's end comes back."""
    match entry:
        case (int(from_ns), int(to_ns)):
            pipeline.lost(from_ns, to_ns)
        case (str(source), int(at_ns)):
            pipeline.engine.closed(source, at_ns)
        case [Contact(), *_]:
            return pipeline.engine.contacts(entry)
        case [Sweep(), *_]:
            return pipeline.engine.sweeps(entry)
    return []


class OpeningLines:
    """The lines that are not open yet after a start: what passes meanwhile is seen by nobody.

    `closed` names them by the source of their contacts, until their opening was reported.
    """

    def __init__(self, boot: int, since_ns: int, closed: Iterable[str]) -> None:
        self.boot, self.since_ns, self.closed = boot, since_ns, set(closed)

    def take(self, contacts: Sequence[Contact]) -> list[Draft]:
        """The gap of those whose first level is among what has come in."""
        found = [each for each in contacts if each.initial and each.source in self.closed]
        levels = [each for each in found if each.mono_ns >= self.since_ns]
        if not levels:
            return []
        return self._gap({each.source for each in levels}, max(each.mono_ns for each in levels))

    def ended(self, at_ns: int) -> list[Draft]:
        """The gap of those that were closed up to the end of the process, if any were."""
        return self._gap(set(self.closed), at_ns) if self.closed else []

    def fault(self, source: str) -> None:
        """This one fails to open, and that is reported."""
        self.closed.discard(source)

    def _gap(self, opened: set[str], to_ns: int) -> list[Draft]:
        self.closed -= opened
        if to_ns <= self.since_ns:
            return []
        sources = sorted({source.partition(".")[0] for source in opened})
        return [_gap("opening", (self.boot, self.since_ns), to_ns, sources=sources)]


def _gap(
    why: str,
    since: tuple[int, int] | None,
    to_ns: int,
    former: PreviousEpoch | None = None,
    swap: SwapWay | None = None,
    sources: Sequence[str] = ALL_SOURCES,
) -> Draft:
    """The event that names a hole in time: what every record after a start refers to.

    `since` is the boot in which the hole began and when, in that boot's time.
    """
    body = Gap(
        reason=cast("GapReason", GAP_REASONS.get(why, why)),
        sources=list(sources),
        gap=(None if since is None else since[1] // 1000, to_ns // 1000),
        boot_before=None if since is None else since[0],
        text=GAP_TEXTS[why],
        former=former or UNSET,
        swap=swap or UNSET,
    )
    return Draft(Stream.EVENT, "gateway", to_ns, to_ns, body)


class RecoveryAttempts:
    """In the run directory, which goes with the boot, as the stage does."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ATTEMPTS_FILE

    def begin(self) -> bool:
        """An attempt begins. False when others have died of it: then it must be set aside."""
        try:
            with self._path.open("ab") as counted:
                counted.write(b".")
            return self._path.stat().st_size <= MAX_ATTEMPTS
        except OSError:
            return True  # a full tmpfs, or a folder of that name: no reason to lose a stage

    def ended(self) -> None:
        """It was read."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return
