"""What a broker answered to a login as this gateway, as answers of the doctor. Pure.

Sources: MQTT 5.0, 3.2.2.3 (what a CONNACK announces), 3.4.2.1 (reason codes of PUBACK).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from edge.core.humanize import count_text
from edge.diagnose.brokerchecks import FAILURE_CHECKS, LOGIN, error_text
from edge.diagnose.brokerlogin import BrokerLogin
from edge.diagnose.checks import CheckId, CheckResult, fault, passed, unchecked, warn
from edge.health.issuekinds import ISSUE_KINDS
from edge.uplink.connectfailure import REMEDIES, failure_class
from edge.uplink.delivery import NO_MATCHING_SUBSCRIBERS, QUOTA_EXCEEDED
from edge.uplink.inflight import (
    SESSION_TAKEN_OVER,
    BrokerRefusedError,
    ConnectionLostError,
    PublishAnswer,
)
from edge.uplink.mqtt import QOS_NOT_SUPPORTED, RETAIN_NOT_SUPPORTED

SLOW_S: Final = 5.0  # for an answer to one message on an idle link
NOT_PROVEN: Final = (
    "the broker grants it, but some brokers (mosquitto) grant what they then do not deliver; a"
    " receipt that arrives proves it: start the gateway, and ask again"
)
SMALL_BYTES: Final = 32 << 10  # a status with many issues, or a batch, may be as large
BLIND: Final = "in MQTT 3.1.1 a refused message looks like a success"
UNUSABLE: Final = {
    QOS_NOT_SUPPORTED: "Let the broker take QoS 1: without it no record can be confirmed",
    RETAIN_NOT_SUPPORTED: "Let the broker keep retained messages: the status of a gateway is one",
}


def login_results(found: BrokerLogin, *, confirm: str) -> list[CheckResult]:
    """What the broker answered to a login as this gateway."""
    about = str(found.broker)
    if found.error is not None:
        return _not_let_in(found, about)
    return [
        *_session(found, about),
        _subscribed(found, about),
        *_published(found, about, confirm),
    ]


def _not_let_in(found: BrokerLogin, about: str) -> list[CheckResult]:
    assert found.error is not None
    tls, proxy = found.broker.tls is not None, found.broker.proxy is not None
    reason = failure_class(found.error, tls=tls, proxy=proxy)
    place: CheckId = FAILURE_CHECKS[reason]
    remedy = REMEDIES[reason]
    if isinstance(found.error, BrokerRefusedError) and found.error.code in UNUSABLE:
        place, remedy = "broker_limits", UNUSABLE[found.error.code]
    elif place not in ("login", "mqtt_protocol", "client_certificate"):
        place = "login"  # the way was free a moment ago
    cause = error_text(found.error)
    results = [fault(place, cause, remedy, about)]
    if place == "login" and isinstance(found.error, BrokerRefusedError):
        results.append(passed("mqtt_protocol", f"MQTT {found.broker.protocol}", about))
    said = {each.check for each in results}
    rest = (check for check in LOGIN if check not in said)
    return [*results, *(unchecked(check, f"first: {place}", about) for check in rest)]


def _session(found: BrokerLogin, about: str) -> Iterator[CheckResult]:
    protocol = found.broker.protocol
    if protocol == "5":
        yield passed("mqtt_protocol", "MQTT 5", about)
    else:
        kind = ISSUE_KINDS["old_protocol"]
        cause = f"MQTT {protocol}: a publish that the broker refuses looks like a success"
        yield warn("mqtt_protocol", cause, kind.remedy, about)
    yield passed("login", f"let in as {found.broker.client_id}", about)
    lost = found.lost
    if lost is not None and lost.code == SESSION_TAKEN_OVER:
        cause = "Another client has connected under this gateway's name while the doctor was there"
        yield fault("name_taken", cause, ISSUE_KINDS["name_taken"].remedy, about)
    elif lost is not None:
        yield unchecked("name_taken", f"the connection ended: {lost}", about)
    else:
        yield passed("name_taken", "nobody else came in under this name meanwhile", about)
    if (session := found.session) is None:
        return
    wrong = []
    if not session.retain:
        wrong.append("keeps no retained messages (Retain Available 0)")
    if session.max_packet is not None and session.max_packet < SMALL_BYTES:
        wrong.append(f"takes {session.max_packet} bytes a message (Maximum Packet Size)")
    if wrong:
        cause = f"{about} {' and '.join(wrong)}"
        remedy = f"Let it keep retained messages, and take {SMALL_BYTES} bytes or more"
        make = warn if session.retain else fault
        yield make("broker_limits", cause, remedy, about)
    else:
        size = "any size" if session.max_packet is None else f"{session.max_packet} bytes"
        seen = f"{size} a message, {count_text(session.window, 'message')} on their way"
        yield passed("broker_limits", seen, about)


def _subscribed(found: BrokerLogin, about: str) -> CheckResult:
    if found.unsubscribed:
        cause = f"The broker does not allow a subscription to {', '.join(found.unsubscribed)}"
        return fault("right_subscribe", cause, ISSUE_KINDS["broker_denies"].remedy, about)
    return unchecked("right_subscribe", NOT_PROVEN, about)


def _published(found: BrokerLogin, about: str, confirm: str) -> Iterator[CheckResult]:
    record = found.answers.get(found.record_topic)
    status = found.answers.get(found.status_topic)
    blind = found.broker.protocol != "5"  # a PUBACK says nothing there
    taken_over = found.lost is not None and found.lost.code == SESSION_TAKEN_OVER
    lost = None if taken_over else found.lost
    yield _right("right_publish", found.record_topic, record, about, blind, lost)
    if found.will_error is not None:
        cause = f"The broker lets nobody in who has a will at {found.status_topic}: "
        cause += str(found.will_error)
        yield fault("right_will", cause, ISSUE_KINDS["broker_denies"].remedy, about)
    else:
        first_lost = lost if isinstance(record, int) else None  # else nobody tried this one
        right = _right("right_will", found.status_topic, status, about, blind, first_lost)
        if right.outcome == "fault":  # records go on all the same
            remedy = ISSUE_KINDS["retained_refused"].remedy
            right = replace(right, outcome="warning", remedy=remedy)
        yield right
    codes = [each.code for each in (record, status) if isinstance(each, BrokerRefusedError)]
    if QUOTA_EXCEEDED in codes:
        cause = f"{about} accepts no more messages for now (answer {QUOTA_EXCEEDED})"
        yield warn("quota", cause, ISSUE_KINDS["broker_quota"].remedy, about)
    elif isinstance(record, int) and not blind:
        yield passed("quota", "it takes messages", about)
    else:
        yield unchecked("quota", "no message was taken" if not blind else BLIND, about)
    if blind:
        yield unchecked("subscribers", BLIND, about)
    elif record == NO_MATCHING_SUBSCRIBERS:
        cause = f"Nobody has subscribed to {found.record_topic}"
        if confirm == "broker":
            cause += ": records that the broker confirms now are lost"
        yield warn("subscribers", cause, ISSUE_KINDS["no_subscribers"].remedy, about)
    elif isinstance(record, int):
        yield passed("subscribers", "somebody has subscribed", about)
    else:
        yield unchecked("subscribers", "no message was taken", about)
    yield _round_trip(found, about)


def _round_trip(found: BrokerLogin, about: str) -> CheckResult:
    if found.took_s is not None:
        return round_trip_result(found.took_s, about)
    if any(each is not None for each in found.answers.values()):
        return unchecked("round_trip", "no message was taken", about)
    cause = f"{about} did not confirm a message within 10 s"
    remedy = "Look at the load of the broker, and at the signal of the modem"
    return fault("round_trip", cause, remedy, about)


def round_trip_result(took_s: float, about: str) -> CheckResult:
    """Of one message on an idle link."""
    if took_s < SLOW_S:
        return passed("round_trip", f"{took_s * 1000:.0f} ms", about)
    cause = f"{about} took {took_s:.1f} s to confirm a message"
    remedy = "Look at the signal of the modem, and at the load of the broker"
    return warn("round_trip", cause, remedy, about)


def _right(
    check: CheckId,
    topic: str,
    answer: PublishAnswer | None,
    about: str,
    blind: bool,
    lost: ConnectionLostError | None,
) -> CheckResult:
    """`blind`: an answer says nothing. `lost`: how the connection ended over this message, which is
    how MQTT 3.1.1 refuses, and some brokers with MQTT 5."""
    if isinstance(answer, BrokerRefusedError):
        if answer.code == QUOTA_EXCEEDED:
            return unchecked(check, "first: quota", about)
        cause = f"The broker does not allow {topic}: {answer}"
        return fault(check, cause, ISSUE_KINDS["broker_denies"].remedy, about)
    if isinstance(answer, int):
        return unchecked(check, BLIND, about) if blind else passed(check, f"{topic}", about)
    if lost is not None:
        cause = f"The broker hung up when {topic} was published: {lost}"
        return fault(check, cause, ISSUE_KINDS["broker_denies"].remedy, about)
    return unchecked(check, "the broker gave no answer", about)
