"""The board and its card, in words."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from edge.core.humanize import (
    YEAR,
    as_sentence,
    count_text,
    megabytes_text,
    percent_text,
    span_text,
)
from edge.report.status.textform import Section, as_mapping

THROTTLE_TEXTS: Final = {
    "undervoltage": "the supply was too low",
    "frequency_capped": "the processor clock was limited",
    "throttled": "the board was slowed down",
    "soft_temperature_limit": "it came near its heat limit",
}
NO_SENSORS_TEXT: Final = (
    "the board does not report whether its supply is good, or whether it is slowed down"
)


def board_lines(status: Mapping[str, Any]) -> Section:
    """How warm, how well fed, how full; and why it was started."""
    box = as_mapping(status.get("box"))
    health, start = as_mapping(box.get("health")), as_mapping(box.get("start"))
    lines = [str(box["model"]).strip()] if box.get("model") else []
    warm = health.get("cpu_temperature")
    load = health.get("load_1min")
    parts = [] if warm is None else [f"{warm:.0f} degrees Celsius"]
    parts += [] if load is None else [f"load {load:g}"]
    lines += [", ".join(parts)] if parts else []
    lines += [*_supply(health), *_room(health)]
    if health.get("oom_kills"):
        killed = count_text(health["oom_kills"], "process", "processes")
        lines.append(f"the kernel has killed {killed} since the boot, because memory ran out")
    up = span_text(status.get("uptime_s"))
    lines.append(f"the daemon started {up} ago: {as_sentence(str(start.get('text', '-')))}")
    return Section("board", tuple(lines))


def _supply(health: Mapping[str, Any]) -> Iterator[str]:
    now, seen = health.get("throttled"), health.get("throttled_seen")
    if now is None:
        yield NO_SENSORS_TEXT
        return
    if "undervoltage" in now:
        yield "THE SUPPLY VOLTAGE IS TOO LOW NOW"
    other = [word for word in now if word != "undervoltage"]
    if other:
        yield f"limited now: {', '.join(other).replace('_', ' ')}"
    past = [THROTTLE_TEXTS.get(word, word) for word in seen or () if word not in now]
    if past:
        yield f"at some time since the start: {', '.join(past)}"
    if not now and not past:
        yield "supply good, not slowed down, now and since the start"


def _room(health: Mapping[str, Any]) -> Iterator[str]:
    for what, free, total in (
        ("memory", "memory_available_bytes", "memory_total_bytes"),
        ("disk", "disk_free_bytes", "disk_total_bytes"),
    ):
        left, whole = health.get(free), health.get(total)
        if left is not None and whole:
            yield (
                f"{what}: {megabytes_text(left)} of {megabytes_text(whole)} free "
                f"({percent_text(left / whole)})"
            )


def card_lines(status: Mapping[str, Any]) -> Section:
    """What is written to it, and how long that can go on."""
    health = as_mapping(as_mapping(status.get("box")).get("health"))
    lines = [_written(health, status.get("uptime_s"))]
    years, endurance = health.get("card_life_years"), health.get("card_endurance_tb")
    if years is not None:
        lines.append(
            f"a new card lasts {span_text(years * YEAR)} at that rate, if {endurance:g} TB can be "
            "written to it (an assumption: store.card_tb)"
        )
    used, spare = health.get("card_life_used"), health.get("card_pre_eol")
    if used is not None:
        lines.append(f"the card reports that {percent_text(used)} of its life is used")
    if spare is not None and spare != "normal":
        lines.append(f"the card reports that its spare blocks are running out ({spare})")
    if health.get("read_only"):
        lines.append("THE FILE SYSTEM IS READ-ONLY")
    if errors := health.get("filesystem_errors"):
        lines.append(f"the file system has found {errors} errors since it was checked")
    return Section("card", tuple(lines))


def _written(health: Mapping[str, Any], uptime_s: float | None) -> str:
    disk, own = health.get("flash_written_mb_day"), health.get("flash_own_mb_day")
    mine = "" if own is None else f"{own:.1f} MB a day by the daemon"
    if disk is not None:
        return f"{disk:.1f} MB a day written, by all programs" + (f"; {mine}" if mine else "")
    if (uptime_s or 0) < 3900:
        return "writing rate: known after 1 h"
    return f"{mine or 'writing rate not known'}; the disk does not report what all programs write"
