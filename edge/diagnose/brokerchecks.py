"""What was found on the way to a broker, and at it, as answers of the doctor. Pure."""

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final

from edge.core import Stamp
from edge.core.humanize import count_text, span_text, without_errno
from edge.diagnose.brokerlogin import BrokerLogin
from edge.diagnose.brokerway import BrokerWay, Tried
from edge.diagnose.checks import CheckId, CheckResult, fault, passed, unchecked, warn
from edge.health.issuekinds import ISSUE_KINDS
from edge.uplink.connectfailure import REMEDIES, FailureClass, failure_class
from edge.uplink.inflight import SESSION_TAKEN_OVER, BrokerRefusedError, PublishAnswer
from edge.uplink.mqtt import QOS_NOT_SUPPORTED, RETAIN_NOT_SUPPORTED

FAILURE_CHECKS: Final[Mapping[FailureClass, CheckId]] = {
    "name": "dns",
    "network": "tcp",
    "port": "tcp",
    "proxy": "proxy",
    "plain": "tls_protocol",
    "tls": "tls_protocol",
    "authority": "tls_authority",
    "certificate": "tls_authority",
    "host_name": "tls_name",
    "dates": "tls_dates",
    "own_certificate": "client_certificate",
    "protocol": "mqtt_protocol",
    "login": "login",
    "right": "login",
    "client_id": "login",
    "busy": "login",
    "refused": "login",
    "hung_up": "login",
    "dropped": "login",
}
"""Where each class of failure is looked for."""
WAY: Final[tuple[CheckId, ...]] = (
    "dns", "egress", "tcp", "proxy", "tls_protocol", "tls_authority", "tls_name", "tls_dates",
    "client_certificate",
)  # fmt: skip
LOGIN: Final[tuple[CheckId, ...]] = (
    "mqtt_protocol", "login", "name_taken", "broker_limits", "right_subscribe", "right_publish",
    "right_will", "quota", "subscribers", "round_trip",
)  # fmt: skip
SLOW_S: Final = 5.0  # for an answer to one message on an idle link
SOON_S: Final = 14 * 86_400  # before the end of the broker's certificate
SMALL_BYTES: Final = 32 << 10  # a status with many issues, or a batch, may be as large
NO_MATCHING_SUBSCRIBERS: Final = 16
NOT_AUTHORIZED: Final = 135
QUOTA_EXCEEDED: Final = 151
UNUSABLE: Final = {
    QOS_NOT_SUPPORTED: "Let the broker take QoS 1: without it no record can be confirmed",
    RETAIN_NOT_SUPPORTED: "Let the broker keep retained messages: the status of a gateway is one",
}
NO_TLS: Final = "uplink.url is without TLS"
CITY_RENEWS: Final = "The city must renew it before that day"


