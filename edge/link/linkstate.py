"""What must outlive a reboot: the age of the box, the last reboot ordered, bytes, unreported steps.

The age is the sum of all uptimes (CLOCK_BOOTTIME), distinguished by the kernel's boot id. It never
asks the wall clock, and only ever lags: a day by it is at least a day. A new one begins as if a
reboot had just been ordered: a disk that forgets costs reboots, and never causes a loop of them.
"""

import contextlib
import logging
import zlib
from pathlib import Path
from typing import Final

import msgspec

from edge.core import Clock
from edge.durable.atomicwrite import hidden_name, replace_file
from edge.link.budget import Counter, Month
from edge.link.ladder import LadderStep

DAY_S: Final = 86400.0
SAVE_S: Final = 1800.0  # a power cut costs so much of the age and of the count of bytes
UNREPORTED_LIMIT: Final = 20

log = logging.getLogger(__name__)


class TakenStep(msgspec.Struct, frozen=True):
    """A step that was taken, for the daemon. `age_s` and `boots` say when, without a clock."""

    step: LadderStep
    why: str
    result: str
    boots: int
    age_s: float


class LinkState(msgspec.Struct, kw_only=True):
    """One per box. `age_s` is how long it has lived, over all boots."""

    boot: str = ""
    boots: int = 0
    age_s: float = 0.0
    mono_s: float = 0.0  # of that boot, when `age_s` was right
    rebooted_s: float = 0.0  # the age at the last reboot ordered
    months: tuple[Month, ...] = ()
    counters: dict[str, Counter] = {}
    unreported: tuple[TakenStep, ...] = ()
    unreported_lost: int = 0  # steps that were never reported, there were too many

    def tick(self, mono_s: float) -> None:
        """The box is older now."""
        self.age_s += max(0.0, mono_s - self.mono_s)
        self.mono_s = mono_s

    @property
    def may_reboot(self) -> bool:
        return self.age_s - self.rebooted_s >= DAY_S

    def record_step(self, step: LadderStep, why: str, result: str) -> None:
        """For the daemon, whenever it runs."""
        self.unreported = (
            *self.unreported,
            TakenStep(step, why, result, self.boots, round(self.age_s, 1)),
        )
        self.unreported_lost += max(0, len(self.unreported) - UNREPORTED_LIMIT)
        self.unreported = self.unreported[-UNREPORTED_LIMIT:]


class LinkStateFile:
    """The file of the link state: a checksum, a line of JSON."""

    def __init__(self, path: Path, boot: str, clock: Clock) -> None:
        self._path, self._boot, self._clock = path, boot, clock
        self._saved_s = 0.0
        self.failure = ""  # why it could not be written last time

    def load(self) -> LinkState:
        """The link state, with this boot counted. A damaged file is put aside and said."""
        found = self._read()
        now_s = self._clock.now().mono_ns / 1e9
        if found.boot != self._boot:
            found.boot, found.boots, found.mono_s = self._boot, found.boots + 1, 0.0
            found.counters = {}
        found.tick(now_s)
        self.save(found)
        return found

    def save(self, state: LinkState) -> bool:
        """Whether it is on the disk now. False must keep a reboot from happening."""
        body, new = msgspec.json.encode(state), hidden_name(self._path)
        try:
            replace_file(self._path, b"%08x\n%s\n" % (zlib.crc32(body), body), new=new)
        except OSError as error:
            if not self.failure:
                log.warning("the link state cannot be written, so nothing is rebooted: %s", error)
            self.failure = str(error)
            return False
        self.failure, self._saved_s = "", state.mono_s
        return True

    def save_if_due(self, state: LinkState) -> None:
        """Spare the card."""
        if state.mono_s - self._saved_s >= SAVE_S:
            self.save(state)

    def _read(self) -> LinkState:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return LinkState()
        except OSError as error:
            log.warning("the link state cannot be read, a new one begins: %s", error)
            return LinkState()
        try:
            check, body = raw[:-1].split(b"\n")
            if int(check, 16) != zlib.crc32(body):
                raise ValueError("its checksum is wrong")
            return msgspec.json.decode(body, type=LinkState)
        except ValueError as error:  # msgspec's errors are among them
            log.warning("%s is damaged, a new one begins: %s", self._path, error)
            with contextlib.suppress(OSError):
                self._path.replace(self._path.with_suffix(".damaged"))
            return LinkState()
