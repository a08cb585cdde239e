"""Defects that gateways have had, each planted at one place of the daemon: what a scenario is worth
shows in whether it notices them.

    python -m tests.rig.planted live_only run site.toml

is a box under test with the first of them: the program `kerbstone`, with one thing changed.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import edge.acquire.poll
import edge.gateway.deviceissues
import edge.process.traffic.lanewindow
from edge.cli.main import main
from edge.core import Draft, Reason, RecordKey, Stream, Sweep, failed_sweep, sweep
from edge.gateway.ingest import Ingest
from edge.gateway.windowcommitter import WindowCommitter
from edge.infer.incident import StationPair
from edge.outbox.epochs import Numbering
from edge.process.engine import Engine
from edge.process.gaugewindow import GaugeWindow
from edge.process.traffic.headway import HeadwayTracker
from edge.process.traffic.lanewindow import LaneWindow
from edge.process.traffic.loopselection import OK
from edge.rig.outcome import Outcome
from edge.rig.runlog import RunLog
from edge.uplink.delivery import Delivery
from edge.uplink.sendqueue import SendQueue
from edge.wire.contract.points import Gauge

Patch = Callable[[Any, str, Any], None]
"""As `setattr`."""
STANDS_NS: Final = 2_000_000_000


@dataclass(frozen=True, slots=True)
class When:
    """Between which seconds something is wrong: after a fault has begun, or of the run."""

    from_s: float
    to_s: float
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Defect:
    """`text`: what the daemon does wrong. `plant` changes it. `shown`: a name of an expectation of
    incident.toml that fails by it, and the moment that a report has to name.
    """

    text: str
    plant: Callable[[Patch], None]
    shown: Mapping[str, When] = field(default_factory=dict)


def at_reconnect(patch: Patch, act: Callable[[Delivery], None]) -> None:
    """Let this happen each time that a connection is there again."""
    connected = Delivery.connected
    known: list[Delivery] = []

    def connected_anew(self: Delivery, now_ns: int) -> None:
        connected(self, now_ns)
        if self in known:
            act(self)
        known.append(self)

    patch(Delivery, "connected", connected_anew)


def forget_open_window(patch: Patch) -> None:
    engines: list[Engine] = []
    build = Engine.__init__

    def build_known(self: Engine, *args: Any, **kwargs: Any) -> None:
        build(self, *args, **kwargs)
        engines.append(self)

    def forget(_: Delivery) -> None:
        for engine in engines:
            for box in engine._contacts.values():
                box.clear()

    patch(Engine, "__init__", build_known)
    at_reconnect(patch, forget)


def live_only(patch: Patch) -> None:
    restart = SendQueue.restart
    known: list[SendQueue] = []

    def restart_live(self: SendQueue, now_ns: int) -> None:
        if self in known:
            self._alarms.clear()
            self._live.clear()
        else:
            known.append(self)
            restart(self, now_ns)

    patch(SendQueue, "restart", restart_live)


def number_twice(patch: Patch) -> None:
    again: list[bool] = []
    last: list[Draft] = []
    end = WindowCommitter._end

    def end_again(self: WindowCommitter, *args: Any, **kwargs: Any) -> Any:
        drafts, states = end(self, *args, **kwargs)
        former, last[:] = list(last), [each for each in drafts if each.stream is Stream.TRAFFIC]
        if again:
            again.clear()
            drafts = drafts + former
        return drafts, states

    patch(WindowCommitter, "_end", end_again)
    at_reconnect(patch, lambda _: again.append(True))


def skip_numbers(patch: Patch) -> None:
    again: list[bool] = []
    next_keys = Numbering.next_keys

    def next_but_one(
        self: Numbering, streams: Sequence[Stream]
    ) -> tuple[list[RecordKey], dict[str, int]]:
        if again and streams:
            again.clear()
            word = str(streams[0])
            self.counters[word] = self.counters.get(word, 1) + 1
        return next_keys(self, streams)

    patch(Numbering, "next_keys", next_but_one)
    at_reconnect(patch, lambda _: again.append(True))


def count_chatter(patch: Patch) -> None:
    patch(edge.process.traffic.lanewindow, "doubted_state", lambda own, doubts: OK)


def keep_last_value(patch: Patch) -> None:
    last: dict[str, Sweep] = {}

    def sweep_kept(source: str, at_ns: int, samples: Any) -> Sweep:
        last[source] = sweep(source, at_ns, samples)
        return last[source]

    def failed_as_before(source: str, at_ns: int, points: int, reason: Reason) -> Sweep:
        if source in last:
            return replace(last[source], mono_ns=at_ns)
        return failed_sweep(source, at_ns, points, reason)

    patch(edge.acquire.poll, "sweep", sweep_kept)
    patch(edge.acquire.poll, "failed_sweep", failed_as_before)


def list_no_failure(patch: Patch) -> None:
    patch(edge.gateway.deviceissues, "_failures", lambda *args: iter(()))


def never_over(patch: Patch) -> None:
    trouble = Ingest._trouble

    def only_begins(self: Ingest, what: str, source: str, reason: Reason | None, text: str) -> None:
        if reason is not None:
            trouble(self, what, source, reason, text)

    patch(Ingest, "_trouble", only_begins)


def name_window_by_its_end(patch: Patch) -> None:
    record = LaneWindow.record

    def late(self: LaneWindow, doubts: Any) -> Draft:
        draft = record(self, doubts)
        length_ns = draft.to_ns - draft.from_ns
        return replace(draft, from_ns=draft.to_ns, to_ns=draft.to_ns + length_ns)

    patch(LaneWindow, "record", late)


def count_who_stands_again(patch: Patch) -> None:
    leave = HeadwayTracker.leave

    def leave_counted(self: HeadwayTracker, at: int) -> int | None:
        on_ns = leave(self, at)
        if on_ns is not None and on_ns > STANDS_NS:
            self.window.volume += 1
        return on_ns

    patch(HeadwayTracker, "leave", leave_counted)


def suspect_nothing(patch: Patch) -> None:
    patch(StationPair, "_suspicious", lambda self, now, dt_s: False)


def divide_by_one_more(patch: Patch) -> None:
    body = GaugeWindow.body

    def body_of_more(self: GaugeWindow) -> Gauge:
        gauge = body(self)
        if gauge.mean is not None:
            gauge.mean *= gauge.n / (gauge.n + 1)
        return gauge

    patch(GaugeWindow, "body", body_of_more)


FLAP: Final = "broker_flaps"
CHATTER: Final = "loop_chatters"
METER: Final = "meter_dies"
COMPLETE: Final = "Every record has arrived, whatever the broker did"
KM_3: Final = "Every vehicle on lane 1 of km 3 is counted, in the queue, too"
KM_4: Final = "Every vehicle on lane 1 of km 4 is counted"
OTHER_LOOP: Final = "Nothing that it made up is counted: the other loop of its lane counts on"

# A window of a minute may end at any moment of a minute, and a broker that flaps is away for 20 s.
DEFECTS: Final[Mapping[str, Defect]] = {
    "forget_open_window": Defect(
        "A new connection begins a new session: what the open window has counted is forgotten.",
        forget_open_window,
        {KM_3: When(20.0, 150.0, FLAP)},
    ),
    "live_only": Defect(
        "After a connection was lost only what is new is sent, and nothing of what has waited.",
        live_only,
        {COMPLETE: When(30.0, 200.0, FLAP), KM_3: When(-5.0, 90.0, FLAP)},
    ),
    "number_twice": Defect(
        "What may not have arrived is written again as new records, with new numbers.",
        number_twice,
        {COMPLETE: When(20.0, 200.0, FLAP), KM_3: When(-10.0, 150.0, FLAP)},
    ),
    "skip_numbers": Defect(
        "A number is used up by a connection that is lost, and no record has it.",
        skip_numbers,
        {COMPLETE: When(20.0, 200.0, FLAP)},
    ),
    "count_chatter": Defect(
        "A loop that is known to chatter is believed: each of its edges is a vehicle.",
        count_chatter,
        {OTHER_LOOP: When(0.0, 125.0, CHATTER)},
    ),
    "keep_last_value": Defect(
        "Of a meter that does not answer the last values are sent again, as good ones.",
        keep_last_value,
        {"Its values are marked as missing, and why": When(115.0, 181.0, METER)},
    ),
    "list_no_failure": Defect(
        "A device that does not answer is no open issue: nobody sees it in the status.",
        list_no_failure,
        {"The meter that is dead is an open issue": When(59.0, 61.0, METER)},
    ),
    "never_over": Defect(
        "That a device answers again is not noticed: its fault stays up for ever.",
        never_over,
        {"Once it answers again, that is told, too": When(280.0, 285.0, METER)},
    ),
    "name_window_by_its_end": Defect(
        "A lane's window is named by its end in place of its begin: counts are a minute late.",
        name_window_by_its_end,
        {KM_3: When(0.0, 305.0), KM_4: When(0.0, 305.0)},
    ),
    "count_who_stands_again": Defect(
        "Whoever is on a loop for longer than two seconds is counted again when he leaves it.",
        count_who_stands_again,
        {KM_3: When(300.0, 425.0)},
    ),
    "suspect_nothing": Defect(
        "An incident between two stations is never suspected, whatever their loops say.",
        suspect_nothing,
        {"The incident is reported, and where it is": When(659.0, 661.0)},
    ),
    "divide_by_one_more": Defect(
        "The mean of a window is its sum divided by one more than there were values.",
        divide_by_one_more,
        {"Before that its voltage is right": When(0.0, 125.0)},
    ),
}


def missed(defect: Defect, log: RunLog, outcomes: Sequence[Outcome]) -> str:
    """What a judged run of a box with the defect does not say of it; "" for nothing."""
    begins = {span.name: span.began_s for span in log.faults}
    for name, when in defect.shown.items():
        found = next((each for each in outcomes if each.name == name), None)
        if found is None:
            return f"the scenario does not expect: {name}"
        if found.verdict != "fail":
            return f"{name}: {found.verdict}, and not failed: {found.text}"
        begin_s = begins[when.fault] if when.fault else 0.0
        moment_s = found.moment_s
        if moment_s is None or not when.from_s <= moment_s - begin_s <= when.to_s:
            since = f" after {when.fault} began at {begin_s:.1f} s" if when.fault else ""
            return (
                f"{name}: it names {moment_s} s, which is not {when.from_s:.0f} to "
                f"{when.to_s:.0f} s{since}: {found.text}"
            )
    return ""


if __name__ == "__main__":
    DEFECTS[sys.argv[1]].plant(setattr)
    sys.exit(main(sys.argv[2:]))
