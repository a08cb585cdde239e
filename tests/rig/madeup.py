"""A run as a layer would have written it: two lanes, a meter, an air sensor, three faults.

    run = made_run()             # the box has done all right
    run = made_run(made_scenario(minutes=1440, lanes=64))

Record bodies have the fields of the contract that are judged or shown. A test changes what it is
about: `run.heard`, `run.seen`, `run.faults`.
"""

import random
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from edge.rig.runlog import Driven, Evidence, FaultSpan, Heard, RunLog, Seen
from edge.rig.scenario import About, Expect, Fault, Scenario, Traffic, Value
from edge.rig.scenariotext import scenario_text

EPOCH = (1 << 32) + 7
PERIOD_S = 60.0
BOOT_US = 5_000_000  # the box's monotonic clock when the run begins
FAULTS = (
    Fault(name="flap", target="broker", kind="flap", at_s=420.0, for_s=90.0),
    Fault(name="dead_meter", target="main_meter", kind="silent", at_s=240.0, for_s=180.0),
    Fault(name="chattering", target="north_2.trail", kind="chatter", at_s=300.0, for_s=240.0),
)
EXPECTS = (
    Expect(name="every vehicle on lane 1 is counted", what="volume", source="north_1", true=True),
    Expect(name="the voltage is right", what="value", source="main_meter", key="voltage_l1",
           equals=230.0, tolerance=1.0, unit="V", until_s=240.0),
    Expect(name="a silent meter is told as silent", what="quality", source="main_meter",
           key="voltage_l1", reason="silent", fault="dead_meter", within_s=120.0),
    Expect(name="chatter raises a flag", what="flag", source="north_2", key="chatter",
           fault="chattering", within_s=120.0),
    Expect(name="the status names the meter", what="issue", source="main_meter",
           key="device_fails", fault="dead_meter", within_s=60.0),
    Expect(name="no record is lost", what="complete"),
    Expect(name="nothing else is reported", what="nothing_else"),
)  # fmt: skip


