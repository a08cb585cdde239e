"""Sensirion's modules that measure by themselves: the way from start to a value, status, health.

Source: Sensirion SEN5x, SEN6x, SPS30 and SCD4x datasheets, sections on I2C commands and the
device status register; drivers Sensirion/embedded-sps, embedded-i2c-sen5x, embedded-i2c-sen66 and
embedded-i2c-scd4x.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from drivers.chips._sensirion import serial_number
from drivers.chips._sensirion_profile import (
    CLEAR,
    STATUS,
    ZERO_READS,
    Profile,
    StaleLimits,
    apply_status,
    is_ready,
    mark_warming,
    status,
)
from edge.core import Bad, BusError, Condition, DataError, I2cBus, Reason, Sample

SETTLE_READS: Final = 30  # all need up to 30 s at low concentrations, and bring a value a second
STATUS_EVERY: Final = 10  # samples; a fan does not break more often than that
# our second and the module's drift, so it may be late by a little: asked 5 times in a tenth
ASKS: Final = 5
ASKS_S: Final = 0.025


@dataclass(slots=True)
class Module:
    """A module that measures on its own once started, and says when it has a new sample.

    Nothing new is bad:stale (before the first sample bad:warmup). A module that lost power refuses
    (BusError) or has nothing new; both lead to `open`, which starts it again. One that was only
    disturbed refuses the start and goes on as before.
    """

    profile: ClassVar[Profile]
    address: ClassVar[int]

    bus: I2cBus
    _identity: str = field(default="", init=False, repr=False)
    _running: bool = field(default=False, init=False, repr=False)
    _fresh: int = field(default=0, init=False, repr=False)  # samples since the start
    _silence: StaleLimits = field(default_factory=StaleLimits, init=False, repr=False)
    _status: int = field(default=0, init=False, repr=False)
    _status_due: bool = field(default=True, init=False, repr=False)
    _status_known: bool = field(default=False, init=False, repr=False)  # since it was opened
    _unset: bool = field(default=False, init=False, repr=False)  # it did not take its settings

    async def open(self) -> None:
        """Start measuring. Raises BusError when the module is not there."""
        await self._come_to_rest()
        named = self._named_first()
        if named:
            await self._name()
        taken = [await self._takes(setting) for setting in self._settings()]
        await self._teach()
        try:
            await self._send(self._start(), self.profile.start_s)
        except BusError:
            # it refuses a start while it measures; if it is that, it answers this
            await self._ready()
        else:
            self._fresh, self._silence, self._unset = 0, StaleLimits(), not all(taken)
            self._began()
        self._status_due, self._status_known = True, False
        self._running = True
        if not named:
            await self._name()  # after the start, so that it measures in step with the polls

    async def read(self) -> tuple[Sample, ...]:
        """One sample a point. Raises BusError, and DataError for an answer that cannot be."""
        try:
            return await self._read()
        except BusError:
            self._running = False  # let it measure: if it only was disturbed, it stays settled
            raise

    async def close(self) -> None:
        """Stop measuring, which spares fan and laser. Always safe.

        Before its first sample it is left running: who polls faster than it measures, and opens
        anew when nothing comes, would never see one.
        """
        running, self._running = self._running, False
        if not running or not self._fresh:
            return
        with suppress(BusError):  # it may be gone, and measures no more than we do
            await self._send(self.profile.stop, self.profile.stop_s)

    @property
    def identity(self) -> str:
        """Its serial number; "" until it is read."""
        return self._identity

    @property
    def health(self) -> Mapping[Condition, str]:
        """What its status register said when it was asked last, and whether it warms up."""
        found: dict[Condition, str] = {}
        for flag in self.profile.flags:
            if flag.text and self._status >> flag.bit & 1:
                before = found.get(flag.condition)
                found[flag.condition] = f"{before}; {flag.text}" if before else flag.text
        if self._unset:
            found[Condition.SETTINGS] = "it did not accept its settings, and measures without them"
        if self._running and self._fresh <= self._settles_after():
            found[Condition.WARMUP] = "warming up after the start"
        return {**found, **self._doing()}

    # --- what a module may do in its own way ---------------------------------------------------

    async def _come_to_rest(self) -> None:
        """Before everything else in `open`: for those that refuse all else while measuring."""

    def _named_first(self) -> bool:
        """Whether its serial number is needed before the start, or not told after it."""
        return False

    def _settings(self) -> Sequence[bytes]:
        """Commands that are given before a start."""
        return ()

    async def _teach(self) -> None:
        """Before a start: what its algorithm had learnt."""

    def _start(self) -> bytes:
        return self.profile.start[0]

    def _began(self) -> None:
        """It took the start, so it did not measure before."""

    def _settles_after(self) -> int:
        """So many fresh samples after a start are in doubt."""
        return 0

    async def _learn(self) -> None:
        """After each fresh sample."""

    def _doing(self) -> Mapping[Condition, str]:
        """What goes on in it of which its status register does not speak."""
        return {}

    # --- one reading ---------------------------------------------------------------------------

    async def _read(self) -> tuple[Sample, ...]:
        profile = self.profile
        if not await self._has_news():
            self._silence.reads += 1
            if self._fresh:
                await self._ask_status()  # its fan may be cleaning itself
            nothing = Bad(Reason.STALE if self._fresh else Reason.WARMUP)
            return (nothing,) * len(profile.points)
        if self._status_due or self._fresh % STATUS_EVERY == 0:
            await self._ask_status()
        settled = self._fresh >= self._settles_after()
        samples = profile.decode(
            await self._ask(profile.read, profile.read_bytes),
            Reason.STALE if settled else Reason.WARMUP,
        )
        if self._fresh < max(self._settles_after(), ZERO_READS):
            samples = mark_warming(profile.points, profile.settling, samples)
        self._fresh += 1
        self._silence.broken()
        await self._learn()
        judged_samples = apply_status(profile, samples, self._status, settled)
        # a part that gives nothing any more may have said why
        self._status_due |= Bad(Reason.STALE) in judged_samples
        return judged_samples

    async def _name(self) -> None:
        number = await serial_number(self.bus, self.address, self.profile.serial)
        self._identity = number or self._identity

    async def _has_news(self) -> bool:
        for ask in range(ASKS):
            if await self._ready(ASKS_S if ask else 0.0):
                return True
        return False

    async def _ready(self, wait_s: float = 0.0) -> bool:
        return is_ready(self.profile, await self._ask(self.profile.ready, 3, wait_s))

    async def _ask_status(self) -> None:
        """What it says of itself. A damaged answer costs no values, and is asked for again.

        Raises DataError for one all the same while nothing is known: they may be worth nothing.
        """
        self._status_due = False
        if not self.profile.flags:
            return
        with suppress(BusError):  # an SPS30 with firmware before 2.2 has no such register
            try:
                self._status = status(await self._ask(STATUS, 6))
            except DataError:
                self._status_due = True
                if not self._status_known:
                    raise
                return
            self._status_known = True
            if any(self._status >> flag.bit & 1 for flag in self.profile.flags):
                # so that the next answer speaks of what comes, not of what was
                await self._send(CLEAR, self.profile.wait_s)

    async def _ask(self, command: bytes, count: int, wait_s: float = 0.0) -> bytes:
        return await self.bus.transfer(
            self.address, command, read=count, wait_s=max(wait_s, self.profile.wait_s)
        )

    async def _send(self, command: bytes, wait_s: float) -> None:
        await self.bus.transfer(self.address, command, wait_s=wait_s)

    async def _takes(self, setting: bytes) -> bool:
        try:
            await self._send(setting, self.profile.wait_s)
        except BusError:
            return False
        return True


@dataclass(slots=True)
class ParticleModule(Module):
    """A module with a fan and a laser, a sample a second.

    The first `settle_reads` fresh samples after a start are uncertain (warmup) where fan and laser
    matter. They are counted, not timed: at a poll a second they are seconds; for a slower poll say
    fewer.
    """

    settle_reads: Annotated[
        int,
        (0, 3600),
        "samples after a start in which the particle values are uncertain:warmup; set fewer for "
        "a poll slower than one a second",
    ] = SETTLE_READS

    def _settles_after(self) -> int:
        return self.settle_reads
