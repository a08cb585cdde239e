"""The outbox in words: how full, how long it lasts, and what will never arrive."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from edge.app.sheet.words import Section, counted, mapping, megabytes, percent, span

WITHOUT: Final = "not known without the daemon"
STREAMS: Final = 12  # named one by one; a hostile file may have more
LETTERS: Final = 8  # the same of dead letters
REASONS: Final = {  # as `drop` events give them
    "full": "there was no room",
    "size": "too large to be sent",
    "refused": "the broker refused them",
    "damage": "not readable from the disk",
    "memory": "the disk failed and memory was full",
}
TOLD: Final = {  # keys that have a line of their own; others are shown as they are
    *("rows", "streams", "size", "limit", "oldest", "age_s", "boot", "ram", "commits", "bytes_in"),
    *("dropped", "damaged", "dead", "quarantined", "thinned", "undeclared", "letters"),
    *("oldest_wall_ns", "oldest_tq", "aside", "kept"),
    *("confirmed", "wal", "ballast", "forecast_s", "forecast_thinned_s"),
}
YEAR_9999_NS: Final = 253_370_764_800_000_000_000


def outbox(counts: Mapping[str, Any] | None, *, daemon: bool, whole: bool = False) -> Section:
    """`whole`: with every stream, every loss and every dead letter, as `kerbstone outbox` has it.

    `daemon`: it has told them; else they are what the files say.
    """
    if counts is None:
        return Section("outbox", ("It does not answer: the disk may be hanging.",))
    lines = [*_fullness(counts, daemon), *(_streams(counts) if whole else ())]
    lines += _losses(counts, daemon, whole)
    if whole:
        lines += _rest(counts, daemon)
    return Section("outbox", tuple(lines))


def _fullness(counts: Mapping[str, Any], daemon: bool) -> Iterator[str]:
    rows, size, limit = (counts.get(key) for key in ("rows", "size", "limit"))
    share = f" ({percent(size / limit)})" if size is not None and limit else ""
    waiting = None if rows is None else max(0, rows - (counts.get("confirmed") or 0))
    used = f"{megabytes(size)} of {megabytes(limit)} used{share}"
    yield f"{counted(waiting, 'record')} waiting; {used}"
    if waiting:
        yield f"the oldest {_age(counts, daemon)}"
    if daemon:
        yield f"space for what comes while there is no link: {lasts(counts)}"
    else:
        yield f"how long the space lasts: {WITHOUT}"
    if counts.get("ram"):
        yield f"KEPT IN MEMORY, not on the card: {counts['ram']}"


def lasts(counts: Mapping[str, Any]) -> str:
    """How long there is room at the present rate. The words of the forecast, for any sentence."""
    plain, thinned = counts.get("forecast_s"), counts.get("forecast_thinned_s")
    if plain is None and thinned is None:
        return "not known yet"
    found = span(plain) if plain is not None else "for ever"
    if thinned is not None and plain is not None and thinned > plain:
        found += f"; with thinning {span(thinned)}"
    return f"{found} at the present rate"


def _age(counts: Mapping[str, Any], daemon: bool) -> str:
    age_s, oldest, wall_ns = (counts.get(key) for key in ("age_s", "oldest", "oldest_wall_ns"))
    if age_s is not None:
        return f"has waited {span(age_s)}"
    if wall_ns is not None and 0 <= wall_ns < YEAR_9999_NS:
        moment = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC)
        return f"has waited since {moment:%Y-%m-%d %H:%M} UTC ({counts.get('oldest_tq')})"
    if not isinstance(oldest, Sequence) or not oldest:
        return "has waited for a time that is not known"
    if daemon:
        now = counts.get("boot", "later")
        return f"is of boot {oldest[0]}, before the machine's last start (boot {now})"
    return f"is of boot {oldest[0]}; how long it has waited is {WITHOUT}"


def _streams(counts: Mapping[str, Any]) -> Iterator[str]:
    streams = mapping(counts.get("streams"))
    for name, rows in sorted(streams.items(), key=lambda each: -each[1])[:STREAMS]:
        yield f"  {name:<10}{rows:>10,}"
    if len(streams) > STREAMS:
        yield f"  and {len(streams) - STREAMS} more streams"


def _losses(counts: Mapping[str, Any], daemon: bool, whole: bool) -> Iterator[str]:
    dropped, damaged, thinned = (counts.get(key) for key in ("dropped", "damaged", "thinned"))
    if dropped is None or not daemon:
        yield f"what was lost or merged since the last start: {WITHOUT}"
    else:
        line = f"{counted(dropped, 'record') if dropped else 'nothing'} lost since the start"
        line += f", {damaged:,} unreadable" if damaged else ""
        yield line + (f"; {thinned:,} merged into quarter hours" if thinned else "")
    undeclared = counts.get("undeclared")
    if undeclared:
        yield "lost, and not declared by an event yet:"
        yield from _undeclared(undeclared)
    elif whole and undeclared is not None:
        yield "every loss is declared by an event"
    dead, aside = counts.get("dead"), counts.get("quarantined")
    if whole or dead or aside:
        letters = counted(dead, "dead letter (refused for good)", "dead letters (refused for good)")
        yield f"{letters}, {counted(aside, 'file')} in quarantine"
    for path in counts.get("kept") or ():
        yield f"of another version of this program: {path}"
    if whole:
        yield from _letters(counts.get("letters"))
        yield from _aside(counts.get("aside"))


def _undeclared(found: Any) -> Iterator[str]:
    """Either a list of losses, or how many there are."""
    if not isinstance(found, Sequence) or isinstance(found, str):
        yield f"  {found}"
        return
    for each in found[:LETTERS]:
        loss = mapping(each)
        reason = str(loss.get("reason"))
        first, last, count = (loss.get(key) for key in ("first", "last", "count"))
        what = "all records" if count is None else counted(count, "record")
        span_ = "" if last is None else f", numbers {first} to {last}"
        yield f"  {what} of {loss.get('stream', '?')}{span_}: {REASONS.get(reason, reason)}"
    if len(found) > LETTERS:
        yield f"  and {len(found) - LETTERS} more"


def _letters(found: Any) -> Iterator[str]:
    """Dead letters: a list, the latest last."""
    if not isinstance(found, Sequence) or isinstance(found, str):
        return
    for each in found[-LETTERS:]:
        letter = mapping(each)
        name = f"{letter.get('stream', '?')}/{letter.get('seq', '?')}"
        yield f"  {name} of {letter.get('source', '?')}: {letter.get('why', 'nobody said why')}"
    if len(found) > LETTERS:
        yield f"  and {len(found) - LETTERS} older ones"


def _aside(found: Any) -> Iterator[str]:
    """Files in quarantine."""
    files = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    for each in files[:LETTERS]:
        yield f"  {mapping(each).get('path', '?')}: {megabytes(mapping(each).get('size'))}"
    if len(files) > LETTERS:
        yield f"  and {len(files) - LETTERS} more"


def _rest(counts: Mapping[str, Any], daemon: bool) -> Iterator[str]:
    for key, name in (
        ("wal", "of that, SQLite's log"),
        ("ballast", "beside it, set aside for a full disk"),
    ):
        if counts.get(key) is not None:
            yield f"{name}: {megabytes(counts[key])}"
    if daemon and counts.get("commits"):
        yield f"{counts['commits']:,} commits since the daemon's start"
    for key in sorted(counts.keys() - TOLD):  # facts that are newer than this program
        yield f"{key.replace('_', ' ')}: {WITHOUT if counts[key] is None else counts[key]}"
