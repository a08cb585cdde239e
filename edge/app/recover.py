"""After a start: what the process before this one had seen, and what nobody saw.

Three cases. The same boot, a state and a stage: the former process was killed or stopped; its open
window is read back, and only the time in between is a gap. Another boot: power was cut or the box
was restarted; the open window is lost, totals go on. No state: a first start.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from edge.acquire.stage import Segment
from edge.app.before import Before
from edge.app.pipeline import Pipeline
from edge.core import Contact, Draft, Stream, Sweep

ALL: Final = ("*",)
AWAY_NS: Final = 3_600_000_000_000  # how long a boot is taken to have been off: nobody knows
LONGEST: Final = 1.5  # periods: a window that would be longer begins anew
TEXTS: Final = {
    "start": "Nothing is known of the time before this start.",
    "other": "The daemon was not running in between, and what it had seen does not fit the "
    "configuration as it is now. Totals begin anew.",
    "opening": "The daemon was starting: its lines were not open yet.",
    "lost": "What this gateway knew of the time before is gone with its outbox.",
    "unread": "The outbox cannot be read at this start, and with it what this gateway knew of the "
    "time before. Totals begin anew.",
    "restart": "The daemon was not running in between.",
    "power": "The box was off in between: the window that was open is lost, with what had not "
    "been committed. Totals go on from the registers.",
    "stage": "The daemon was not running in between, and what it had seen of the window that was "
    "open cannot be read back. Totals go on from the registers.",
}

REASONS: Final = dict.fromkeys(("lost", "unread", "opening", "other", "stage"), "restart")


@dataclass(slots=True)
class Recovered:
    """Where the daemon goes on: its open window [start, end), records to commit, raw sweeps too.

    `segment` is the one to go on with, `count` the sweeps that are in it; None begins a new one.
    `gap` is to be staged once the records are committed.
    """

    start_ns: int
    end_ns: int
    drafts: list[Draft] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)
    segment: Segment | None = None
    count: int = 0
    gap: tuple[int, int] | None = None


def recover(
    pipeline: Pipeline,
    before: Before | None,
    boot: int,
    segments: Sequence[Segment],
    now_ns: int,
    end_ns: int,
    former: Mapping[str, Any] | None,
    damaged: bool = False,
    fits: bool = True,
    unread: bool = False,
) -> Recovered:
    """Bring the pipeline to the present moment. `damaged`: the outbox was not as it was left;
    `unread`: it did not answer, and there may be a time before.

    Its state as of the last committed window is already restored, if it `fits`. `end_ns` is where
    a window that is open now ends by the clock; `former` names the former epoch and its last
    numbers.
    """
    if before is None:
        why = "unread" if unread else "lost" if damaged else "start"
        return _anew(pipeline, _gap(why, None, now_ns, former), now_ns, end_ns)
    pipeline.engine.plain.load(before.contacts, before.boot == boot)
    since_ns = before.start_ns if before.starting is None else before.starting
    if before.boot != boot:
        pipeline.engine.another(before.others)
        pipeline.judge.missing(now_ns - AWAY_NS, now_ns)
        return _anew(pipeline, _gap("power", before, now_ns, former), now_ns, end_ns)
    if not fits:
        pipeline.judge.missing(min(before.start_ns, now_ns), now_ns)
        return _anew(pipeline, _gap("other", before, now_ns, former), now_ns, end_ns)
    if not segments or segments[0].number != before.segment:
        pipeline.engine.another(before.others)
        pipeline.judge.missing(min(before.start_ns, now_ns), now_ns)
        return _anew(pipeline, _gap("stage", before, now_ns, former), now_ns, end_ns)
    result = Recovered(now_ns, end_ns)
    alive_ns = before.start_ns
    opening = Opening(boot, since_ns, before.closed)
    for i, segment in enumerate(segments):
        if i:  # the window before had ended, but its commit had not come
            if alive_ns < segment.start_ns:  # a start that was killed had closed it, in a gap
                pipeline.lost(alive_ns, segment.start_ns)
            result.drafts += pipeline.close(segment.start_ns)
        result.segment, result.count = segment, 0
        for entry, repeated in segment.read():
            if isinstance(entry, list) and isinstance(entry[0], Contact):
                result.drafts += opening.take(entry)  # it was killed before it told
            if not (repeated and i):  # else it came with the segment before
                alive_ns = max(alive_ns, _feed(pipeline, entry, result, before.raw))
            result.count += _sweeps(entry)
    if since_ns >= before.start_ns:  # lines that stay closed for windows are a fault, and told
        result.drafts += opening.ended(alive_ns)
    result.drafts.append(_gap("restart", replace(before, start_ns=alive_ns), now_ns, former))
    return _go_on(pipeline, result, alive_ns, now_ns)


def _anew(pipeline: Pipeline, gap: Draft, now_ns: int, end_ns: int) -> Recovered:
    pipeline.engine.start(now_ns)
    return Recovered(now_ns, end_ns, [gap])


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
    result.drafts += pipeline.close(planned_ns)
    result.start_ns = planned_ns
    if result.end_ns - planned_ns > LONGEST * pipeline.period_ns:
        if alive_ns > planned_ns:  # the next window had begun
            result.drafts += pipeline.close(alive_ns + 1, partial=True)
        pipeline.engine.start(now_ns)  # whole windows have passed: they are in the gap
        result.start_ns, result.gap = now_ns, None
    return result


def _feed(pipeline: Pipeline, entry: Any, result: Recovered, raw: tuple[int, int]) -> int:
    """Feed one entry of a stage; returns the last moment that it proves somebody listened."""
    match entry:
        case int(until_ns):
            return until_ns
        case (int(from_ns), int(to_ns)):
            pipeline.lost(from_ns, to_ns)
            return to_ns
        case (str(source), int(at_ns)):
            pipeline.engine.closed(source, at_ns)
            return at_ns
        case [Contact(), *_]:
            result.drafts += pipeline.contacts(entry)
        case [Sweep(), *_]:
            result.drafts += pipeline.sweeps(entry)
            result.sweeps += _uncommitted(entry, result, raw)
            return 0  # an edge that is older may have been under way, on another bus
        case _:
            return 0
    return int(max(item.mono_ns for item in entry))


def _sweeps(entry: Any) -> int:
    return len(entry) if isinstance(entry, list) and isinstance(entry[0], Sweep) else 0


def _uncommitted(entry: Sequence[Sweep], at: Recovered, raw: tuple[int, int]) -> Sequence[Sweep]:
    """The sweeps of an entry that no raw record holds yet."""
    assert at.segment is not None, "an entry is read from a segment"
    if at.segment.number < raw[0]:
        return []
    skip = raw[1] - at.count if at.segment.number == raw[0] else 0
    return entry[max(0, skip) :]


class Opening:
    """The lines that are not open yet after a start: what passes meanwhile is seen by nobody.

    `closed` names them by the source of their contacts, until their opening was told.
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
        """This one fails to open, and that is told."""
        self.closed.discard(source)

    def _gap(self, opened: set[str], to_ns: int) -> list[Draft]:
        self.closed -= opened
        if to_ns <= self.since_ns:
            return []
        sources = sorted({source.partition(".")[0] for source in opened})
        return [_gap("opening", Before(self.boot, 0, self.since_ns), to_ns, None, sources)]


def _gap(
    why: str,
    since: Before | None,
    to_ns: int,
    former: Mapping[str, Any] | None,
    sources: Sequence[str] = ALL,
) -> Draft:
    """The event that names a hole in time: what every record after a start refers to.

    The hole begins at `since.start_ns`, in the time of the boot that is named with it.
    """
    body: dict[str, Any] = {
        "event": "gap",
        "reason": REASONS.get(why, why),
        "sources": list(sources),
        "gap": [None if since is None else since.start_ns // 1000, to_ns // 1000],
        "boot_before": None if since is None else since.boot,
        "text": TEXTS[why],
    }
    if former is not None:
        body["former"] = dict(former)
    return Draft(Stream.EVENT, "gateway", to_ns, to_ns, body)