class Writer:
    """Numbers records as a gateway does, one sequence for each stream."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def record(
        self, stream: str, source: str, from_s: float, to_s: float, t_s: float, **body: Any
    ) -> Heard:
        seq = self._next[stream] = self._next.get(stream, 0) + 1
        mono = [BOOT_US + round(from_s * 1e6), BOOT_US + round(to_s * 1e6)]
        head = {"gw": "gw-1", "epoch": EPOCH, "stream": stream, "seq": seq, "source": source,
                "boot": 1, "mono": mono}  # fmt: skip
        return Heard(
            t_s=t_s, stream=stream, source=source, epoch=str(EPOCH), seq=seq, from_s=from_s,
            to_s=to_s, body={**head, **body},
        )  # fmt: skip

    def event(self, source: str, at_s: float, kind: str, **body: Any) -> Heard:
        return self.record("event", source, at_s, at_s, at_s + 0.2, event=kind, text="x", **body)


def made_scenario(
    minutes: int = 15, lanes: int = 2, faults: Sequence[Fault] = FAULTS,
    expects: Sequence[Expect] = EXPECTS,
) -> Scenario:  # fmt: skip
    return Scenario(
        file="incident.toml",
        about=About(
            name="An incident with three faults", site="site.toml", duration_s=minutes * 60.0
        ),
        traffic=(Traffic(lanes=lane_names(lanes), per_hour=300.0),),
        values=(
            Value(device="main_meter", point="voltage_l1", constant=230.0),
            Value(
                device="hut_air", point="pm2_5",
                curve=((0.0, 8.0), (minutes * 30.0, 30.0), (minutes * 60.0, 9.0)),
            ),
        ),
        faults=tuple(faults),
        expects=tuple(expects),
    )  # fmt: skip


def lane_names(count: int) -> tuple[str, ...]:
    return tuple(f"north_{each + 1}" for each in range(count))


def made_run(scenario: Scenario | None = None, *, seed: int = 1) -> RunLog:
    """What the box has to do, it does."""
    scenario = scenario or made_scenario()
    minutes, lanes = int(scenario.about.duration_s / 60), len(scenario.traffic[0].lanes)
    source = random.Random(seed)
    driven = [v for lane in lane_names(lanes) for v in _vehicles(lane, minutes * 60.0, source)]
    held = next((each for each in scenario.faults if each.kind == "flap"), None)
    log = RunLog(
        scenario=scenario_text(scenario), layer="sim", seed=seed, box="kerbstone run site.toml",
        lasted_s=minutes * 60.0 + 65.0, driven=driven,
        faults=[_span(each) for each in scenario.faults if each.at_s is not None],
        heard=_heard(driven, minutes, lanes, scenario, source),
    )  # fmt: skip
    if held is not None and held.at_s is not None:
        end = held.at_s + (held.for_s or 0.0)
        log.heard = [
            replace(h, t_s=end + 0.5) if held.at_s <= h.t_s < end else h for h in log.heard
        ]
    log.seen = [
        Seen(t_s=float(s), connected=not _in_span(log, "flap", s), queue=_waiting(log, s),
             issues=("device_fails main_meter",) if _in_span(log, "dead_meter", s - 5) else ())
        for s in range(0, int(log.lasted_s), 1 if minutes <= 60 else 60)
    ]  # fmt: skip
    return log


def _vehicles(lane: str, until_s: float, source: random.Random) -> list[Driven]:
    found, at = [], 3.0
    while at < until_s - 10:
        speed, length = source.uniform(35, 60), source.uniform(3.6, 5.2)
        took = (length + 6.0) / (speed / 3.6)
        found.append(Driven(lane=lane, on_s=at, off_s=at + took, speed_kmh=speed, length_m=length))
        at += took + 1.0 + source.expovariate(1 / 10.0)
    return found


def _heard(
    driven: Sequence[Driven], minutes: int, lanes: int, scenario: Scenario, source: random.Random
) -> list[Heard]:
    write = Writer()
    found = [
        Heard(t_s=0.0, stream="meta", source="", body={"devices": {
            "main_meter": {"points": {"voltage_l1": {"unit": "V"}}},
            "hut_air": {"points": {"pm2_5": {"unit": "ug/m3"}}},
        }}),
        write.event("gateway", -1.0, "gap", reason="start", sources=["*"], gap=[None, BOOT_US],
                    boot_before=None),
    ]  # fmt: skip
    by_window: dict[tuple[str, int], int] = {}
    for each in driven:
        place = each.lane, int(each.on_s // PERIOD_S)
        by_window[place] = by_window.get(place, 0) + 1
    silent = next((each for each in scenario.faults if each.name == "dead_meter"), None)
    for window in range(minutes + 1):
        begin, end = window * PERIOD_S, (window + 1) * PERIOD_S
        for lane in lane_names(lanes):
            found.append(
                write.record("traffic", lane, begin, end, end + 0.4, lane=lane, approach="north",
                             volume=by_window.get((lane, window), 0), health="ok",
                             quality={"good": 4})
            )  # fmt: skip
        dead = silent is not None and silent.at_s is not None and (
            silent.at_s <= begin < silent.at_s + (silent.for_s or 0.0)
        )  # fmt: skip
        found.append(_gauge(write, "energy", "main_meter", "voltage_l1", begin,
                            None if dead else 230.0 + source.uniform(-0.3, 0.3)))  # fmt: skip
        true = 8.0 + 22.0 * (1 - abs(window / minutes * 2 - 1))
        found.append(_gauge(write, "air", "hut_air", "pm2_5", begin, true + source.uniform(-1, 1)))
    if any(each.name == "chattering" for each in scenario.faults):
        fault = {"fault": "chatter", "part": "trail", "by": "rule loops"}
        found.append(write.event("north_2", 345.0, "sensor_fault", state="on", **fault))
        found.append(write.event("north_2", 660.0, "sensor_fault", state="off", **fault))
    return sorted(found, key=lambda each: each.t_s)


def _gauge(
    write: Writer, stream: str, source: str, key: str, begin: float, value: float | None
) -> Heard:
    said = {"mean": value, "min": value, "max": value, "n": 0 if value is None else 12,
            "quality": {"bad:silent": 12} if value is None else {"good": 12}}  # fmt: skip
    end = begin + PERIOD_S
    return write.record(stream, source, begin, end, end + 0.4, points={key: said})


def _span(fault: Fault) -> FaultSpan:
    began = fault.at_s or 0.0
    text = f"{fault.target}: {fault.kind} was seen on the wire"
    return FaultSpan(
        name=fault.name, began_s=began, ended_s=began + (fault.for_s or 0.0), through=12,
        evidence=[Evidence(t_s=began + 2.0, text=text)],
    )  # fmt: skip


def _in_span(log: RunLog, name: str, at_s: float) -> bool:
    return any(
        each.name == name and each.began_s <= at_s < (each.ended_s or at_s + 1)
        for each in log.faults
    )


def _waiting(log: RunLog, at_s: float) -> int:
    if not _in_span(log, "flap", at_s):
        return 0
    return sum(1 for each in log.heard if (each.to_s or 0.0) <= at_s < each.t_s)
