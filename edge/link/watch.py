"""One look at the link, again and again: count, judge, act, tell. Everything in it is given."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.model.link import Link as Options
from edge.core.places import OWN
from edge.link import services
from edge.link.budget import SAYS, account, label, level, moved, used
from edge.link.bus import Bus, BusFault
from edge.link.counters import NET, carrier, counters
from edge.link.ladder import Due, Ladder, Link, Seen, Step
from edge.link.lamp import Facts, Lamp, state
from edge.link.ledger import Book, Ledger
from edge.link.place import write
from edge.link.power import Supply
from edge.link.told import Daemon, Reach

LOOK_S: Final = 30.0
REPEAT_S: Final = 600.0  # the daemon may have started anew and know nothing of the budget
FINE: Final = 200  # parts of the budget; so many bytes more are worth a write to the card

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a watch is made of."""

    options: Options
    kind: str  # of the network: ethernet, wifi, cellular
    ladder: Ladder
    book: Book
    daemon: Daemon
    bus: Bus
    state: Path
    supply: Supply | None = None
    lamp: Lamp | None = None
    commissioned: Sequence[Path] = (OWN, Path("/run/kerbstone-identity/enrolled"))  # any of them
    net: Path = NET


def steps(options: Options, kind: str, supply: Supply | None) -> Sequence[Step]:
    """What this box can do, in order."""
    found: list[Step] = ["reconnect"]
    if kind == "cellular":
        found.append("modem")
    if supply is not None:
        found.append("power")
    if options.reboot:
        found.append("reboot")
    return found


class Watch:
    """Keeps the ledger; `look` is called every LOOK_S with the time since boot."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.ledger: Ledger = parts.book.open()
        self._level = 0
        self._told_s: float | None = None
        self._counted = 0  # bytes since the ledger was last saved for them
        self._last: dict[str, object] = {}

    def look(self, mono_s: float) -> None:
        parts, ledger = self._parts, self.ledger
        ledger.tick(mono_s)
        reach = parts.daemon.reach()
        self._count(reach, mono_s)
        link = self._link()
        if (
            due := parts.ladder.look(Seen(mono_s, link, reach.broker), ledger.may_reboot)
        ) is not None:
            self._act(due)
        if ledger.untold and self._tell():
            parts.book.save(ledger)  # else it would be told again after a reboot
        self._show(reach, link)
        parts.book.save_sometimes(ledger)

    def close(self) -> None:
        self._parts.book.save(self.ledger)

    def _tell(self) -> bool:
        """Whether the daemon took any of the steps that it does not know yet."""
        before = self.ledger.untold
        while self.ledger.untold and self._parts.daemon.step(self.ledger.untold[0]):
            self.ledger.untold = self.ledger.untold[1:]
        return before != self.ledger.untold

    def _link(self) -> Link:
        """Only a cable says for certain that it is not there; a radio or a modem may be stuck."""
        parts = self._parts
        carrier_state = carrier(parts.options.names(parts.kind), parts.net)
        if parts.kind == "ethernet" and carrier_state is False:
            return "no_carrier"
        try:
            return "up" if services.up(parts.bus) else "down"
        except BusFault:  # no NetworkManager: the kernel's word must do
            return "up" if carrier_state else "down"

    def _count(self, reach: Reach, mono_s: float) -> None:
        parts, ledger, options = self._parts, self.ledger, self._parts.options
        new = counters(options.names(parts.kind), parts.net)
        delta = moved(ledger.counters, new)
        ledger.counters = {**ledger.counters, **new}
        known = None if reach.wall_s is None else label(reach.wall_s, options.day)
        ledger.months = account(ledger.months, delta, known, ledger.age_s)
        month, bytes_ = ledger.months[-1].label, used(ledger.months)
        found = level(bytes_, options.budget)
        self._counted += delta
        if options.budget and self._counted * FINE >= options.budget:
            self._counted = 0
            parts.book.save(ledger)
        changed = found != self._level
        if changed:
            self._level = found
            text = "%s (%d of %d bytes, month %s)"
            log.warning(text, SAYS[found], bytes_, options.budget, month or "unknown")
        if changed or self._told_s is None or mono_s - self._told_s >= REPEAT_S:
            accepted = parts.daemon.thrift(found, SAYS[found], bytes_, options.budget, month)
            self._told_s = mono_s if accepted else None  # else again at the next look

    def _act(self, due: Due) -> None:
        ledger, parts = self.ledger, self._parts
        if due.step == "reboot":
            ledger.rebooted_s = ledger.age_s
            ledger.note(due.step, due.why, "ordered")
            if not parts.book.save(ledger):  # it would be done again and again
                due = Due("held", f"{due.why}; no reboot, for it could not be counted on the disk")
                ledger.untold = ledger.untold[:-1]
        result = self._do(due.step)
        log.warning("%s: %s: %s", due.step, due.why, result)
        self._last = {"step": due.step, "why": due.why, "result": result, "age_s": ledger.age_s}
        if due.step != "reboot" or result.startswith("failed"):
            ledger.note(due.step, due.why, result)
            parts.book.save(ledger)

    def _do(self, step: Step) -> str:
        bus, supply = self._parts.bus, self._parts.supply
        try:
            match step:
                case "reconnect":
                    return services.reconnect(bus)
                case "modem":
                    return services.reset_modem(bus)
                case "power" if supply is not None:
                    return supply.cycle()
                case "reboot":
                    return services.reboot(bus)
        except (BusFault, OSError) as error:
            return f"failed: {error}"
        return "nothing to do"

    def _show(self, reach: Reach, link: Link) -> None:
        parts, ledger, month = self._parts, self.ledger, self.ledger.months[-1]
        commissioned = any(path.exists() for path in parts.commissioned)
        shown = state(Facts(commissioned, reach.broker, reach.faulty))
        if parts.lamp is not None:
            parts.lamp.show(shown)
        found = {
            "v": 1,
            "lamp": shown,
            "link": link,
            "broker": reach.broker,
            "away_s": round(parts.ladder.away_s, 1),
            "steps": parts.ladder.steps,
            "rung": parts.ladder.rung,
            "last": self._last or None,
            "untold": len(ledger.untold),
            "lost": ledger.lost,
            "boots": ledger.boots,
            "age_s": round(ledger.age_s, 1),
            "ledger": parts.book.failure or "ok",
            "bytes": {
                "month": month.label or None,
                "used": used(ledger.months),
                "budget": parts.options.budget,
                "level": self._level,
                "says": SAYS[self._level],
            },
        }
        try:
            write(parts.state, json.dumps(found).encode() + b"\n", 0o640, sync=False)
        except OSError as error:
            log.warning("the state cannot be written: %s", error)
