"""What time it is, as far as anybody can know on a box whose clock may say 1970 or 2040.

Waiting uses monotonic time only. The wall is believed when the kernel says synchronised and it
lies between the floor and ten years beyond it. The floor is the date of this program, or the first
day of a certificate that was verified. What a server's `Date` says helps to plan a renewal, and is
no floor: one server with a wrong clock would lock out every box that has none.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from edge.core import BlockingClock
from edge.core.release import RELEASED
from edge.durable import atomicwrite
from edge.durable.readfile import read_file

GRACE: Final = timedelta(days=1)  # two clocks may differ by so much, and both be right enough
HORIZON: Final = timedelta(days=3653)
FLOOR_STEP: Final = timedelta(days=1)  # the floor is not written more often: it wears the card
FLOOR_FILE: Final = "floor"


class FloorClock:
    """A clock with a floor that is kept in the state folder. Any file there may be missing."""

    def __init__(self, clock: BlockingClock, folder: Path) -> None:
        self._clock = clock
        self._path = folder / FLOOR_FILE
        built = datetime(RELEASED.year, RELEASED.month, RELEASED.day, tzinfo=UTC)
        self._built = built
        self.floor = max(built, self._kept() or built)
        self._stated: tuple[datetime, float] | None = None

    def wall(self) -> datetime | None:
        """The time, where it can be believed."""
        at = self._clock.now()
        now = at.utc()
        likely = self.floor - GRACE <= now <= self.floor + HORIZON
        return now if at.tq.is_synchronised and likely else None

    def mono_s(self) -> float:
        return self._clock.now().mono_ns / 1e9

    def wait(self, seconds: float) -> None:
        self._clock.wait_until(self._clock.now().mono_ns + int(seconds * 1e9))

    def note_server_time(self, moment: datetime) -> None:
        """The clock of the server, seen over a connection that was verified. What cannot be is
        ignored.
        """
        if moment <= self._built + 2 * HORIZON:
            self._stated = moment, self.mono_s()

    def estimate(self) -> datetime | None:
        """The time for planning: ours, else the server's; None when neither is known."""
        now = self.wall()
        if now is None and self._stated is not None:
            moment, at_s = self._stated
            now = moment + timedelta(seconds=self.mono_s() - at_s)
        return now

    def raise_floor(self, moment: datetime) -> None:
        """A verified certificate is from this moment. What cannot be is ignored."""
        if self.floor < moment <= self._built + 2 * HORIZON:
            kept = self._kept()
            self.floor = moment
            if (kept is None or moment - kept >= FLOOR_STEP) and self._path.parent.is_dir():
                atomicwrite.replace_file(self._path, str(int(moment.timestamp())).encode())

    def validity_problem(self, first: datetime, last: datetime) -> str | None:
        """Why a certificate of these dates cannot be valid now; None when it may be."""
        now = self.wall()
        if now is not None and now + GRACE < first:
            return f"is valid from {first:%Y-%m-%d} on"
        if (now or self.floor) > last:
            return f"has expired on {last:%Y-%m-%d}"
        return None

    def _kept(self) -> datetime | None:
        try:
            data = read_file(self._path, 32)
            return None if data is None else datetime.fromtimestamp(int(data), UTC)
        except (OSError, ValueError, OverflowError):
            return None  # a damaged floor is no floor
