"""The last configuration that ran well: what runs when a new one has failed.

In the state folder lie `last_good.toml`, the exact bytes of a site file that ran well for five
minutes (`edge.gateway.trialwatch` judges that), and `start_history`: how many starts with which
file did not become good. A start counts before it reads its file, and a start that is stopped in
order does not count. After FAILED_STARTS_LIMIT starts with the same bytes `last_good.toml` runs, if
it is another one and can be used; the file is tried again when its bytes have changed, when it was
refused and is not any more (a newer Kerbstone), or after a day: by a wall clock that can be right,
or of one process's own running.

The state folder cannot come from `store.dir`: a broken file names no folder. It is what systemd
says (StateDirectory=, in $STATE_DIRECTORY) or `run --state`; where neither names one nobody
supervises us, nothing restarts us, and there is no crash loop to end. A person at a terminal gets
the errors at once, and no other configuration than his own.

That is for a file that somebody has edited by hand. One that was changed as a transaction
(`kerbstone config apply`, or a signed one) is on trial (`edge.gateway.trialstate`): its first bad
start is its last, the last good one runs in the very same start, and it is not tried again.

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
from typing import Final

import drivers
from edge.config import Site, load_site
from edge.core import ConfigError
from edge.core.release import RELEASED_NS
from edge.durable.atomicwrite import replace_file
from edge.durable.checkedline import add_checksum, remove_checksum
from edge.durable.readfile import read_beginning
from edge.gateway.applymark import read_apply_mark
from edge.gateway.trialstate import (
    ConfigTrials,
    TrialMoment,
    TrialNotKeptError,
    TrialReason,
    WorkingParts,
)
from edge.gateway.wiring import Wiring

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
FALLBACK_TEXT: Final = "{} is not used: {}; the last good configuration runs"
GOOD_NOT_KEPT_TEXT: Final = "it has run well, and that cannot be kept on the card ({})"
UNSTEADY_TEXT: Final = "in {} starts with this file the daemon never ran well for five minutes"
GOOD_NS: Final = 300_000_000_000  # of good health in a row
LOOK_NS: Final = 10_000_000_000
NETWORKS: Final = Path("/sys/class/net")


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
        *,
        handed: bool = False,
        boot: str = "",
    ) -> None:
        """`handed`: systemd hands over a signed file, so whatever it is has come as a transaction.
        `boot` names this boot of the machine."""
        self._folder, self._file, self._load, self._use = folder, file, load, use
        self._handed, self._boot, self.trials = handed, boot, ConfigTrials(folder)
        self._before = StartHistory()
        self._now = StartHistory()
        self._bytes = b""
        self._looked = ""  # digest of what was last found not to be worth a try
        self._good = False
        self.fallback = ""  # why the last good configuration runs in place of the file

    def choose(self, wall_s: int, mono_ns: int = 0) -> Site:
        """Count this start, then say what runs. Raises ConfigError for a file that is refused."""
        self.trials.read()
        self._bytes = _read_limited(self._file, LIMIT)
        digest = file_digest(self._bytes)
        found = StartHistory.parse(_read_limited(self._folder / STARTS_NAME, 256))
        self._before = found if found.digest == digest else StartHistory(0, digest)
        self._write(replace(self._before, count=min(self._before.count + 1, MOST)))
        if self._handed and self._bytes:  # its number grows: what comes after it is signed anew
            self.trials.forget_others(digest)
        not_kept = self._take_applied(digest)
        if not_kept and (good := self._last()) is not None:
            return self._fall_back(good, not_kept)
        transaction = self._is_transaction(digest)
        if self._bytes and (not transaction or self.trials.rejected(digest) is not None):
            self.trials.leave(digest)
        if transaction and (good := self._last()) is not None:
            return self._choose_tried(good, digest, TrialMoment(self._boot, mono_ns, wall_s))
        good = self._last() if self._before.count >= FAILED_STARTS_LIMIT else None
        why = None if good is None else self._against(wall_s)
        if good is not None and why is not None:
            return self._fall_back(good, why)
        try:
            return self._load(self._file)
        except ConfigError:
            self.refused()
            raise

    def _take_applied(self, digest: str) -> str:
        """It was applied while no daemon ran: this start is its trial, if there is another one.
        Gives why the trial cannot be kept, or ""."""
        mark = read_apply_mark(self._file)
        if mark is None or mark.digest != digest or mark.word == self.trials.state.applied:
            return ""
        if self.good_bytes() not in (b"", self._bytes):
            try:
                self.trials.open(digest, applied=mark.word)
            except TrialNotKeptError as error:
                return str(error)
        return ""

    def _is_transaction(self, digest: str) -> bool:
        """It is on trial, was rolled back, or has come signed and is another one than ran well."""
        trials = self.trials
        if self._bytes == _read_limited(self._folder / GOOD_NAME, LIMIT):
            if trials.on_trial(digest) is not None:  # killed when it had become good
                with suppress(TrialNotKeptError):  # then it becomes good once more
                    trials.confirm(digest, 0)
            return False
        known = trials.on_trial(digest) is not None or trials.rejected(digest) is not None
        return known or self._handed

    def _choose_tried(self, good: Site, digest: str, now: TrialMoment) -> Site:
        if (found := self.trials.rejected(digest)) is not None:
            return self._fall_back(good, found.text)
        try:
            if why := self.trials.begin(digest, now):
                return self._roll_back(good, digest, "bad_start", why, now.wall_s)
        except TrialNotKeptError as error:
            return self._fall_back(good, str(error))
        try:
            return self._use(self._file)
        except ConfigError as error:
            return self._roll_back(good, digest, "refused", _short(error), now.wall_s)

    def _roll_back(
        self, good: Site, digest: str, reason: TrialReason, why: str, wall_s: int
    ) -> Site:
        self.trials.reject(digest, reason, why, wall_s)
        return self._fall_back(good, why)

    def _fall_back(self, good: Site, why: str) -> Site:
        self.fallback = FALLBACK_TEXT.format(self._file, why)
        LOG.error("%s", self.fallback)
        return good

    def refused(self, why: str = "", wall_s: int = 0) -> None:
        """This start ends because of what is in the file."""
        self._write(replace(self._now, refused=True))
        if self.trials.on_trial(self._now.digest) is not None:
            self.trials.reject(self._now.digest, "refused", why, wall_s)

    def is_good(self, wall_s: int = 0) -> str:
        """It has run well for long enough: this file is the last good one. Why that cannot be kept
        on the card, or "": then it need not be called again for this file."""
        self._good = True
        if self.fallback:
            return ""
        if self._bytes != _read_limited(self._file, LIMIT):
            return ""  # edited since: nobody knows for certain which of the two was read
        try:
            if self._bytes != _read_limited(self._folder / GOOD_NAME, LIMIT):
                self._replace(GOOD_NAME, self._bytes)
            if self.trials.on_trial(self._now.digest) is not None:
                self.trials.confirm(self._now.digest, wall_s)
        except OSError as error:
            return GOOD_NOT_KEPT_TEXT.format(f"{self._folder / GOOD_NAME}: {error.strerror}")
        except TrialNotKeptError as error:
            return str(error)
        self._write(StartHistory(0, self._now.digest))
        return ""

    def stopped(self, worked: WorkingParts | None = None) -> None:
        """It was asked to end, or could not begin for no fault of the file: no bad start.

        `worked`: what could be read at the end, of a process that has come so far.
        """
        runs_good = bool(self.fallback) or self._bytes == self.good_bytes()
        parts = worked if runs_good else None
        if not self.trials.pause(parts):  # on a full disk the less important one makes room
            with suppress(OSError):
                (self._folder / STARTS_NAME).unlink(missing_ok=True)
            self.trials.pause(parts)
        if not self._good and not self.fallback:
            self._write(self._before)

    # -- for a process that changes its configuration while it runs --------------------------------

    @property
    def file(self) -> Path:
        """The site file."""
        return self._file

    @property
    def digest(self) -> str:
        """Of the bytes that were read last, whether they run or the last good one does."""
        return self._now.digest

    def present(self) -> bytes:
        """The site file as it lies there now; b"" when it cannot be read."""
        return _read_limited(self._file, LIMIT)

    def good_bytes(self) -> bytes:
        """The last good one; b"" for none."""
        return _read_limited(self._folder / GOOD_NAME, LIMIT)

    def is_last_good(self, digest: str) -> bool:
        """Whether the file with this digest is the last good one."""
        good = self.good_bytes()
        return bool(good) and file_digest(good) == digest

    def good_site(self) -> Site | None:
        """The last good one, when it can be used."""
        if not self.good_bytes():
            return None
        try:
            return self._use(self._folder / GOOD_NAME)
        except Exception as error:  # noqa: BLE001  as in `_last`
            LOG.warning("the last good configuration cannot be used: %s", _short(error))
            return None

    def taken(self, data: bytes) -> None:
        """These bytes of the file run from now on, in this process."""
        self._bytes, self._good, self.fallback = data, False, ""
        self._before = StartHistory(0, file_digest(data))
        self._write(StartHistory(1, file_digest(data)))

    def returned(self, why: str) -> None:
        """The last good one runs again, in this process."""
        self.fallback = FALLBACK_TEXT.format(self._file, why)

    def mended(self) -> bool:
        """Whether the file is the last good one again, byte by byte: then nothing has to be tried,
        and what runs is the file."""
        data = self.present()
        if not self.fallback or not data or data != self.good_bytes():
            return False
        self._bytes, self._good, self.fallback = data, True, ""
        self._before = StartHistory(0, file_digest(data))
        self._write(self._before)
        return True

    def worth_a_try(self, wall_s: int, ran_s: float) -> bool:
        """Of a process that has run the last good one for `ran_s`: whether to try the file now."""
        data = _read_limited(self._file, LIMIT)
        changed = file_digest(data) not in (self._now.digest, self._looked)
        if not changed and ran_s < AGAIN_S:
            return False
        if self.trials.rejected(file_digest(data)) is not None:
            return False  # it had its trial
        self._looked = file_digest(data)
        try:
            self._use(self._file)
        except ConfigError:
            return False
        if file_digest(data) == self._now.digest:  # the next start shall see that its day has come
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
        """A disk that is ill leaves the old one."""
        self._now = starts
        try:
            self._replace(STARTS_NAME, starts.packed())
        except OSError as error:
            LOG.warning("%s cannot be written: %s", self._folder / STARTS_NAME, error.strerror)

    def _replace(self, name: str, data: bytes) -> None:
        """A power cut leaves the old file or the new one. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._folder / name, data)


def _read_limited(path: Path, limit: int) -> bytes:
    """The beginning of a file; b"" when it cannot be read, or is none."""
    with suppress(OSError):
        return read_beginning(path, limit)
    return b""


def file_digest(data: bytes) -> str:
    """SHA-256 of a site file, in hex: by it a transaction knows the file."""
    return hashlib.sha256(data).hexdigest()


def _short(error: Exception) -> str:
    """The first finding, with its file and line."""
    lines = str(error).splitlines() or [error.__class__.__name__]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return lines[0][:LONGEST] + more


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
