"""Whether a configuration on trial may stay: pure, fed with what is seen every few seconds.

It is asked what the change can have caused. A broker that nobody reaches, a modem that is dead or a
device that was not touched say nothing against a file, so they do not end its trial; and while they
last nothing speaks for it either, so it is not confirmed. Then the trial is *held*: it stays open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from edge.core.humanize import span_text

DEAF_NS: Final = (
    90_000_000_000  # without the broker, then it is looked whether the former one answers
)
BLIND_NS: Final = 60_000_000_000  # of failing in a row, of a device that was read before
DEAF_TEXT: Final = "{}: not connected to {} for {}, and {}, which the former one used, answers"
BLIND_TEXT: Final = "{}: {}, read before the change, {} not been read for {}: {}"
HELD_LINK: Final = "neither the broker of this configuration nor the former one can be reached"
HELD_CONNECT: Final = "the broker is not connected"
HELD_CARRIER: Final = "no network is plugged in, so nobody knows whether the broker can be reached"
HELD_HEALTH: Final = "not all parts work yet"


@dataclass(frozen=True, slots=True)
class TrialSight:
    """What is seen at one moment. `former_answers`: whether somebody listens where the former
    configuration's broker is; None: nobody has looked. `failures` to connect so far. `failing`:
    devices and lines that cannot be read now, with why."""

    now_ns: int
    connected: bool
    carrier: bool
    healthy: bool
    failing: Mapping[str, str] = field(default_factory=dict)
    former_answers: bool | None = None
    failures: int = 0
    broker: str = ""
    why: str = ""  # why there is no connection


@dataclass(frozen=True, slots=True)
class TrialFinding:
    """Why a trial ends badly. `blamed`: what cannot be read."""

    reason: Literal["deaf", "blind"]
    text: str
    blamed: tuple[str, ...] = ()


class TrialJudge:
    """One trial, in one process. `watched` is what was read before and the change touches.

    `uplink`: the change touches the way to the broker; `former` is where the former one lies, and
    `brokers` how many this configuration has.
    """

    def __init__(
        self,
        began_ns: int,
        *,
        uplink: bool,
        former: str,
        watched: frozenset[str],
        good_ns: int,
        brokers: int = 1,
    ) -> None:
        self._uplink, self._former, self._watched = uplink, former, watched
        self._good_ns, self._brokers = good_ns, brokers
        self._apart_ns = self._well_ns = began_ns  # last connected; last not well
        self._since_ns: dict[str, int] = {}  # when each began to fail
        self._answered: int | None = None  # failures when the former broker began to answer
        self._reached = False
        self.held = HELD_HEALTH

    def wants_probe(self, sight: TrialSight) -> bool:
        """It is time to look whether the former broker answers."""
        apart = not sight.connected and sight.now_ns - self._apart_ns >= DEAF_NS
        return self._uplink and sight.carrier and apart

    def look(self, sight: TrialSight) -> TrialFinding | None:
        """One look; a finding ends the trial."""
        if sight.connected:
            self._apart_ns, self._answered, self._reached = sight.now_ns, None, True
        elif sight.former_answers is False:
            self._answered = None
        elif sight.former_answers and self._answered is None:
            self._answered = sight.failures
        self._see_failing(sight)
        well = sight.healthy and self._hears(sight) and not self._since_ns
        self._well_ns = self._well_ns if well else sight.now_ns
        self.held = "" if well else self._why_held(sight)
        return self._deaf(sight) or self._blind(sight)

    def good(self, now_ns: int) -> bool:
        """It has been well for as long as it takes."""
        return now_ns - self._well_ns >= self._good_ns

    def left_s(self, now_ns: int) -> float:
        """Seconds of good health that are still to come."""
        return max(0.0, (self._good_ns - (now_ns - self._well_ns)) / 1e9)

    def _hears(self, sight: TrialSight) -> bool:
        """Enough is known of the link. Where the change does not touch it, a box without any
        network is as good as it was."""
        return sight.connected if self._uplink else self._reached or not sight.carrier

    def _see_failing(self, sight: TrialSight) -> None:
        failing = self._watched & sight.failing.keys()
        self._since_ns = {name: self._since_ns.get(name, sight.now_ns) for name in failing}

    def _why_held(self, sight: TrialSight) -> str:
        if not self._hears(sight):
            if not sight.carrier:
                return HELD_CARRIER
            return HELD_LINK if self._uplink and sight.former_answers is False else HELD_CONNECT
        if self._since_ns:
            return f"{', '.join(sorted(self._since_ns))} cannot be read"
        return HELD_HEALTH

    def _deaf(self, sight: TrialSight) -> TrialFinding | None:
        if not self._uplink or self._answered is None:
            return None
        # after an outage nobody is deaf who has not tried: one attempt may have been under way when
        # the former broker came back, and then each of ours has its turn
        if sight.failures - self._answered <= self._brokers:
            return None
        apart = span_text((sight.now_ns - self._apart_ns) / 1e9)
        text = DEAF_TEXT.format("deaf", sight.broker or "its broker", apart, self._former)
        return TrialFinding("deaf", f"{text}{f' ({sight.why})' if sight.why else ''}")

    def _blind(self, sight: TrialSight) -> TrialFinding | None:
        blind = sorted(
            name for name, at_ns in self._since_ns.items() if sight.now_ns - at_ns >= BLIND_NS
        )
        if not blind:
            return None
        for_s = (sight.now_ns - min(self._since_ns[name] for name in blind)) / 1e9
        names, has = ", ".join(blind[:8]), "has" if len(blind) == 1 else "have"
        why = sight.failing[blind[0]]
        text = BLIND_TEXT.format("blind", names, has, span_text(for_s), why)
        return TrialFinding("blind", text, tuple(blind))
