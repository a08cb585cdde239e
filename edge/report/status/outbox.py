"""The outbox in words: how full, how long it lasts, and what will never arrive."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from edge.core.humanize import count_text, megabytes_text, percent_text, span_text
from edge.report.status.textform import Section, as_mapping

NOT_KNOWN_TEXT: Final = "not known without the daemon"
STREAMS_SHOWN: Final = 12  # named one by one; a hostile file may have more
LETTERS_SHOWN: Final = 8  # the same of dead letters
DROP_REASON_TEXTS: Final = {  # as `drop` events give them
    "full": "there was no room",
    "size": "too large to be sent",
    "refused": "the broker refused them",
    "damage": "not readable from the disk",
    "memory": "the disk failed and memory was full",
}
FIELDS_SHOWN: Final = {  # keys that have a line of their own; others are shown as they are
    *(
        "rows",
        "streams",
        "size",
        "limit",
        "oldest",
        "age_s",
        "boot",
        "in_memory",
        "commits",
        "bytes_in",
    ),
    *("dropped", "damaged", "dead_letters", "quarantined", "downsampled", "undeclared", "letters"),
    *("oldest_wall_ns", "oldest_tq", "quarantined_files", "foreign_files"),
    *("confirmed", "wal", "ballast", "forecast_s", "forecast_downsampled_s"),
}
YEAR_9999_NS: Final = 253_370_764_800_000_000_000


def outbox_lines(counts: Mapping[str, Any] | None, *, daemon: bool, whole: bool = False) -> Section:
    """`whole`: with every stream, every loss and every dead letter, as `kerbstone outbox` has it.

    `daemon`: it has reported them; else they are what the files say.
    """
    if counts is None:
        return Section("outbox", ("The outbox does not answer: the disk may be hanging.",))
    lines = [*_fullness(counts, daemon), *(_streams(counts) if whole else ())]
    lines += _losses(counts, daemon, whole)
    if whole:
        lines += _other_lines(counts, daemon)
    return Section("outbox", tuple(lines))


def _fullness(counts: Mapping[str, Any], daemon: bool) -> Iterator[str]:
    rows, size, limit = (counts.get(key) for key in ("rows", "size", "limit"))
    share = f" ({percent_text(size / limit)})" if size is not None and limit else ""
    waiting = None if rows is None else max(0, rows - (counts.get("confirmed") or 0))
    used = f"{megabytes_text(size)} of {megabytes_text(limit)} used{share}"
    yield f"{count_text(waiting, 'record')} waiting; {used}"
    if waiting:
        yield f"the oldest {_age(counts, daemon)}"
    if daemon:
        yield f"offline buffer: {forecast_text(counts)}"
    else:
        yield f"offline buffer: {NOT_KNOWN_TEXT}"
    if counts.get("in_memory"):
        yield f"KEPT IN MEMORY, not on the card: {counts['in_memory']}"


def forecast_text(counts: Mapping[str, Any]) -> str:
    """How long there is room at the present rate. The words of the forecast, for any sentence."""
    plain, downsampled = counts.get("forecast_s"), counts.get("forecast_downsampled_s")
    if plain is None and downsampled is None:
        return "not known yet"
    found = span_text(plain) if plain is not None else "for ever"
    if downsampled is not None and plain is not None and downsampled > plain:
        found += f"; with downsampling {span_text(downsampled)}"
    return f"{found} at the present rate"


def _age(counts: Mapping[str, Any], daemon: bool) -> str:
    age_s, oldest, wall_ns = (counts.get(key) for key in ("age_s", "oldest", "oldest_wall_ns"))
    if age_s is not None:
        return f"has waited {span_text(age_s)}"
    if wall_ns is not None and 0 <= wall_ns < YEAR_9999_NS:
        moment = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC)
        return f"has waited since {moment:%Y-%m-%d %H:%M} UTC ({counts.get('oldest_tq')})"
    if not isinstance(oldest, Sequence) or not oldest:
        return "has waited for an unknown time"
    if daemon:
        now = counts.get("boot", "later")
        return f"was written in boot {oldest[0]}, before the machine's last start (boot {now})"
    return f"was written in boot {oldest[0]}; how long it has waited is {NOT_KNOWN_TEXT}"


def _streams(counts: Mapping[str, Any]) -> Iterator[str]:
    streams = as_mapping(counts.get("streams"))
    for name, rows in sorted(streams.items(), key=lambda each: -each[1])[:STREAMS_SHOWN]:
        yield f"  {name:<10}{rows:>10,}"
    if len(streams) > STREAMS_SHOWN:
        yield f"  and {len(streams) - STREAMS_SHOWN} more streams"


def _losses(counts: Mapping[str, Any], daemon: bool, whole: bool) -> Iterator[str]:
    dropped, damaged, downsampled = (
        counts.get(key) for key in ("dropped", "damaged", "downsampled")
    )
    if dropped is None or not daemon:
        yield f"records lost or merged since the last start: {NOT_KNOWN_TEXT}"
    else:
        line = f"{count_text(dropped, 'record') if dropped else 'nothing'} lost since the start"
        line += f", {damaged:,} unreadable" if damaged else ""
        yield line + (f"; {downsampled:,} merged into quarter hours" if downsampled else "")
    undeclared = counts.get("undeclared")
    if undeclared:
        yield "lost, and not yet reported by an event:"
        yield from _loss_lines(undeclared)
    elif whole and undeclared is not None:
        yield "every loss is reported by an event"
    dead, aside = counts.get("dead_letters"), counts.get("quarantined")
    if whole or dead or aside:
        letters = count_text(
            dead, "dead letter (refused for good)", "dead letters (refused for good)"
        )
        yield f"{letters}, {count_text(aside, 'file')} in quarantine"
    for path in counts.get("foreign_files") or ():
        yield f"outbox of another version or gateway: {path}"
    if whole:
        yield from _dead_letter_lines(counts.get("letters"))
        yield from _quarantine_lines(counts.get("quarantined_files"))


def _loss_lines(found: Any) -> Iterator[str]:
    """Either a list of losses, or how many there are."""
    if not isinstance(found, Sequence) or isinstance(found, str):
        yield f"  {found}"
        return
    for each in found[:LETTERS_SHOWN]:
        loss = as_mapping(each)
        reason = str(loss.get("reason"))
        first, last, count = (loss.get(key) for key in ("first", "last", "count"))
        what = "all records" if count is None else count_text(count, "record")
        span_ = "" if last is None else f", numbers {first} to {last}"
        why = DROP_REASON_TEXTS.get(reason, reason)
        yield f"  {what} of {loss.get('stream', '?')}{span_}: {why}"
    if len(found) > LETTERS_SHOWN:
        yield f"  and {len(found) - LETTERS_SHOWN} more"


def _dead_letter_lines(found: Any) -> Iterator[str]:
    """Dead letters: a list, the latest last."""
    if not isinstance(found, Sequence) or isinstance(found, str):
        return
    for each in found[-LETTERS_SHOWN:]:
        letter = as_mapping(each)
        name = f"{letter.get('stream', '?')}/{letter.get('seq', '?')}"
        yield f"  {name} of {letter.get('source', '?')}: {letter.get('why', 'no reason is known')}"
    if len(found) > LETTERS_SHOWN:
        yield f"  and {len(found) - LETTERS_SHOWN} older ones"


def _quarantine_lines(found: Any) -> Iterator[str]:
    """Files in quarantine."""
    files = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    for each in files[:LETTERS_SHOWN]:
        file = as_mapping(each)
        yield f"  {file.get('path', '?')}: {megabytes_text(file.get('size'))}"
    if len(files) > LETTERS_SHOWN:
        yield f"  and {len(files) - LETTERS_SHOWN} more"


def _other_lines(counts: Mapping[str, Any], daemon: bool) -> Iterator[str]:
    for key, name in (
        ("wal", "of the space used, SQLite's log"),
        ("ballast", "in addition, reserved for a full disk"),
    ):
        if counts.get(key) is not None:
            yield f"{name}: {megabytes_text(counts[key])}"
    if daemon and counts.get("commits"):
        yield f"{counts['commits']:,} commits since the daemon's start"
    for key in sorted(counts.keys() - FIELDS_SHOWN):  # facts that are newer than this program
        yield f"{key.replace('_', ' ')}: {NOT_KNOWN_TEXT if counts[key] is None else counts[key]}"
