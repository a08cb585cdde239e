"""A gateway with one thing wrong: what each kind of open issue is found in."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec

from edge.acquire.badpoints import BadPoint
from edge.config import Problem
from edge.core import Condition, Draft, Reason, Stream
from edge.gateway.datasaver import SaverLevel
from edge.gateway.issuefindings import ALARM_KINDS
from edge.gateway.issuewatch import (
    IssueWatch,
)
from edge.health.boxalarms import ALARM_WORDS
from edge.health.openissues import IssueFinding
from edge.identity.runfiles import BoxNames
from edge.uplink.brokertroubles import BrokerTroubles, Distrust, ReceiptWait
from edge.uplink.delivery import ConnectionState
from edge.wire.contract.event import SensorFault
from edge.wire.contract.health import Health
from edge.wire.contract.issues import IssueName
from edge.wire.contract.models import Candidate, Drift
from tests.gateway.issueparts import DAY, Parts, Polled, S, at


def looked(watch: IssueWatch, parts: Parts, seconds: float) -> IssueWatch:
    """All that happens in a while."""
    watch.see_events(parts.events, at(seconds))
    asyncio.run(watch.look(at(seconds)))
    return watch


def fault(state: str, **more: Any) -> Draft:
    text = "north_1: the lead loop is silent; measure it."
    body = SensorFault(state="on" if state == "on" else "off", text=text, **more)
    return Draft(Stream.EVENT, "north_1", 0, 0, body)


def model(**more: Any) -> dict[str, Any]:
    return {"model": msgspec.structs.replace(Parts().model, **more)}


def in_trouble(**troubles: Any) -> ConnectionState:
    return ConnectionState(-1000 * S, confirmed_ns=0, troubles=BrokerTroubles(**troubles))


DRIFT = Drift(psi=0.4, column="x", hours=24, text="its input is another one")
SHADOW = Candidate(
    model=None, sha256="", dropped="late", ms=None, most_ms=None, samples=0, last=[]
)  # fmt: skip
WELL = Parts()
COUNTS = WELL.counts
BROKEN: dict[IssueName, dict[str, Any]] = {
    "records_in_memory": {"counts": replace(COUNTS, in_memory="Input/output error")},
    "records_lost": {"counts": replace(COUNTS, dropped=1200)},
    "outbox_full": {"counts": replace(COUNTS, size=94)},
    "dead_letters": {"counts": replace(COUNTS, dead_letters=1)},
    "outbox_quarantined": {"counts": replace(COUNTS, quarantined=2)},
    "outbox_foreign": {"counts": replace(COUNTS, foreign_files=["/var/x.db"])},
    "no_broker": {"connected": False, "link": ConnectionState(0, failure="timed out")},
    "on_fallback": {"link": ConnectionState(-200 * S, "mqtts://b:8883")},
    "data_budget": {"saver": SaverLevel(2, 10**6, 10**6, "2026-12", S)},
    "broker_limits": {"link": ConnectionState(0, limit_notice="it takes 200 bytes")},
    "retained_refused": {"link": ConnectionState(0, refused={"k/v1/s/g/up/status": "too large"})},
    "no_subscribers": {
        "link": in_trouble(unheard_ns={"air": 0}),
        "health": Health(no_subscribers=5),
    },
    "no_receipts": {"receipt_s": 20.0, "link": in_trouble(receipts=ReceiptWait(True, 0, -S * 400))},
    "broker_denies": {"link": in_trouble(denied={"air": "The broker does not allow air"})},
    "broker_quota": {"link": in_trouble(quota="The broker accepts no more messages for now")},
    "broker_untrusted": {
        "link": in_trouble(
            untrusted={"mqtts://a:8883": Distrust("a cannot be trusted", "Do so", 0)}
        )
    },
    "name_taken": {"link": in_trouble(taken_over=True)},
    "old_protocol": {"link": in_trouble(old_protocol=True)},
    **{
        kind: {"events": [Draft(Stream.EVENT, "gateway", 0, 0, made(text="It is so; do this."))]}
        for made, kind in ALARM_KINDS.items()
    },
    "certificate_expired": {"ends_in_s": 60},
    "certificate_expires": {"ends_in_s": 2 * DAY},
    "journal_fails": {"journal": "The journal of sent rows cannot be written: No space left."},
    "configuration_outdated": {
        "outdated": (Problem("site.toml", 7, "uplink.prefix", "a.b has a dot; write a-b"),)
    },
    "acceptance_stale": {"stale": ("lane:north_1", "device:hut")},
    "configuration_on_trial": {
        "trial": "The changed configuration stays on trial: the broker is not connected"
    },
    "configuration_unusable": {
        "box": BoxNames("s", "gw-1", refused="number 8: line 9: device.air.driver: unknown driver")
    },
    "configuration_refused": {"problems": {"configuration": "site.toml is not used"}},
    "bus_fails": {
        "device": Polled("hut", Reason.SILENT, "air is stuck; switch the sensors off and on"),
        "neighbours": (
            Polled("roof", Reason.SILENT, "air is stuck; switch the sensors off and on"),
        ),
    },
    "device_fails": {"device": Polled("hut", Reason.SILENT, "no device answers at 0x69")},
    "device_errors": {"health": Health(device_error_ratio={"hut": 0.25})},
    "device_unsettled": {
        "device": Polled("hut", unsettled=Reason.WARMUP, unsettled_since_ns=20 * S)
    },
    "values_bad": {"device": Polled("hut", bad={"humidity": BadPoint(Reason.RANGE, 20 * S)})},
    "calibration_expired": {
        "calibrations": (IssueFinding("calibration_expired", "hut", "Its calibration has ended"),)
    },
    "device_reports": {"device": Polled("hut", health={Condition.FAN: "its fan stands still"})},
    "line_closed": {"problems": {"line a": "it is busy"}},
    "values_contradict": {"events": [fault("on", fault="phase_sum", points=["power"])]},
    "loop_fault": {"events": [fault("on", fault="swapped", part="lead")]},
    "signal_fault": {"events": [fault("on", fault="phase")]},
    "contact_fault": {"events": [fault("on", fault="chatter")]},
    **{word: {"alarms": {word: "Too much: do something."}} for word in ALARM_WORDS},
    "undervoltage_seen": {"health": Health(throttled_seen=["undervoltage"])},
    "unexpected_start": {"start": ("watchdog", "It hung.")},
    "too_busy": {"health": Health(overload_dropped=3)},
    "stage_full": {"health": Health(stage_overflow=1)},
    "unmatched_edges": {"unmatched": 2},
    "bus_hung": {"health": Health(bus_restarts=1)},
    "model_fails": {"failures": 2, **model(answers="rule", why="late: 900 ms")},
    "model_withdrawn": {**model(instead="model anomaly 2.2.0: it gave no number")},
    "model_drift": {**model(drift=DRIFT)},
    "candidate_dropped": {**model(shadow=SHADOW)},
}
MENDED: dict[IssueName, dict[str, Any]] = {
    "no_receipts": {"receipt_s": 20.0},
    "values_contradict": {"events": [fault("off", fault="phase_sum", points=["power"])]},
    "loop_fault": {"events": [fault("off", fault="swapped", part="lead")]},
    "signal_fault": {"events": [fault("off", fault="phase")]},
    "contact_fault": {"events": [fault("off", fault="chatter")]},
}


LINK_TROUBLES: tuple[IssueName, ...] = (
    "no_subscribers", "no_receipts", "broker_denies", "broker_quota", "broker_untrusted",
    "name_taken",
)  # fmt: skip
