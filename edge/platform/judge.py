"""The verdict over a ledger: which numbers and which times nobody accounts for."""

from collections.abc import Iterator
from itertools import pairwise

from edge.core.numbers import Numbers, Range, said, size
from edge.platform.entry import Key
from edge.platform.ledger import EpochStream, Ledger
from edge.platform.timeline import SLACK_US, Place, uncovered
from edge.platform.verdict import Finding, Missing


def judge(ledger: Ledger, notes: list[str]) -> tuple[list[Finding], Missing]:
    """Findings, and the numbers that are missing and that no drop event declares."""
    missing: Missing = {}
    findings = list(_numbers(ledger, notes, missing))
    findings.extend(_holes(ledger))
    return findings, missing


def unsealed(ledger: Ledger) -> int:
    """How many numbers have come, as records of their own, that no manifest seals."""
    count = 0
    for place, numbers in ledger.numbers.items():
        if place[1] != "manifest":
            own = numbers.ranges()
            for other in (ledger.covered.get(place), ledger.sealed.get(place)):
                own = minus(own, other.ranges() if other is not None else [])
            count += size(own)
    return count


def minus(ranges: list[Range], taken: list[Range]) -> list[Range]:
    """What is left of sorted ranges; both are walked once."""
    left: list[Range] = []
    at = 0
    for range_start, end in ranges:
        start = range_start
        while at < len(taken) and taken[at][1] < start:
            at += 1
        place = at
        while place < len(taken) and taken[place][0] <= end:
            if taken[place][0] > start:
                left.append((start, taken[place][0] - 1))
            start = taken[place][1] + 1
            place += 1
        if start <= end:
            left.append((start, end))
    return left


def _end(ledger: Ledger, epoch: int, stream: str) -> int:
    """The highest number that is known to exist."""
    known = [ledger.declared.last(epoch, stream) or 0]
    for numbers in (ledger.numbers.get((epoch, stream)), ledger.sealed.get((epoch, stream))):
        if numbers is not None:
            known.append(numbers.last)
    return max(known)


def _numbers(ledger: Ledger, notes: list[str], missing: Missing) -> Iterator[Finding]:
    gw, declared = ledger.gw, ledger.declared
    if not ledger.numbers:
        return
    oldest = min(epoch for epoch, _ in ledger.numbers)
    keys = set(ledger.numbers) | set(ledger.sealed)
    # an epoch of which nothing at all has come is known from the one after it
    for epoch, last in declared.formers.items():
        if epoch > oldest:
            keys |= {(epoch, stream) for stream in last}
    for epoch, stream in sorted(keys):
        numbers = ledger.numbers.get((epoch, stream))
        known = declared.last(epoch, stream)
        if numbers is not None and known is not None and numbers.last > known:
            text = f"{gw} {epoch}/{stream} has come up to {numbers.last}, the gateway knows {known}"
            place = gw, epoch, stream, numbers.last
            yield Finding("damage", f"{text}: its memory was damaged or set back", place)
        start = 1
        if epoch <= ledger.joined:
            if numbers is None:
                continue  # before we came, perhaps
            start = numbers.first
            if declared.unexplained(epoch, stream, _before(start))[0]:
                notes.append(f"{gw} {epoch}/{stream}: joined at number {start}")
        end = _end(ledger, epoch, stream)
        absent = list(_absent(ledger, epoch, stream, start, end))
        yield from _unexplained(ledger, (epoch, stream), absent, missing)


def _before(start: int) -> list[Range]:
    return [(1, start - 1)] if start > 1 else []


def _unexplained(
    ledger: Ledger, where: EpochStream, absent: list[Range], missing: Missing
) -> Iterator[Finding]:
    epoch, stream = where
    if not absent or ledger.declared.all_lost(epoch):
        return
    left, covered, allowed = ledger.declared.unexplained(epoch, stream, absent)
    name = f"{ledger.gw} {epoch}/{stream}"
    if left:
        missing[where] = left
        text = f"{name}: {size(left)} numbers are missing: {said(left)}"
        yield Finding("missing", text, (ledger.gw, epoch, stream, left[0][0]))
    if covered > allowed:
        text = f"{name}: {covered} numbers are missing where the gateway declared {allowed} as lost"
        yield Finding("missing", text, (ledger.gw, epoch, stream, absent[0][0]))


def _holes(ledger: Ledger) -> Iterator[Finding]:
    gw = ledger.gw
    for (stream, source), boots in sorted(ledger.timelines.items()):
        mine = [gap for gap in ledger.declared.gaps if gap.names(source)]
        for boot, timeline in boots.items():
            named = [(gap.from_us, gap.to_us) for gap in mine if gap.boot == boot]
            for left, right in timeline.holes():
                lost = uncovered(left.to_us, right.from_us, named)
                if lost and not _numbers_missing(ledger, stream, left.tail, right.head):
                    text = f"{gw} {stream}/{source}: {lost / 1e6:.3f} s are missing"
                    where = f"between {left.to_us} and {right.from_us} us of boot {boot}"
                    yield Finding("hole", f"{text} {where}", _key(gw, stream, right.head))
        for before, after in pairwise(sorted(boots)):
            first = boots[after].stretches[0]
            explained = any(
                gap.boot == after
                and gap.boot_before <= before
                and gap.to_us >= first.from_us - SLACK_US
                for gap in mine
            )
            tail = boots[before].stretches[-1].tail
            if not explained and not _numbers_missing(ledger, stream, tail, first.head):
                text = f"{gw} {stream}/{source}: no gap event leads from boot {before}"
                text = f"{text} to its first record of boot {after}"
                yield Finding("hole", text, _key(gw, stream, first.head))


def _numbers_missing(ledger: Ledger, stream: str, left: Place, right: Place) -> bool:
    """Whether records between the two are missing: then that is told, or was declared."""
    if left[0] == right[0]:
        low, high = sorted((left[1], right[1]))
        return any(_absent(ledger, left[0], stream, low, high))
    known = {epoch for epoch, _ in ledger.numbers} | set(ledger.declared.formers)
    return (
        any(_absent(ledger, left[0], stream, left[1], _end(ledger, left[0], stream)))
        or any(_absent(ledger, right[0], stream, 1, right[1]))
        or any(
            any(_absent(ledger, epoch, stream, 1, _end(ledger, epoch, stream)))
            for epoch in known
            if left[0] < epoch < right[0]
        )
        or ledger.declared.all_lost(left[0])
    )


def _absent(ledger: Ledger, epoch: int, stream: str, first: int, last: int) -> Iterator[Range]:
    return ledger.numbers.get((epoch, stream), Numbers()).missing(first, last)


def _key(gw: str, stream: str, place: Place) -> Key:
    return gw, place[0], stream, place[1]
