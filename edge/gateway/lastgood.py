"""The last configuration that ran well: what runs when a new one has failed three times.

In the state folder lie `last_good.toml`, the exact bytes of a site file that ran well for five
minutes (`watch_trial` judges that), and `start_history`: how many starts with which file did
not become good. A start counts before it reads its file, and a start that is stopped in order does
not count. After FAILED_STARTS_LIMIT starts with the same bytes `last_good.toml` runs, if it is
another one and can be used; the file is tried again when its bytes have changed, when it was
refused and is not any more (a newer Kerbstone), or after a day: by a wall clock that can be right,
or of one process's own running.

The state folder cannot come from `store.dir`: a broken file names no folder. It is what systemd
says (StateDirectory=, in $STATE_DIRECTORY) or `run --state`; where neither names one nobody
supervises us, nothing restarts us, and there is no crash loop to end. A person at a terminal gets
the errors at once, and no other configuration than his own.

Only the site file is kept. What it names (certificates, passwords, meter tables, models) is not:
when such a file is what broke, the last good configuration breaks with it. Damage to
`start_history` and `last_good.toml` never keeps a start from happening: they count as not there.
"""

import hashlib
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

import drivers
from edge.config import Site, load_site
from edge.core import AsyncClock, ConfigError
from edge.core.release import RELEASED_NS
from edge.durable.atomicwrite import replace_file
from edge.durable.checkedline import add_checksum, remove_checksum
from edge.durable.readfile import read_beginning
from edge.gateway.wiring import Wiring
from edge.wire.contract.boxevent import AlarmKind

LOG: Final = logging.getLogger("kerbstone")

GOOD_NAME: Final = "last_good.toml"
STARTS_NAME: Final = "start_history"
FAILED_STARTS_LIMIT: Final = 3  # starts with the same file that did not become good
MOST: Final = 1_000_000  # counted
AGAIN_S: Final = 86_400  # then a file that failed is tried once more
EARLIEST_CLOCK_S: Final = (
    RELEASED_NS // 1_000_000_000
)  # a wall clock before it (a boot in 1970) is no time
DUE: Final = 1  # in place of a time: the day of the next try has come
LIMIT: Final = 128 * 1024 + 1  # bytes read of a site file; a longer one is refused by its parser
LONGEST: Final = 300  # characters of a reason
UNSTEADY_TEXT: Final = "in {} starts with this file the daemon never ran well for five minutes"
GOOD_NS: Final = 300_000_000_000  # of good health in a row
LOOK_NS: Final = 10_000_000_000
NETWORKS: Final = Path("/sys/class/net")
PROBLEM_KIND: Final = "configuration"  # of the event, and the name of the problem


@dataclass(frozen=True, slots=True)
class StartHistory:
    """What the starts before this one came to."""

    count: int = 0  # bad ones in a row, with the file that has this digest
    digest: str = ""
    refused: bool = False  # the file was refused, and did not just fail
    since_s: int = 0  # wall time of the last attempt at a file that failed so often; 0: not known

    @classmethod
    def parse(cls, data: bytes) -> "StartHistory":
        """What was written; nothing when it is damaged."""
        try:
            line = remove_checksum(data.decode("ascii").rstrip("\n"))
            count, digest, refused, since = line.split(" ")
            return cls(min(max(0, int(count)), MOST), digest, refused == "1", int(since))
        except ValueError:
            return cls()

    def packed(self) -> bytes:
        line = f"{self.count} {self.digest} {int(self.refused)} {self.since_s}"
        return f"{add_checksum(line)}\n".encode()


def read_site(file: Path) -> Site:
    """The site of a file. Raises ConfigError."""
    return load_site(file, drivers.catalogue())


def load_usable_site(file: Path) -> Site:
    """The site of a file that a daemon can be built of. Raises ConfigError."""
    site = read_site(file)
    Wiring.of(site).pipeline()
    return site


