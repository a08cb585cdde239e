"""Thinning: minutes that were never handed over merge into quarter hours, before any is dropped.

Only rows that follow each other without a hole, of one source and one start. The merged row takes
the number and the place of the last one; `covers` in its body names all numbers it stands for, so
the order of merging leaves no trace.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from edge.core import Draft, Record
from edge.core.numbers import steps
from edge.store.clockmap import marks
from edge.store.disk import Disk
from edge.store.handover import Spans, behind
from edge.store.quarter import Quarters
from edge.store.rate import RATIO, row_bytes
from edge.store.rows import (
    MAX_BODY,
    SUMMARIES,
    Head,
    Row,
    covered,
    pack,
    readable,
    row_of,
)

TOUCHED: Final = 500  # rows that one transaction may merge
WINDOW: Final = 3000  # heads that are looked at for it
REFUSED: Final = 5000  # groups that cannot merge, remembered
SEEN: Final = 30  # quarters that say how many rows one has
WORD: Final = "thinned_to"  # in the table `meta`: up to this row there is nothing to merge

Merge = Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
"""Two bodies as one, the earlier first. Raises ValueError when they do not belong together."""


def together(a: Record, b: Record, merge: Merge) -> Record:
    """Two records that follow each other as one. Associative bit for bit if `merge` is.

    Raises ValueError when they do not belong together.
    """
    covers = steps([*covered(a), *covered(b)])
    one, two = ({k: v for k, v in each.body.items() if k != "covers"} for each in (a, b))
    body = {**merge(one, two), "covers": covers}
    return Record(b.key, b.source, b.boot, a.from_ns, b.to_ns, body)


def fold(rows: Iterable[Row], merge: Merge) -> list[tuple[list[Row], Row]]:
    """Which of these rows become which one. A row that cannot be read, or does not belong to the
    one before, begins anew; what would be too large to be sent stays as it is."""
    runs: list[tuple[list[Row], Record]] = []
    open_ = False
    for row in rows:
        record = readable(row)
        if record is None:
            open_ = False
            continue
        if open_:
            parts, whole = runs[-1]
            try:
                runs[-1] = [*parts, row], together(whole, record, merge)
                continue
            except ValueError:
                pass
        runs.append(([row], record))
        open_ = True
    made = ((parts, _row(parts[-1], whole)) for parts, whole in runs if len(parts) > 1)
    return [(parts, row) for parts, row in made if row is not None]


def _row(last: Row, whole: Record) -> Row | None:
    """None: it is too large, or nothing that can be written down."""
    key = whole.key
    draft = Draft(key.stream, whole.source, whole.from_ns, whole.to_ns, whole.body)
    try:
        body = pack(draft)
    except (ValueError, TypeError):
        return None
    return row_of(last.id, key, draft, whole.boot, body) if len(body) <= MAX_BODY else None


def groups(heads: Sequence[Head], quarters: Quarters) -> tuple[list[list[Head]], set[int]]:
    """Rows that may become one, in order of age; and the last rows of those groups that may still
    grow beyond these heads."""
    found: list[list[Head]] = []
    running: dict[tuple[int, int, str, str], list[Head]] = {}
    newest: dict[tuple[int, int], int] = {}  # how far an epoch has come
    for head in heads:
        if head.level != SUMMARIES or not _sound(head):
            continue
        name = (head.epoch, head.boot, head.stream, head.source)
        group = running.get(name)
        if (
            group is not None
            and group[-1].to_ns == head.from_ns
            and quarters.of(head.boot, group[-1].to_ns) == quarters.of(head.boot, head.to_ns)
        ):
            group.append(head)
        else:
            running[name] = group = [head]
            found.append(group)
        newest[name[:2]] = max(newest.get(name[:2], head.to_ns), head.to_ns)
    latest = heads[-1].epoch if heads else 0
    growing = {
        group[-1].id
        for (epoch, boot, _, _), group in running.items()
        if epoch == latest
        and quarters.of(boot, group[-1].to_ns) == quarters.of(boot, newest[epoch, boot])
    }
    return found, growing


def _sound(head: Head) -> bool:
    """Columns of a damaged row may hold anything: no sum has been checked here."""
    return all(isinstance(each, int) for each in (head.epoch, head.boot, head.from_ns, head.to_ns))


class Thinner:
    """Merges a bounded number of rows at a time, the oldest first."""

    def __init__(self, merge: Merge) -> None:
        self._merge = merge
        self._low = 0  # up to this row there is nothing to merge
        self._idle = 0  # nor was there up to this one, when it was last looked at
        self._refused: dict[int, None] = {}  # last rows of groups that cannot merge
        self._seems, self._looked = RATIO, 0
        self._before = self._after = 0  # bytes of what was merged
        self.rows = 0  # merged into others, since the start

    @property
    def ratio(self) -> float:
        """By how much summaries shrink: as it was, or as it seems before it has happened."""
        return max(1.0, self._before / self._after) if self._after else self._seems

    def look_ahead(self, disk: Disk, where: Spans, waiting: int) -> None:
        """How many of the rows that wait would become one, until that is known: looks at a window
        of them, each time that they have doubled. Raises sqlite3.Error."""
        if self._after or self._looked >= WINDOW or waiting < max(SEEN, 2 * self._looked):
            return
        self._looked = waiting
        heads = disk.heads(where[0][0] - 1, where[0][1], WINDOW)
        found, growing = groups(heads, Quarters(lambda boot: marks(disk, boot)))
        whole = [len(group) for group in found if group[-1].id not in growing]
        if len(whole) >= SEEN:
            self._seems = sum(whole) / len(whole)

    def waiting(self, disk: Disk, spans: Spans) -> Spans:
        """Where rows lie that may still merge. Raises sqlite3.Error."""
        return behind(spans, max(self._low, self._idle, disk.word(WORD, 0)))

    def step(self, disk: Disk, spans: Spans, settled: int) -> bool:
        """One transaction; whether another one may gain more. Only rows within `spans` and up to
        `settled` are touched, the oldest span first. Raises sqlite3.Error."""
        return any(self._step(disk, first - 1, min(last, settled)) for first, last in spans)

    def _step(self, disk: Disk, after: int, top: int) -> bool:
        low = max(self._low, disk.word(WORD, 0), after)
        heads = disk.heads(low, top, WINDOW) if low < top else []
        if not heads:
            return False
        found, growing = groups(heads, Quarters(lambda boot: marks(disk, boot)))
        work = [g for g in found if len(g) > 1 and g[-1].id not in self._refused]
        # what is whole first: each merging costs the card a few writes
        chosen = _some([group for group in work if group[-1].id not in growing] or work)
        done = _done(found, work, growing, chosen, heads[-1].id)
        if done <= low and not work and len(heads) == WINDOW:
            done = heads[-1].id  # more sources than the window has rows
        low = max(low, done)
        gained = self._merge_all(disk, chosen, low)
        moved, self._low = low > self._low, low
        if gained > 0 or bool(chosen) or (moved and len(heads) == WINDOW):
            return True
        self._idle = heads[-1].id
        return False

    def _merge_all(self, disk: Disk, chosen: Sequence[Sequence[Head]], low: int) -> int:
        """How many rows were merged into others."""
        made: list[tuple[list[Row], Row]] = []
        for group in chosen:
            rows = [row for head in group if (row := disk.row(head.id)) is not None]
            pairs = fold(rows, self._merge)
            if not pairs:
                self._refused[group[-1].id] = None
                while len(self._refused) > REFUSED:
                    del self._refused[next(iter(self._refused))]
            made += pairs
        if not made:
            return 0
        gone = [row.id for parts, _ in made for row in parts[:-1]]
        with disk.transaction():
            disk.delete(gone)
            for _, row in made:
                disk.replace(row)
            disk.set_meta({WORD: low})
        self._before += sum(row_bytes(row.body) for parts, _ in made for row in parts)
        self._after += sum(row_bytes(row.body) for _, row in made)
        self.rows += len(gone)
        return len(gone)


def _done(
    found: Sequence[list[Head]],
    work: Sequence[list[Head]],
    growing: set[int],
    chosen: Sequence[list[Head]],
    last: int,
) -> int:
    """Up to which row nothing is left to do once the chosen ones of all groups are merged; `last`
    is the end of what was looked at."""
    waiting = {group[-1].id for group in work} | growing
    place = {group[0].id: group[-1].id for group in chosen}  # a merged row lies where its last did
    left = []
    for group in found:
        merged = place.get(group[0].id)
        if merged is None and group[-1].id in waiting:
            left.append(group[0].id)
        elif merged is not None and (merged < group[-1].id or group[-1].id in growing):
            left.append(merged)  # chosen in part, or not whole yet
    return min(left, default=last + 1) - 1


def _some(ripe: Iterable[list[Head]]) -> list[list[Head]]:
    """Groups of at most TOUCHED rows together, the first of them cut if it alone has more."""
    chosen: list[list[Head]] = []
    size = 0
    for group in ripe:
        cut = group[:TOUCHED]
        size += len(cut)
        if chosen and size > TOUCHED:
            break
        chosen.append(cut)
    return chosen
