"""Downsampling: minutes that were never sent merge into quarter hours, before any is dropped.

Only rows that follow each other without a hole, of one source and one start. The merged row takes
the number and the place of the last one; `covers` in its body names all numbers it stands for, so
the order of merging leaves no trace. Quarter hours are those of the wall where a boot knew the
time, else of its own clock.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from edge.core import Draft, Record, Stamp, StoredBody
from edge.core.numbers import encode_steps
from edge.core.walltime import QUARTER_NS
from edge.outbox.clockmap import read_marks
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.eviction import DOWNSAMPLE_RATIO, row_bytes
from edge.outbox.mergeable import RowRanges, ranges_after
from edge.outbox.rowformat import (
    MAX_BODY,
    SUMMARY_LEVEL,
    OutboxRow,
    RowHead,
    covered_numbers,
    make_row,
    pack_body,
    try_record,
)

QUARTER_SLACK_NS: Final = (
    1_000_000_000  # so far a mark may lie beside another one without being a step
)
STEP_ROWS: Final = 500  # rows that one transaction may merge
SCAN_ROWS: Final = 3000  # heads that are looked at for it
REFUSED_LIMIT: Final = 5000  # groups that cannot merge, remembered
RATIO_SAMPLES: Final = 30  # quarters that say how many rows one has
DOWNSAMPLED_KEY: Final = (
    "downsampled_to"  # in the table `meta`: up to this row there is nothing to merge
)

MergeBodies = Callable[[StoredBody, StoredBody], StoredBody]
"""Two bodies as one, the earlier first. Raises ValueError when they do not belong together."""


class QuarterHours:
    """`marks` gives the clock map of a boot; it is asked once for each."""

    def __init__(self, marks: Callable[[int], Sequence[Stamp]]) -> None:
        self._ask = marks
        self._shifts: dict[int, list[tuple[int, int]]] = {}  # from a monotonic time on, the oldest

    def of(self, boot: int, to_ns: int) -> int:
        """The quarter in which a row ends. Its end belongs to it, its beginning does not.

        A window that ends with the quarter does so by the clock of that moment; the mark by which
        it is dated now may lie a second beside it.
        """
        shifts = self._shifts.get(boot)
        if shifts is None:
            shifts = self._shifts[boot] = sorted(
                (mark.mono_ns, mark.offset_ns) for mark in self._ask(boot) if not mark.tq.is_guessed
            )
        if not shifts:
            return (to_ns - 1) // QUARTER_NS
        shift = shifts[0][1]
        for from_ns, each in shifts:
            if from_ns > to_ns:
                break
            shift = each
        return (to_ns + shift - 1 - QUARTER_SLACK_NS) // QUARTER_NS


def merge_records(a: Record, b: Record, merge: MergeBodies) -> Record:
    """Two records that follow each other as one. Associative bit for bit if `merge` is.

    Raises ValueError when they do not belong together.
    """
    covers = encode_steps([*covered_numbers(a), *covered_numbers(b)])
    one, two = ({k: v for k, v in each.body.items() if k != "covers"} for each in (a, b))
    body = {**merge(one, two), "covers": covers}
    return Record(b.key, b.source, b.boot, a.from_ns, b.to_ns, body)


def fold_rows(
    rows: Iterable[OutboxRow], merge: MergeBodies
) -> list[tuple[list[OutboxRow], OutboxRow]]:
    """Which of these rows become which one. A row that cannot be read, or does not belong to the
    one before, begins anew; what would be too large to be sent stays as it is."""
    runs: list[tuple[list[OutboxRow], Record]] = []
    open_ = False
    for row in rows:
        record = try_record(row)
        if record is None:
            open_ = False
            continue
        if open_:
            parts, whole = runs[-1]
            try:
                runs[-1] = [*parts, row], merge_records(whole, record, merge)
                continue
            except ValueError:
                pass
        runs.append(([row], record))
        open_ = True
    made = ((parts, _row(parts[-1], whole)) for parts, whole in runs if len(parts) > 1)
    return [(parts, row) for parts, row in made if row is not None]


def _row(last: OutboxRow, whole: Record) -> OutboxRow | None:
    """None: it is too large, or nothing that can be written down."""
    key = whole.key
    draft = Draft(key.stream, whole.source, whole.from_ns, whole.to_ns, whole.body)
    try:
        body = pack_body(draft)
    except (ValueError, TypeError):
        return None
    return make_row(last.id, key, draft, whole.boot, body) if len(body) <= MAX_BODY else None


def merge_groups(
    heads: Sequence[RowHead], quarters: QuarterHours
) -> tuple[list[list[RowHead]], set[int]]:
    """Rows that may become one, in order of age; and the last rows of those groups that may still
    grow beyond these heads."""
    found: list[list[RowHead]] = []
    running: dict[tuple[int, int, str, str], list[RowHead]] = {}
    newest: dict[tuple[int, int], int] = {}  # how far an epoch has come
    for head in heads:
        if head.level != SUMMARY_LEVEL or not _is_head_sound(head):
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


def _is_head_sound(head: RowHead) -> bool:
    """Columns of a damaged row may hold anything: no sum has been checked here."""
    return all(isinstance(each, int) for each in (head.epoch, head.boot, head.from_ns, head.to_ns))


class Downsampler:
    """Merges a bounded number of rows at a time, the oldest first."""

    def __init__(self, merge: MergeBodies) -> None:
        self._merge = merge
        self._low = 0  # up to this row there is nothing to merge
        self._idle = 0  # nor was there up to this one, when it was last looked at
        self._refused: dict[int, None] = {}  # last rows of groups that cannot merge
        self._seems, self._looked = DOWNSAMPLE_RATIO, 0
        self._before = self._after = 0  # bytes of what was merged
        self.rows = 0  # merged into others, since the start

    @property
    def ratio(self) -> float:
        """By how much summaries shrink: as it was, or as it seems before it has happened."""
        return max(1.0, self._before / self._after) if self._after else self._seems

    def estimate(self, disk: DiskOutbox, where: RowRanges, waiting: int) -> None:
        """How many of the rows that wait would become one, until that is known: looks at a window
        of them, each time that they have doubled. Raises sqlite3.Error."""
        if (
            self._after
            or self._looked >= SCAN_ROWS
            or waiting < max(RATIO_SAMPLES, 2 * self._looked)
        ):
            return
        self._looked = waiting
        heads = disk.row_heads(where[0][0] - 1, where[0][1], SCAN_ROWS)
        found, growing = merge_groups(heads, QuarterHours(lambda boot: read_marks(disk, boot)))
        whole = [len(group) for group in found if group[-1].id not in growing]
        if len(whole) >= RATIO_SAMPLES:
            self._seems = sum(whole) / len(whole)

    def mergeable_ranges(self, disk: DiskOutbox, spans: RowRanges) -> RowRanges:
        """Where rows lie that may still merge. Raises sqlite3.Error."""
        return ranges_after(spans, max(self._low, self._idle, disk.word(DOWNSAMPLED_KEY, 0)))

    def step(self, disk: DiskOutbox, spans: RowRanges, settled: int) -> bool:
        """One transaction; whether another one may gain more. Only rows within `spans` and up to
        `settled` are touched, the oldest span first. Raises sqlite3.Error."""
        return any(self._step(disk, first - 1, min(last, settled)) for first, last in spans)

    def _step(self, disk: DiskOutbox, after: int, top: int) -> bool:
        low = max(self._low, disk.word(DOWNSAMPLED_KEY, 0), after)
        heads = disk.row_heads(low, top, SCAN_ROWS) if low < top else []
        if not heads:
            return False
        found, growing = merge_groups(heads, QuarterHours(lambda boot: read_marks(disk, boot)))
        work = [g for g in found if len(g) > 1 and g[-1].id not in self._refused]
        # what is whole first: each merging costs the card a few writes
        chosen = _limit_groups([group for group in work if group[-1].id not in growing] or work)
        done = _done_up_to(found, work, growing, chosen, heads[-1].id)
        if done <= low and not work and len(heads) == SCAN_ROWS:
            done = heads[-1].id  # more sources than the window has rows
        low = max(low, done)
        gained = self._merge_all(disk, chosen, low)
        moved, self._low = low > self._low, low
        if gained > 0 or bool(chosen) or (moved and len(heads) == SCAN_ROWS):
            return True
        self._idle = heads[-1].id
        return False

    def _merge_all(self, disk: DiskOutbox, chosen: Sequence[Sequence[RowHead]], low: int) -> int:
        """How many rows were merged into others."""
        made: list[tuple[list[OutboxRow], OutboxRow]] = []
        for group in chosen:
            rows = [row for head in group if (row := disk.row(head.id)) is not None]
            pairs = fold_rows(rows, self._merge)
            if not pairs:
                self._refused[group[-1].id] = None
                while len(self._refused) > REFUSED_LIMIT:
                    del self._refused[next(iter(self._refused))]
            made += pairs
        if not made:
            return 0
        gone = [row.id for parts, _ in made for row in parts[:-1]]
        with disk.transaction():
            disk.delete(gone)
            for _, row in made:
                disk.replace(row)
            disk.set_meta({DOWNSAMPLED_KEY: low})
        self._before += sum(row_bytes(row.body) for parts, _ in made for row in parts)
        self._after += sum(row_bytes(row.body) for _, row in made)
        self.rows += len(gone)
        return len(gone)


def _done_up_to(
    found: Sequence[list[RowHead]],
    work: Sequence[list[RowHead]],
    growing: set[int],
    chosen: Sequence[list[RowHead]],
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


def _limit_groups(ripe: Iterable[list[RowHead]]) -> list[list[RowHead]]:
    """Groups of at most STEP_ROWS rows together, the first of them cut if it alone has more."""
    chosen: list[list[RowHead]] = []
    size = 0
    for group in ripe:
        cut = group[:STEP_ROWS]
        size += len(cut)
        if chosen and size > STEP_ROWS:
            break
        chosen.append(cut)
    return chosen
