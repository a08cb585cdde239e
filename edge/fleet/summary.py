"""What a fleet has done, for people and for programs."""

import resource
from collections.abc import Mapping
from typing import Any, Final

from edge.fleet.fleet import Ending, Fleet
from edge.fleet.tally import Waits

FAILURES_SHOWN: Final = 5
PUBACK_NAMES: Final = {  # MQTT 5, 3.4.2.1
    128: "unspecified error", 131: "implementation specific error", 135: "not authorized",
    144: "topic name invalid", 145: "packet id in use", 149: "packet too large",
    151: "quota exceeded", 153: "payload format invalid",
}  # fmt: skip


def summary(
    fleet: Fleet, ending: Ending, seconds: float, seed: int, *, platform: bool
) -> dict[str, Any]:
    """For programs; `summary_lines` says it to people."""
    tally = fleet.tally
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime
    confirmed = tally.receipted if platform else tally.pubacks
    pending = fleet.pending
    return {
        "ending": ending,
        "gateways": len(fleet.gateways),
        "connected": fleet.ever_online,
        "connections": tally.connections,
        "connections_lost": dict(tally.lost.most_common(FAILURES_SHOWN)),
        "subscriptions_refused": dict(tally.unsubscribed),
        "connect_failures": dict(tally.failures.most_common(FAILURES_SHOWN)),
        "records": tally.made,
        "sent": tally.sent,
        "pubacks": tally.pubacks,
        "receipted": tally.receipted,
        "receipts": tally.receipts,
        "unconfirmed": pending,
        "sent_again": {why: count for why, count in tally.again.items() if count},
        "refused": {str(code): count for code, count in sorted(tally.refused.items())},
        "no_subscribers": tally.no_subscribers,
        "receipts_unknown": tally.receipts_unknown,
        "malformed": tally.malformed,
        "retained": tally.retained,
        "retained_refused": {str(code): n for code, n in sorted(tally.retained_refused.items())},
        "puback_s": _waits(tally.puback_waits),
        "receipt_s": _waits(tally.receipt_waits),
        "bytes_out": tally.bytes_out,
        "bytes_in": tally.bytes_in,
        "seconds": round(seconds, 2),
        "records_per_s": round(confirmed / seconds) if seconds else 0,
        "cpu_s": round(cpu_s, 2),
        "cpu_us_per_record": round(cpu_s / confirmed * 1e6, 1) if confirmed else None,
        "rss_bytes": used.ru_maxrss * 1024,
        "behind_s": round(fleet.lag_s, 2),
        "seed": seed,
    }


def _waits(waits: Waits) -> dict[str, float | None]:
    return {"median": waits.quantile_s(0.5), "p99": waits.quantile_s(0.99)}


def summary_lines(found: Mapping[str, Any], *, platform: bool) -> list[str]:
    """For people."""
    lines = [
        f"gateways      {found['connected']} of {found['gateways']} connected, "
        f"{found['connections']} connections",
        *_reasons("lost", found["connections_lost"]),
        *_reasons("attempts failed", found["connect_failures"]),
        f"records       {found['sent']} sent, {found['pubacks']} acknowledged by the broker"
        + (f", {found['receipted']} receipted in {found['receipts']} messages" if platform else ""),
        f"sent again    {_counted(found['sent_again'], AGAIN)}",
        f"refused       {_counted(found['refused'], REFUSED)}",
        f"PUBACK after  {_shown(found['puback_s'])}",
    ]
    if platform:
        lines.append(f"receipt after {_shown(found['receipt_s'])}")
    cpu_us = found["cpu_us_per_record"]
    each = "" if cpu_us is None else f" ({cpu_us} us a record)"
    lines += [
        f"bytes         {found['bytes_out']} out, {found['bytes_in']} in, "
        f"{found['retained']} retained messages",
        f"speed         {found['records_per_s']} records/s over {found['seconds']} s; this process "
        f"used {found['cpu_s']} s of CPU{each}, "
        f"{found['rss_bytes'] >> 20} MiB",
    ]
    if found["subscriptions_refused"]:
        kinds = (f"{what} ({count})" for what, count in found["subscriptions_refused"].items())
        lines.append(f"the broker refused subscriptions to {', '.join(kinds)}")
    if found["no_subscribers"]:
        lines.append(f"nobody has subscribed to {found['no_subscribers']} of them")
    if found["behind_s"] > 1:
        lines.append(
            f"this process was {found['behind_s']} s behind at the end: it is the limit, not the "
            "broker. Start several, with names of their own (--first)"
        )
    if found["unconfirmed"]:
        by = "receipted" if platform else "acknowledged"
        lines.append(f"{found['unconfirmed']} records are not {by}")
    return lines


def no_receipts_why(found: Mapping[str, Any], topic: str) -> str | None:
    """Where not the store is to blame for what is not receipted. `topic`: of one's receipts."""
    refused = found["subscriptions_refused"].get("receipts", 0)
    if not (found["unconfirmed"] and refused):
        return None
    return (
        f"the broker refused the subscription to receipts at {refused} of {found['connections']} "
        "connections, so no receipt can arrive there: allow each gateway to read its topic, such "
        f"as {topic}"
    )


AGAIN: Final = {
    "connection": "connection lost before the answer",
    "receipt": "no receipt in time",
    "refused": "refused before",
}
REFUSED: Final = {str(code): f"{code} {name}" for code, name in PUBACK_NAMES.items()}


def _reasons(what: str, counts: Mapping[str, int]) -> list[str]:
    return [f"              {count} {what}: {why}" for why, count in counts.items()]


def _counted(counts: Mapping[str, int], words: Mapping[str, str]) -> str:
    said = [f"{count} ({words.get(why, why)})" for why, count in counts.items()]
    return ", ".join(said) or "none"


def _shown(waits: Mapping[str, float | None]) -> str:
    if waits["median"] is None:
        return "none has come"
    return f"{waits['median']} s in the median, {waits['p99']} s for 99 %"
