"""Is everything there, once? Numbers, time, energy, readings, vehicles: each against the truth."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from tests.oracle.findings import OracleVerdict, inside, joined, name_of
from tests.oracle.found import Line, PlatformFindings, PlatformRow, Span, Truth, numbers
from tests.oracle.sources import check_lane, check_meter

SLACK_US: Final = 1000  # times are rounded
TIMED: Final = ("energy", "traffic")


def judge(found: PlatformFindings, truth: Truth, stopped_us: int) -> OracleVerdict:
    """`stopped_us` is when the gateway was told to end: what it made from then on may be there."""
    verdict = OracleVerdict()
    if found.conflicts:
        verdict.say(f"{found.conflicts} records came with another content under the same number")
    if found.undecodable:
        verdict.say(f"{found.undecodable} messages cannot be read")
    if found.undeclared:
        verdict.say(f"{found.undeclared} drops are not declared yet")
    older = {key: at for key, at in found.kept.items() if at < stopped_us}
    if older:
        text = "records that were made before the stop are still in the outbox"
        verdict.say(f"{len(older)} {text}: {sorted(older)[:5]}")
    verdict.figures["records"] = len(found.rows)
    verdict.figures["kept"] = len(found.kept)
    check_numbers(found, verdict)
    gaps = joined(spans(found))
    verdict.figures["gaps"] = len(list(found.events("gap")))
    verdict.figures["gap_ms"] = sum(end - start for start, end in gaps) // 1000
    by_source: dict[tuple[str, str], list[PlatformRow]] = {}
    for row in sorted(found.of(*TIMED), key=lambda row: row.span):
        by_source.setdefault((row.stream, row.source), []).append(row)
    for (stream, source), rows in by_source.items():
        check_time(source, rows, gaps, verdict)
        if stream == "energy":
            check_meter(rows, int(source[1:]), truth, gaps, verdict)
        else:
            check_lane(source, rows, truth, gaps, verdict)
    if len(by_source) != len(truth.answers) + len(truth.vehicles):
        verdict.say(f"{len(by_source)} sources have told anything")
    return verdict


def check_numbers(found: PlatformFindings, verdict: OracleVerdict) -> None:
    """Each number up to the last is there once, or covered once, or declared as dropped."""
    there, drops, lasts = _there(found, verdict), _drops(found, verdict), _lasts(found)
    for line in sorted(there.keys() | lasts.keys() | drops.keys()):
        seqs: Counter[int] = there.get(line, Counter())
        reported = drops.get(line, [])
        twice = sorted(seq for seq, times in seqs.items() if times > 1)
        if twice:
            verdict.say(f"{line}: numbers {twice[:10]} are told twice")
        last = max([lasts.get(line, 0), *(drop[1] for drop in reported)])
        beyond = sorted(seq for seq in seqs if seq > last)
        if line in lasts and beyond:
            verdict.say(f"{line}: the gateway says that {last} was the last, {beyond[:10]} came")
        missing = [seq for seq in range(1, max([last, *seqs]) + 1) if seq not in seqs]
        silent = [m for m in missing if not any(first <= m <= end for first, end, _ in reported)]
        verdict.figures["numbers"] += len(seqs)
        if silent:
            text = f"{len(silent)} numbers are missing, and no drop says so"
            verdict.say(f"{line}: {text}: {silent[:10]}")
        declared = sum(count for *_, count in reported)
        if declared != len(missing) - len(silent):
            text = f"drops of {declared} numbers are declared, {len(missing)} are missing"
            verdict.say(f"{line}: {text}")


def _there(found: PlatformFindings, verdict: OracleVerdict) -> dict[Line, Counter[int]]:
    """How often each number has come, alone or covered, or waits in the outbox."""
    there: dict[Line, Counter[int]] = {}
    for row in found.rows:
        covers = row.body.get("covers")
        reported = [row.seq] if covers is None else list(numbers(covers))
        verdict.figures["covered"] += len(reported) - 1
        there.setdefault((row.epoch, row.stream), Counter()).update(reported)
    came = {(row.epoch, row.stream, row.seq) for row in found.rows}
    for epoch, stream, seq in found.kept.keys() - came:  # its receipt was lost, or is late
        there.setdefault((epoch, stream), Counter())[seq] += 1
    return there


def _drops(
    found: PlatformFindings, verdict: OracleVerdict
) -> dict[Line, list[tuple[int, int, int]]]:
    """First, last and count of what was declared to be lost."""
    drops: dict[Line, list[tuple[int, int, int]]] = {}
    for event in found.events("drop"):
        line = event.body["epoch_of"], event.body["stream_of"]
        first, last = event.body["range"]
        if last is None:
            verdict.say(f"a drop that counts nothing: {event.body['text']}")
            continue
        drops.setdefault(line, []).append((first, last, event.body["count"]))
        verdict.figures["drops"] += 1
        verdict.figures["dropped"] += event.body["count"]
    return drops


def _lasts(found: PlatformFindings) -> dict[Line, int]:
    """The last number of each epoch and stream, as the gateway tells it."""
    lasts = dict(found.counters)
    for row in found.of("event", "manifest"):
        former = row.body.get("former")
        if former is not None:
            for stream, last in former["last"].items():
                lasts[former["epoch"], stream] = last
    return lasts


def spans(found: PlatformFindings) -> Iterator[Span]:
    """What gap events name. One clock runs through all boots here."""
    for event in found.events("gap"):
        start, end = event.body["gap"]
        if start is not None:
            yield start, end


def check_time(
    source: str, rows: Sequence[PlatformRow], gaps: Sequence[Span], verdict: OracleVerdict
) -> None:
    """No moment twice; each moment without a record, or not watched within one, is in a gap."""
    for before, after in pairwise(rows):
        start, end = before.span[1], after.span[0]
        if end < start:
            text = (
                f"{before.span} of {name_of(before)} and {after.span} of {name_of(after)} overlap"
            )
            verdict.say(f"{source}: {text}")
        elif end - start - inside(start, end, gaps) > SLACK_US:
            verdict.say(f"{source}: nothing is told of {start}..{end} us, and no gap names it")
    for row in rows:
        watched = round(row.body["covered_s"] * 1e6)
        deaf = row.span[1] - row.span[0] - watched
        if deaf - inside(*row.span, gaps) > SLACK_US:
            verdict.say(f"{source}: {name_of(row)} has not watched for {deaf} us, gaps name less")
        verdict.figures["watched_ms"] += watched // 1000
