"""What the outbox has done since its start, in numbers."""

from collections.abc import Sequence

from edge.store.disk import Disk
from edge.store.rate import Rate, forecast, forecast_thinned, row_bytes
from edge.store.rows import SUMMARIES, Row


class Counting:
    """Of one start. Sums, and the rate of the last hour."""

    def __init__(self) -> None:
        self.commits = self.bytes_in = self.dropped = self.damaged = 0
        self._rate = Rate()

    def committed(self, rows: Sequence[Row], mono_ns: int | None) -> None:
        """One commit; without a time it does not count for the rate."""
        self.commits += 1
        self.bytes_in += sum(len(row.body) for row in rows)
        if mono_ns is None:
            return
        sizes = [row_bytes(row.body) for row in rows if row.level == SUMMARIES]
        others = sum(row_bytes(row.body) for row in rows if row.level != SUMMARIES)
        self._rate.add(mono_ns, sum(sizes), others, len(sizes))

    def forecasts(
        self, disk: Disk, summaries: int, ratio: float | None
    ) -> tuple[float | None, float | None]:
        """Seconds until there is no room, as it is and with thinning by `ratio` (None: never).

        `summaries` are the rows that wait now; their size is taken from those of the last hour.
        """
        room, inflow = disk.room(), self._rate.inflow()
        plain = forecast(room, inflow)
        if ratio is None:
            return plain, plain
        each = inflow.summaries // inflow.rows if inflow.rows else 0
        waiting = min(each * summaries, disk.used_bytes())
        return plain, forecast_thinned(room, inflow, waiting, ratio)
