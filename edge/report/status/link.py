"""The link to the broker and the clock, in words."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from edge.core import TimeQuality
from edge.core.humanize import count_text, span_text, without_errno
from edge.report.status.textform import Section, as_mapping

TIME_TEXTS: Final = {
    TimeQuality.NONE: "not synchronised{since}: the time is not known, and the clock is wrong",
    TimeQuality.FLOOR: (
        "not synchronised{since}: no time server; the real time may be later than shown"
    ),
    TimeQuality.RTC: "not synchronised{since}: the time is that of the board's battery clock",
    TimeQuality.NTP: "follows a time server (NTP)",
    TimeQuality.NTS: "follows a time server with authentication (NTS)",
}
SAVER_TEXTS: Final = {
    1: "; records are sent together every quarter of an hour",
    2: "; minutes are merged into quarter hours before they are sent",
}


def link_lines(status: Mapping[str, Any]) -> Section:
    """Which broker, since when, and what becomes of what is sent."""
    found, health = (
        as_mapping(status.get("link")),
        as_mapping(as_mapping(status.get("box")).get("health")),
    )
    spared = _saver_lines(as_mapping(status.get("data_saver")))
    return Section("link", (*_connection_lines(found), *_sending(found, health), *spared))


def _connection_lines(link: Mapping[str, Any]) -> Iterator[str]:
    broker = link.get("broker") or " or ".join(link.get("brokers", ())) or "the broker"
    since = "" if link.get("for_s") is None else f" for {span_text(link['for_s'])}"
    if link.get("connected"):
        yield f"connected to {broker}{since}"
        if trouble := link.get("trouble"):
            yield f"THE BROKER'S LIMITS ARE TOO LOW: {without_errno(trouble)}"
    else:
        yield f"NOT CONNECTED{since}; still trying {broker}"
        if failure := link.get("failure"):
            yield f"the last attempt failed: {without_errno(failure)}"


def _sending(link: Mapping[str, Any], health: Mapping[str, Any]) -> Iterator[str]:
    platform = link.get("confirm") == "platform"
    waiting = link.get("unconfirmed")
    parts = (
        []
        if waiting is None
        else [f"{waiting:,} unconfirmed" if waiting else "no record waits for confirmation"]
    )
    what = "receipt of the platform" if platform else "confirmation of the broker"
    if link.get("confirmed_s") is not None:
        parts.append(f"the last {what} came {span_text(link['confirmed_s'])} ago")
    elif "confirmed_s" in link:
        parts.append(f"no {what} has come since the start")
    if parts:
        yield "; ".join(parts)
    sent, repeats = health.get("sent"), health.get("sent_redelivered")
    if sent is not None:
        yield f"{count_text(sent, 'record')} sent since the start, {count_text(repeats, 'repeat')}"
    if overdue := health.get("receipts_overdue"):
        late = count_text(overdue, "receipt")
        yield f"{late} did not come in time, and the records were sent again"
    if platform is False and (count := health.get("no_subscribers")):
        yield f"{count_text(count, 'record')} taken by the broker, but without a subscriber"
    if failures := health.get("connection_failures"):
        made = count_text(health.get("connections"), "connection")
        yield f"{made}, {count_text(failures, 'failed attempt')} since the start"


def _saver_lines(saver: Mapping[str, Any]) -> Iterator[str]:
    """Only where somebody counts bytes."""
    if budget := saver.get("budget"):
        used = int(saver.get("used", 0))
        month = saver.get("month") or "this month"
        how = SAVER_TEXTS.get(int(saver.get("level", 0)), "")
        yield f"{used / 1e6:,.0f} of {budget / 1e6:,.0f} MB used in {month}{how}"


def clock_lines(status: Mapping[str, Any]) -> Section:
    """How far the wall clock can be trusted."""
    found = as_mapping(status.get("clock"))
    word = str(found.get("tq", status.get("tq")))
    tq = TimeQuality.parse(word)
    error_us, unsynced_s = found.get("max_error_us"), found.get("unsynced_s")
    since = "" if unsynced_s is None else f" for {span_text(unsynced_s)}"
    lines = [(TIME_TEXTS[tq] if tq else word).replace("{since}", since)]
    if tq and tq.is_synchronised and error_us is not None:
        lines[0] += f"; wrong by {_error(error_us)} at most"
    if (wall_s := found.get("wall_s")) is not None:
        lines.append(f"{datetime.fromtimestamp(wall_s, UTC):%Y-%m-%d %H:%M:%S} UTC")
    if steps := found.get("steps"):
        lines.append(f"jumped or was set by hand {count_text(steps, 'time')} since the start")
    return Section("clock", tuple(lines))


def _error(us: int) -> str:
    return f"{us / 1000:.0f} ms" if us < 1_000_000 else span_text(us / 1e6)
