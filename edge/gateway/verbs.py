"""What the daemon answers on its control socket: verb by verb."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from edge.control.protocol import ControlVerb, VerbError
from edge.core import Condition, Draft, Point, Stamp, Stream
from edge.gateway.busworkers import BusWorkers
from edge.gateway.commissionverb import CommissionVerb
from edge.gateway.configverb import ConfigVerb
from edge.gateway.datasaver import DataSaver, short_text
from edge.gateway.dayhistory import HistoryVerb
from edge.gateway.framewatch import FrameWatch
from edge.gateway.gatewaystatus import (
    COUNTING_S,
    StatusSources,
    outbox_status,
    status_for_people,
)
from edge.gateway.issuewatch import issues_about
from edge.gateway.livestatus import LiveStatus, reading_rows
from edge.gateway.urgentevents import UrgentEvents
from edge.wire.contract import boxevent

LINK_STEPS: Final = ("reconnect", "modem", "power", "reboot", "held", "recovered")


def control_verbs(
    sources: StatusSources,
    points: Mapping[str, Sequence[Point]],
    buses: BusWorkers,
    data_saver: DataSaver,
    urgent: UrgentEvents,
    config: ConfigVerb | None = None,
    frames: FrameWatch | None = None,
) -> dict[str, ControlVerb]:
    """Verb -> what answers it. `points` are those of every polled device, as they are then."""

    async def status(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return status_for_people(sources, await outbox_status(sources))

    async def read(request: Mapping[str, Any]) -> Mapping[str, Any]:
        name = str(request.get("device"))
        if name not in points:
            raise VerbError(not_there(name, points))
        measured, device = await buses.read(name), buses.device(name)
        return {
            "readings": reading_rows(sources.pipeline.engine.published(measured)),
            "health": condition_texts(device.health),
            "text": device.text,
            "issues": issues_about(sources.watch.issues, name, sources.clock.now()),
        }

    async def outbox(request: Mapping[str, Any]) -> Mapping[str, Any]:
        found = await outbox_status(sources)
        if found is None:
            raise VerbError(f"the outbox has not answered for {COUNTING_S:g} s: its disk may hang")
        return found

    async def facts(request: Mapping[str, Any]) -> Mapping[str, Any]:
        sources.watch.see_parts(sources.clock.now())
        return link_facts(
            sources.clock.now(),
            connected=sources.uplink.connected,
            faults=sources.watch.faults,
        )

    async def spare(request: Mapping[str, Any]) -> Mapping[str, Any]:
        data_saver.set_level(request)
        return {}

    async def link_step(request: Mapping[str, Any]) -> Mapping[str, Any]:
        urgent.add([link_step_event(request, sources.clock.now().mono_ns)])
        return {}

    live = LiveStatus(sources, points).answer
    commission = CommissionVerb(sources.commissioning)
    pulses = tuple(each.name for each in sources.pipeline.engine.setup.pulses)
    history = HistoryVerb(
        sources.ingest.day,
        lambda: (*points, *sources.ingest.lines.lanes, *pulses),
        lambda: sources.clock.now().mono_ns,
    ).answer
    return {
        "status": status, "read": read, "live": live, "outbox": outbox,
        "link_facts": facts, "data_saver": spare, "link_step": link_step,
        "history": history, "flags": sources.ingest.flags.answer,
        "frames": (frames or FrameWatch(buses)).answer,
        "commission": commission.told, "commission_step": commission.step,
        **({} if config is None else {"config": config.answer, "config_step": config.step}),
    }  # fmt: skip


def condition_texts(health: Mapping[Condition, str]) -> dict[str, str]:
    """What a device says of itself: word -> sentence."""
    return {str(word): text for word, text in health.items()}


def not_there(name: str, points: Mapping[str, Any]) -> str:
    return (
        f"no device that can be asked is called {name!r}; there are {', '.join(points) or 'none'}"
    )


def link_step_event(request: Mapping[str, Any], now_ns: int) -> Draft:
    """The event of a step that was taken, maybe before a reboot. Raises VerbError."""
    name, boots, age_s = request.get("step"), request.get("boots"), request.get("age_s")
    if name not in LINK_STEPS:
        raise VerbError(f"step is one of {', '.join(LINK_STEPS)}")
    if type(boots) is not int or not isinstance(age_s, int | float) or isinstance(age_s, bool):
        raise VerbError("boots and age_s are numbers")
    text = f"{name}: {short_text(request, 'why')}: {short_text(request, 'result')}"
    body = boxevent.LinkStep(
        step=cast("boxevent.Step", name), text=text, boots=boots, age_s=float(age_s)
    )
    return Draft(Stream.EVENT, "gateway", now_ns, now_ns, body)


def link_facts(now: Stamp, *, connected: bool, faults: int) -> dict[str, Any]:
    """What the link has to know: whether it carries, whether a sensor fails, what time it is."""
    return {
        "connected": connected,
        "faults": faults,
        "tq": now.tq,
        "wall_s": now.wall_ns // 1_000_000_000,
    }
