"""What the outbox has done since its start, in numbers."""

from collections.abc import Sequence

from edge.store.disk import Disk
from edge.store.handover import Spans, is_open
from edge.store.rate import Rate, Thinning, forecast, forecast_thinned, row_bytes
from edge.store.room import SLACK, margin
from edge.store.rows import SUMMARIES, Row
from edge.store.thin import Thinner
from edge.store.waiting import ids


class Counting:
    """Of one start. Sums, and the rate of the last hour."""

    def __init__(self) -> None:
        self.commits = self.bytes_in = self.dropped = self.damaged = 0
        self._rate = Rate()
        self._latest = 0  # bytes that the latest commit has taken

    def committed(self, rows: Sequence[Row], mono_ns: int | None) -> None:
        """One commit; without a time it does not count for the rate."""
        self.commits += 1
        self.bytes_in += sum(len(row.body) for row in rows)
        if mono_ns is None:
            return
        sizes = [row_bytes(row.body) for row in rows if row.level == SUMMARIES]
        others = sum(row_bytes(row.body) for row in rows if row.level != SUMMARIES)
        self._latest = sum(sizes) + others
        self._rate.add(mono_ns, sum(sizes), others, len(rows))

    def forecasts(
        self, disk: Disk, limit_bytes: int, thinner: Thinner | None, spans: Spans
    ) -> tuple[float | None, float | None]:
        """Seconds until there is no room, and until a row is dropped; only rows within `spans` may
        merge. Raises sqlite3.Error."""
        room, inflow = disk.room() - SLACK - self._latest, self._rate.inflow()
        plain = forecast(room, inflow)
        if thinner is None:
            return plain, plain
        where = thinner.waiting(disk, spans)
        waiting = ids(disk, where)
        thinner.look_ahead(disk, where, waiting)
        size = min(waiting * inflow.summaries // max(1, inflow.rows), disk.used_bytes())
        thinning = Thinning(
            gain=size * (1 - 1 / thinner.ratio),
            ratio=thinner.ratio,
            coming=is_open(spans),
            margin=margin(limit_bytes),
        )
        return plain, forecast_thinned(room, inflow, thinning)
