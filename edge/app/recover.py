"""After a start: what the process before this one had seen, and what nobody saw.

Three cases. The same boot, a state and a stage: the former process was killed or stopped; its open
window is read back, and only the time in between is a gap. Another boot: power was cut or the box
was restarted; the open window is lost, totals go on. No state: a first start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from edge.acquire.stage import Segment
from edge.app.pipeline import Pipeline
from edge.core import Contact, Draft, Stream, Sweep

ALL: Final = ["*"]
LONGEST: Final = 1.5  # periods: a window that would be longer begins anew


@dataclass(frozen=True, slots=True)
class Before:
    """What the outbox keeps of the former process; `start_ns` is where its open window began."""

    boot: int
    segment: int
    start_ns: int
    raw: tuple[int, int] = (0, 0)  # segment, and sweeps of it that are in the outbox as raw

    @classmethod
    def parse(cls, state: Mapping[str, Any]) -> "Before":
        """Raises KeyError, TypeError or ValueError for a state that is not one."""
        segment, count = state["raw"]
        numbers = [int(state["boot"]), int(state["segment"]), int(state["start_ns"])]
        return cls(numbers[0], numbers[1], numbers[2], (int(segment), int(count)))

    def packed(self) -> dict[str, Any]:
        return {
            "boot": self.boot,
            "segment": self.segment,
            "start_ns": self.start_ns,
            "raw": list(self.raw),
        }


@dataclass(slots=True)
class Recovered:
    """Where the daemon goes on: its open window [start, end), records to commit, raw sweeps too."""

    start_ns: int
    end_ns: int
    drafts: list[Draft] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)  # that reach into the open window
    sweeps: list[Sweep] = field(default_factory=list)


def recover(
    pipeline: Pipeline,
    before: Before | None,
    boot: int,
    segments: Sequence[Segment],
    now_ns: int,
    end_ns: int,
    former: Mapping[str, Any] | None,
) -> Recovered:
    """Bring the pipeline to the present moment.

    Its state as of the last committed window is already restored. `end_ns` is where a window that
    is open now ends by the clock; `former` names the former epoch and its last numbers.
    """
    result = Recovered(now_ns, end_ns)
    if before is None or before.boot != boot:
        pipeline.engine.start(now_ns)
        reason, since = ("start", None) if before is None else ("power", before)
        result.drafts.append(_gap(reason, since, now_ns, former))
        return result
    alive_ns = planned_ns = before.start_ns
    for i, segment in enumerate(segments):
        if i:  # the window before had ended, but its commit had not come
            result.drafts += pipeline.close(segment.start_ns)
        count = 0
        for entry in segment.entries:
            alive_ns = max(alive_ns, _feed(pipeline, entry, result))
            if isinstance(entry, list) and entry and isinstance(entry[0], Sweep):
                result.sweeps += _uncommitted(entry, segment.number, count, before.raw)
                count += len(entry)
        result.start_ns, planned_ns = segment.start_ns, segment.end_ns
    result.gaps.append((alive_ns, max(alive_ns, now_ns)))
    pipeline.lost(*result.gaps[-1])
    result.drafts.append(_gap("restart", replace(before, start_ns=alive_ns), now_ns, former))
    if planned_ns > now_ns:  # back before the window's end: it goes on
        result.end_ns = planned_ns
    elif segments:
        result.drafts += pipeline.close(planned_ns)
        result.start_ns = planned_ns
    if not segments or result.end_ns - result.start_ns > LONGEST * pipeline.period_ns:
        if segments and alive_ns > result.start_ns:  # the next window had begun
            result.drafts += pipeline.close(alive_ns + 1, partial=True)
        pipeline.engine.start(now_ns)  # whole windows have passed: they are in the gap
        result.start_ns = now_ns
    result.gaps = [gap for gap in result.gaps if gap[1] > result.start_ns]
    return result


def _feed(pipeline: Pipeline, entry: Any, result: Recovered) -> int:
    """Feed one entry of a stage; returns the last moment that it proves somebody listened."""
    match entry:
        case int(until_ns):
            return until_ns
        case (int(from_ns), int(to_ns)):
            pipeline.lost(from_ns, to_ns)
            result.gaps.append((from_ns, to_ns))
            return to_ns
        case (str(source), int(at_ns)):
            pipeline.engine.closed(source, at_ns)
            return at_ns
        case [Contact(), *_]:
            result.drafts += pipeline.contacts(entry)
        case [Sweep(), *_]:
            result.drafts += pipeline.sweeps(entry)
        case _:
            return 0
    return int(max(item.mono_ns for item in entry))


def _uncommitted(
    entry: Sequence[Any], segment: int, count: int, raw: tuple[int, int]
) -> Sequence[Sweep]:
    """The sweeps of an entry that no raw record holds yet."""
    if segment < raw[0]:
        return []
    skip = raw[1] - count if segment == raw[0] else 0
    return entry[max(0, skip) :]


def _gap(reason: str, since: Before | None, to_ns: int, former: Mapping[str, Any] | None) -> Draft:
    """The event that names a hole in time: what every record after a start refers to.

    The hole begins at `since.start_ns`, in the time of the boot that is named with it.
    """
    texts = {
        "start": "This gateway starts for the first time: there is nothing before.",
        "restart": "The daemon was not running in between.",
        "power": "The box was off in between: the window that was open is lost, with what had "
        "not been committed. Totals go on from the registers.",
    }
    body: dict[str, Any] = {
        "event": "gap",
        "reason": reason,
        "sources": ALL,
        "gap": [None if since is None else since.start_ns // 1000, to_ns // 1000],
        "boot_before": None if since is None else since.boot,
        "text": texts[reason],
    }
    if former is not None:
        body["former"] = dict(former)
    return Draft(Stream.EVENT, "gateway", to_ns, to_ns, body)