def error_text(error: Exception) -> str:
    """For people, without OpenSSL's own marks."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = getattr(error, "verify_message", "") or str(error.args[-1])
        return f"The broker's certificate cannot be trusted: {text}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    return without_errno(str(error)) or type(error).__name__


def way_results(way: BrokerWay, now: Stamp) -> list[CheckResult]:
    """From the name to our certificate; what was not come to is not checked."""
    about, broker = str(way.broker), way.broker
    tls, proxy = broker.tls is not None, broker.proxy is not None
    found: dict[CheckId, CheckResult] = {}

    def see(check: CheckId, tried: Tried | None, seen: str = "") -> bool:
        """Put the answer, under the check that its failure belongs to. Whether it went well."""
        if tried is None:
            return False
        if tried.error is None:
            found.setdefault(check, passed(check, seen or tried.seen, about))
            return True
        reason = failure_class(tried.error, tls=tls, proxy=proxy)
        place = FAILURE_CHECKS[reason]
        if place in ("tcp", "login") or (place == "dns" and check != "dns"):
            # it came no further in this stage, whatever that looks like from outside
            place = check
            if check == "tls_protocol":
                reason = "plain"
        if check == "dns":
            place, reason = "dns", "proxy" if proxy else "name"
        if check == "tcp":
            place = "tcp"
        if check == "client_certificate":
            place, reason = check, "hung_up" if reason == "hung_up" else "own_certificate"
        cause = error_text(tried.error)
        found[place] = fault(place, cause, REMEDIES[reason], about)
        return False

    see("dns", way.name)
    see("tcp", way.port)
    if proxy:
        see("proxy", way.proxy, "it lets us through")
    else:
        found["proxy"] = unchecked("proxy", "there is no uplink.proxy", about)
    if tls:
        see("tls_protocol", way.tls)
        see("tls_authority", way.authority, "verified")
        see("tls_name", way.host_name, f"it is for {broker.host}")
        if see("tls_dates", way.dates, _until(way, now)) and way.dates_s is not None:
            found.update(_soon(way.dates_s[1], now, about))
        see("client_certificate", way.own)
    else:
        for check in WAY[4:]:
            found[check] = unchecked(check, NO_TLS, about)
    first = next((check for check in WAY if check in found and found[check].is_wrong), None)
    why = f"first: {first}" if first else "it was not come to"
    return [
        found.get(check) or unchecked(check, why, about) for check in WAY if check != "egress"
    ]  # fmt: skip


def _until(way: BrokerWay, now: Stamp) -> str:
    if way.dates_s is None:
        return "valid now"
    return f"valid until {_day(way.dates_s[1])}"


def _soon(ends_s: int, now: Stamp, about: str) -> dict[CheckId, CheckResult]:
    left_s = ends_s - now.wall_ns // 1_000_000_000
    if not 0 <= left_s < SOON_S:
        return {}
    cause = f"The broker's certificate ends on {_day(ends_s)}, in {span_text(left_s)}"
    return {"tls_dates": warn("tls_dates", cause, CITY_RENEWS, about)}


def _day(at_s: int) -> str:
    return str(datetime.fromtimestamp(at_s, UTC).date())


def own_certificate_result(ends_s: int | None, now: Stamp) -> CheckResult | None:
    """By its own dates; None where it is valid, or there is none."""
    if ends_s is None:
        return None
    left_s = ends_s - now.wall_ns // 1_000_000_000
    kind = ISSUE_KINDS["certificate_expired" if left_s <= 0 else "certificate_expires"]
    if left_s >= SOON_S:
        return None
    make, ends = (fault, "ended") if left_s <= 0 else (warn, "ends")
    cause = f"The certificate of this box {ends} on {_day(ends_s)}"
    return make("client_certificate", cause, kind.remedy)


# -- a login ---------------------------------------------------------------------------------------


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
    return passed("right_subscribe", f"granted: {', '.join(found.asked)}", about)


def _published(found: BrokerLogin, about: str, confirm: str) -> Iterator[CheckResult]:
    record = found.answers.get(found.record_topic)
    status = found.answers.get(found.status_topic)
    blind = found.broker.protocol != "5"  # a PUBACK says nothing there
    yield _right("right_publish", found.record_topic, record, about, blind)
    if found.will_error is not None:
        cause = f"The broker lets nobody in who has a will at {found.status_topic}: "
        cause += str(found.will_error)
        yield fault("right_will", cause, ISSUE_KINDS["broker_denies"].remedy, about)
    else:
        yield _right("right_will", found.status_topic, status, about, blind)
    codes = [each.code for each in (record, status) if isinstance(each, BrokerRefusedError)]
    if QUOTA_EXCEEDED in codes:
        cause = f"{about} accepts no more messages for now (answer {QUOTA_EXCEEDED})"
        yield warn("quota", cause, ISSUE_KINDS["broker_quota"].remedy, about)
    elif isinstance(record, int) and not blind:
        yield passed("quota", "it takes messages", about)
    else:
        yield unchecked("quota", "no message was taken" if not blind else _blind(), about)
    if blind:
        yield unchecked("subscribers", _blind(), about)
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
    if any(isinstance(each, BrokerRefusedError) for each in found.answers.values()):
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
    check: CheckId, topic: str, answer: PublishAnswer | None, about: str, blind: bool
) -> CheckResult:
    if isinstance(answer, BrokerRefusedError):
        if answer.code == QUOTA_EXCEEDED:
            return unchecked(check, "first: quota", about)
        cause = f"The broker does not allow {topic}: {answer}"
        return fault(check, cause, ISSUE_KINDS["broker_denies"].remedy, about)
    if isinstance(answer, int):
        return unchecked(check, _blind(), about) if blind else passed(check, f"{topic}", about)
    return unchecked(check, "the broker gave no answer", about)


def _blind() -> str:
    return "in MQTT 3.1.1 a refused message looks like a success"
