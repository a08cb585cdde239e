"""What the running daemon knows of its broker, as answers of the doctor. Pure.

While it runs it has the name of this gateway, and often the only session that its certificate may
have: a CONNECT of ours would end that. So what a login would show is what the daemon has seen.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from edge.control.handover import HandOver
from edge.core.humanize import count_text, span_text, without_errno
from edge.diagnose.brokerchecks import FAILURE_CHECKS, LOGIN
from edge.diagnose.checks import CheckId, CheckResult, fault, passed, unchecked, warn
from edge.diagnose.loginchecks import round_trip_result
from edge.gateway.linkfindings import silence_text
from edge.health.issuekinds import ISSUE_KINDS
from edge.uplink.connectfailure import FailureClass

NO_RECEIPTS: Final = ISSUE_KINDS["no_receipts"]
STANDS_S: Final = 60.0  # a link that is up for so long: two of one name throw each other off sooner
LATE_S: Final = 600.0  # without a confirmation, while something waits for one
NO_LINK: Final = "the gateway is not connected"
STOP: Final = "the running gateway has not seen that; stop it, and ask again"


def link_results(status: Mapping[str, Any], *, protocol: str) -> list[CheckResult]:
    """By the map `link` of its status; an older gateway says less."""
    link = status.get("link")
    if not isinstance(link, Mapping):
        why = "the gateway does not say how its link is"
        return [unchecked(check, why) for check in (*LOGIN, "link_up", "receipt")]
    about = str(link.get("broker") or "")
    found = {each.check: each for each in _looked_at(link, about, protocol)}
    why = STOP if link.get("connected") else NO_LINK
    return [found.get(check) or unchecked(check, why, about)
            for check in (*LOGIN, "link_up", "receipt")]  # fmt: skip


def _looked_at(link: Mapping[str, Any], about: str, protocol: str) -> Iterator[CheckResult]:
    if link.get("connected") is not True:
        yield from _down(link, about)
        return
    for_s = _seconds(link.get("for_s"))
    yield passed("link_up", f"connected for {span_text(for_s)}", about)
    yield passed("login", "the gateway is let in", about)
    if protocol == "5":
        yield passed("mqtt_protocol", "MQTT 5", about)
    if (for_s or 0) >= STANDS_S:
        yield passed("name_taken", f"nobody else came in for {span_text(for_s)}", about)
    yield from _rights(link, about)
    rtt_s = _seconds(link.get("round_trip_s"))
    if rtt_s is not None:
        yield round_trip_result(rtt_s, about)
    yield from _confirmed(link, about)


def _down(link: Mapping[str, Any], about: str) -> Iterator[CheckResult]:
    """The daemon's last failure, under the check that it belongs to."""
    for_s = span_text(_seconds(link.get("for_s")))
    failure, remedy = str(link.get("failure") or ""), str(link.get("remedy") or "")
    why = f" ({without_errno(failure)})" if failure else ""
    cause = f"No link to the broker for {for_s}{why}"
    remedy = remedy or ISSUE_KINDS["no_broker"].remedy
    yield fault("link_up", cause, remedy, about)
    place = FAILURE_CHECKS.get(cast("FailureClass", link.get("failed_by")))
    if place in LOGIN:
        yield fault(place, cause, remedy, about)


