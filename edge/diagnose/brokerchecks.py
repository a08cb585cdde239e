"""What was found on the way to a broker, and at it, as answers of the doctor. Pure."""

import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from edge.core import Stamp, TimeQuality
from edge.core.humanize import span_text, without_errno
from edge.diagnose.brokerway import BrokerWay, Tried
from edge.diagnose.checks import CheckId, CheckResult, fault, passed, unchecked, warn
from edge.health.issuekinds import ISSUE_KINDS
from edge.uplink.connectfailure import REMEDIES, FailureClass, failure_class, untrusted_reason

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
    "not_yet": "tls_dates",
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
SOON_S: Final = 14 * 86_400  # before the end of the broker's certificate
NO_TLS: Final = "uplink.url is without TLS"
CITY_RENEWS: Final = "The city must renew it before that day"


def error_text(error: Exception) -> str:
    """For people, without OpenSSL's own marks."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The broker's certificate cannot be trusted: {untrusted_reason(error)}"
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
        remedy = REMEDIES[reason]
        if reason == "host_name" and way.names:
            remedy += f" It is for {' and '.join(way.names)}."
        found[place] = fault(place, cause, remedy, about)
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
            found.update(_soon(*way.dates_s, now, about))
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


def _soon(begins_s: int, ends_s: int, now: Stamp, about: str) -> dict[CheckId, CheckResult]:
    """Some are renewed every few days: what matters is that it was not done when it was due."""
    left_s = ends_s - now.wall_ns // 1_000_000_000
    if not 0 <= left_s < min(SOON_S, (ends_s - begins_s) / 4):
        return {}
    cause = f"The broker's certificate ends on {_day(ends_s)}, in {span_text(left_s)}"
    return {"tls_dates": warn("tls_dates", cause, CITY_RENEWS, about)}


def _day(at_s: int) -> str:
    return str(datetime.fromtimestamp(at_s, UTC).date())


def own_certificate_result(ends_s: int | None, now: Stamp) -> CheckResult | None:
    """By its own dates; None where it is valid, or there is none."""
    if ends_s is None or now.tq is TimeQuality.NONE:  # nobody knows what time it is
        return None
    left_s = ends_s - now.wall_ns // 1_000_000_000
    kind = ISSUE_KINDS["certificate_expired" if left_s <= 0 else "certificate_expires"]
    if left_s >= SOON_S:
        return None
    make, ends = (fault, "ended") if left_s <= 0 else (warn, "ends")
    cause = f"The certificate of this box {ends} on {_day(ends_s)}"
    return make("client_certificate", cause, kind.remedy)
