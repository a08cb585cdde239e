"""Which rows are handed over, and the merging of those that never were.

What makes a row unfit to merge is on the disk before it is handed over (decision 16).
"""

from typing import Final

from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.downsample import Downsampler, MergeBodies
from edge.outbox.epochs import EpochStart
from edge.outbox.failover import FailoverStorage
from edge.outbox.mergeable import MergeableRanges, RowRanges, ranges_after
from edge.outbox.rowformat import INFINITE

META_KEY: Final = "unsent"  # in the table `meta`


class Handover:
    """Of one start. Without `merge` nothing is downsampled, and nobody needs to know what was not
    sent."""

    def __init__(self, storage: FailoverStorage, merge: MergeBodies | None) -> None:
        self._storage = storage
        self.ranges = MergeableRanges()
        self.downsampler = Downsampler(merge) if merge is not None else None
        self._on_disk = {META_KEY: ""}  # of `words`
        self._earliest = 0  # no row up to this one merges without need

    def begin(self, stored: str, start: EpochStart, journaled: int) -> None:
        """As `MergeableRanges.begin`."""
        former = start.number << 32
        self._on_disk = {META_KEY: stored}
        self.ranges.begin(stored, former, journaled)
        if start.unclean and not start.same_boot:
            # the disk may have been read-only at the end, and rows gone from it: see `ReadOnlyDisk`
            self._earliest = former

    def stored(self) -> str:
        """What the start before has left on the disk."""
        return self._storage.ask(lambda disk: str(disk.meta(META_KEY, "")), "")

    def words(self) -> dict[str, str]:
        """What is to stand on the disk, in the table `meta`."""
        return {META_KEY: self.ranges.text if self.downsampler is not None else ""}

    def unwritten(self) -> dict[str, str]:
        """The same, unless it stands there."""
        words = self.words()
        return {} if words == self._on_disk else words

    def written(self) -> None:
        """It stands there now."""
        self._on_disk = self.words()

    def linked(self, live_from: int) -> None:
        """Before the first row of a new connection: see `MergeableRanges.linked`."""
        self.ranges.linked(live_from)
        self._write()

    def copied(self, last_row: int) -> None:
        """Rows up to `last_row` may be sent from a copy: see `MergeableRanges.copied`."""
        self.ranges.copied(last_row)
        self._write()

    def note_handed_over(self, row: int) -> bool:
        """The backlog is about to be handed over up to `row`. Whether it may: not if the disk that
        it lies on fails while this is written down, for what cannot be said must not go."""
        was_on_disk = self._storage.disk is not None
        if self.ranges.note_handed_over(row):
            self._write()
        return not was_on_disk or self._storage.disk is not None

    def _write(self) -> None:
        """Durable on return, if the disk works."""
        words = self.unwritten()

        def write(disk: DiskOutbox) -> None:
            with disk.transaction():
                disk.set_meta(words)
            self.written()

        if words:
            self._storage.write(write)

    # -- merging ----------------------------------------------------------------------------------

    def stop_merging(self) -> None:
        """Rows behind ours were handed over, nobody knows how many."""
        self.downsampler = None

    def downsample(self) -> bool:
        """As below, though there is room: each byte on the way costs."""
        spans = ranges_after(self.ranges.spans, self._earliest)
        return bool(self._storage.ask(lambda disk: self._step(disk, spans, INFINITE), False))

    def make_room(self, disk: DiskOutbox) -> bool:
        """One step of downsampling; whether another one may gain more. Raises sqlite3.Error."""
        return self._step(disk, self.ranges.spans, self.ranges.settled)

    def _step(self, disk: DiskOutbox, spans: RowRanges, settled: int) -> bool:
        downsampler = self.downsampler
        if downsampler is None:
            return False
        return self._storage.attempt(disk, lambda disk: downsampler.step(disk, spans, settled))