class LastGood:
    """One start with one site file, and what is remembered of it."""

    def __init__(
        self,
        folder: Path,
        file: Path,
        load: Callable[[Path], Site] = read_site,
        use: Callable[[Path], Site] = load_usable_site,
    ) -> None:
        self._folder, self._file, self._load, self._use = folder, file, load, use
        self._before = StartHistory()
        self._now = StartHistory()
        self._bytes = b""
        self._looked = ""  # digest of what was last found not to be worth a try
        self._good = False
        self.fallback = ""  # why the last good configuration runs in place of the file

    def choose(self, wall_s: int) -> Site:
        """Count this start, then say what runs. Raises ConfigError for a file that is refused."""
        self._bytes = _read_limited(self._file, LIMIT)
        digest = _digest(self._bytes)
        found = StartHistory.parse(_read_limited(self._folder / STARTS_NAME, 256))
        self._before = found if found.digest == digest else StartHistory(0, digest)
        self._write(replace(self._before, count=min(self._before.count + 1, MOST)))
        good = self._last() if self._before.count >= FAILED_STARTS_LIMIT else None
        why = None if good is None else self._against(wall_s)
        if good is not None and why is not None:
            self.fallback = f"{self._file} is not used: {why}; the last good configuration runs"
            LOG.error("%s", self.fallback)
            return good
        try:
            return self._load(self._file)
        except ConfigError:
            self.refused()
            raise

    def refused(self) -> None:
        """This start ends because of what is in the file."""
        self._write(replace(self._now, refused=True))

    def is_good(self) -> None:
        """It has run well for long enough: this file is the last good one. Call it once."""
        self._good = True
        if self.fallback:
            return
        if self._bytes != _read_limited(self._file, LIMIT):
            return  # edited since: nobody knows for certain which of the two was read
        if self._bytes != _read_limited(self._folder / GOOD_NAME, LIMIT):
            self._replace(GOOD_NAME, self._bytes)
        self._write(StartHistory(0, self._now.digest))

    def stopped(self) -> None:
        """It was asked to end, or could not begin for no fault of the file: no bad start."""
        if not self._good and not self.fallback:
            self._write(self._before)

    def worth_a_try(self, wall_s: int, ran_s: float) -> bool:
        """Of a process that has run the last good one for `ran_s`: whether to try the file now."""
        data = _read_limited(self._file, LIMIT)
        changed = _digest(data) not in (self._now.digest, self._looked)
        if not changed and ran_s < AGAIN_S:
            return False
        self._looked = _digest(data)
        try:
            self._use(self._file)
        except ConfigError:
            return False
        if _digest(data) == self._now.digest:  # the next start shall see that its day has come
            self._write(replace(self._now, since_s=DUE))
        return True

    # --------------------------------------------------------------------------------------------

    def _last(self) -> Site | None:
        """The last good configuration, when it is another one and can be used."""
        file = self._folder / GOOD_NAME
        data = _read_limited(file, LIMIT)
        if not data or data == self._bytes:
            return None
        try:
            return self._use(file)
        except Exception as error:  # noqa: BLE001  whatever is in it: the start goes on without it
            LOG.warning("the last good configuration cannot be used: %s", _short(error))
            return None

    def _against(self, wall_s: int) -> str | None:
        """Why a file that has failed so often is not tried now; None when it is."""
        before, known_s = self._before, wall_s if wall_s >= EARLIEST_CLOCK_S else 0
        try:
            self._use(self._file)
        except ConfigError as error:
            why = _short(error)
        else:
            if before.refused:  # it is accepted now
                self._before = StartHistory(0, before.digest)
                self._write(StartHistory(1, before.digest))
                return None
            why = UNSTEADY_TEXT.format(before.count if before.count < MOST else "many")
            if before.since_s == DUE or (
                before.since_s >= EARLIEST_CLOCK_S and wall_s - before.since_s >= AGAIN_S
            ):
                self._write(replace(self._now, since_s=known_s))
                return None
        # the day begins when the time is known; without a clock only `worth_a_try` ends it
        self._write(replace(self._now, since_s=before.since_s or known_s))
        return why

    def _write(self, starts: StartHistory) -> None:
        self._now = starts
        self._replace(STARTS_NAME, starts.packed())

    def _replace(self, name: str, data: bytes) -> None:
        """A power cut leaves the old file or the new one; a disk that is ill leaves the old one."""
        path = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_file(path, data)
        except OSError as error:
            LOG.warning("%s cannot be written: %s", path, error.strerror)


def _read_limited(path: Path, limit: int) -> bytes:
    """The beginning of a file; b"" when it cannot be read, or is none."""
    with suppress(OSError):
        return read_beginning(path, limit)
    return b""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _short(error: Exception) -> str:
    """The first finding, with its file and line."""
    lines = str(error).splitlines() or [error.__class__.__name__]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return lines[0][:LONGEST] + more


class TriedGateway(Protocol):
    """What runs with a configuration. `healthy`: each part has worked, and none is overdue."""

    @property
    def connected(self) -> bool: ...
    def healthy(self, now_ns: int) -> bool: ...
    def announce(self, kind: AlarmKind, text: str) -> None: ...


class TriedDaemon(Protocol):
    """A daemon on trial. `gateway` None: it has not come that far."""

    @property
    def gateway(self) -> TriedGateway | None: ...
    def stop(self) -> None: ...


async def watch_trial(daemon: TriedDaemon, last_good: LastGood, clock: AsyncClock) -> None:
    """Until the configuration is known to be good; of the last good one, until the other is tried.

    Good health: each owner (buses, committer, sender) has worked and none is overdue, and the
    broker was reached, or could not be because no network is plugged in. A daemon that can do all
    but reach its broker is no bad start, and no good one: its URL may be what is wrong.
    """
    begun_ns = healthy_ns = clock.now().mono_ns
    reached = announced = False
    while True:
        now = clock.now()
        gateway = daemon.gateway
        if gateway is not None:
            if last_good.fallback and not announced:
                announced = True
                gateway.announce(PROBLEM_KIND, last_good.fallback)  # loudly
            reached = reached or gateway.connected or not has_carrier()
            fine = gateway.healthy(now.mono_ns)
            healthy_ns = healthy_ns if fine and reached else now.mono_ns
        else:
            healthy_ns = now.mono_ns
        if now.mono_ns - healthy_ns >= GOOD_NS and not last_good.fallback:
            last_good.is_good()
            return
        if last_good.fallback and last_good.worth_a_try(
            now.wall_ns // 1_000_000_000, (now.mono_ns - begun_ns) / 1e9
        ):
            LOG.warning("the configuration that failed is tried again")
            daemon.stop()
            return
        await clock.sleep_until(now.mono_ns + LOOK_NS)


def has_carrier(networks: Path = NETWORKS) -> bool:
    """Whether any network but this machine's own has a carrier. When in doubt, it has."""
    try:
        found = [path for path in networks.iterdir() if path.name != "lo"]
    except OSError:
        return True
    return any(_carrier(path / "carrier") for path in found)


def _carrier(file: Path) -> bool:
    try:
        return file.read_text(encoding="ascii").strip() == "1"
    except (OSError, ValueError):  # EINVAL: it is switched off
        return False