def _rights(link: Mapping[str, Any], about: str) -> Iterator[CheckResult]:
    denies = ISSUE_KINDS["broker_denies"].remedy
    filters, streams = _words(link.get("unsubscribed")), _words(link.get("denied"))
    if filters:
        cause = f"The broker does not allow a subscription to {', '.join(filters)}"
        yield fault("right_subscribe", cause, denies, about)
    elif filters is not None and link.get("confirm") != "platform":
        why = "it is granted, and nothing has shown that commands arrive: send one"
        yield unchecked("right_subscribe", why, about)
    elif filters is not None and _receipt_came(link):
        yield passed("right_subscribe", "granted, and receipts have arrived", about)
    elif filters is not None:
        why = "it is granted, but no receipt has arrived since the connection stands; some brokers"
        yield unchecked("right_subscribe", f"{why} (mosquitto) grant, and deliver nothing", about)
    if streams:
        cause = f"The broker takes nothing of {', '.join(streams)}"
        yield fault("right_publish", cause, denies, about)
    elif streams is not None and link.get("confirmed_s") is not None:
        yield passed("right_publish", "records are taken, of all streams that were sent", about)
        yield passed("quota", "records are taken", about)
        yield passed("subscribers", "records are taken", about)
    if link.get("status_arrived") is True:
        yield passed("right_will", "the status has arrived, and the will has its topic", about)
    elif link.get("status_arrived") is False:
        cause = "The broker does not take the status of this gateway"
        yield warn("right_will", cause, ISSUE_KINDS["retained_refused"].remedy, about)
    if not link.get("trouble"):
        yield passed("broker_limits", "nothing that waits is too large for it", about)


def _confirmed(link: Mapping[str, Any], about: str) -> Iterator[CheckResult]:
    """By whom, when last, and what waits."""
    by = "receipts" if link.get("confirm") == "platform" else "the broker"
    ago_s, waits = _seconds(link.get("confirmed_s")), link.get("unconfirmed")
    waiting = waits if isinstance(waits, int) else 0
    for_s = _seconds(link.get("for_s")) or 0.0
    silent_s, limit_s = _seconds(link.get("silent_s")), _seconds(link.get("silence_limit_s"))
    if limit_s is not None:  # over all connections; an older gateway does not say it
        if silent_s is not None and silent_s >= limit_s:
            yield fault("receipt", silence_text(silent_s), NO_RECEIPTS.remedy, about)
            return
    elif waiting and (for_s if ago_s is None else min(ago_s, for_s)) >= LATE_S:
        last = "none yet" if ago_s is None else f"the last one {span_text(ago_s)} ago"
        cause = f"{count_text(waiting, 'record')} wait for a confirmation by {by}, {last}"
        remedy = "Look whether the broker takes records"
        yield fault("receipt", cause, NO_RECEIPTS.remedy if by == "receipts" else remedy, about)
        return
    if ago_s is not None:
        yield passed("receipt", f"by {by}, the last one {span_text(ago_s)} ago", about)
    elif waiting:
        text = f"{count_text(waiting, 'record')} wait for the first confirmation by {by}"
        yield unchecked("receipt", text, about)
    else:
        yield unchecked("receipt", "nothing waits for a confirmation, and none has come", about)


def _receipt_came(link: Mapping[str, Any]) -> bool:
    """Over the connection that stands: the rules of the one before may have been others."""
    ago_s, for_s = _seconds(link.get("confirmed_s")), _seconds(link.get("for_s"))
    return ago_s is not None and for_s is not None and ago_s <= for_s


def _seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _words(value: object) -> list[str] | None:
    return [str(each) for each in value] if isinstance(value, list) else None


def runs_result(
    status: Mapping[str, Any] | None, why: str, handed_over: HandOver | None = None
) -> CheckResult:
    """Whether there is a daemon. `why` it could not be asked; `handed_over`: none may start."""
    if why:
        remedy = "`systemctl status kerbstone` says whether it is starting; if it hangs, restart it"
        return fault("gateway_runs", f"The gateway does not answer: {why}", remedy)
    if status is None and handed_over is not None:
        cause = f"Another box has gone on in its place (backup {handed_over.backup})"
        remedy = "Nothing is to be done here; `kerbstone status` says more"
        return warn("gateway_runs", cause, remedy)
    if status is None:
        remedy = "Start it: `systemctl start kerbstone`"
        return warn("gateway_runs", "The gateway does not run", remedy)
    up_s = _seconds(status.get("uptime_s"))
    return passed("gateway_runs", f"it has run for {span_text(up_s)}")


def daemon_checks() -> tuple[CheckId, ...]:
    """Those that this file answers, beside `gateway_runs`."""
    return (*LOGIN, "link_up", "receipt")
