"""One look at the link, again and again: count, judge, act, report. Everything in it is given."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.model.link import Link as Options
from edge.core.boxfiles import OWN_SITE_FILE
from edge.durable.atomicwrite import hidden_name, replace_file
from edge.link import services
from edge.link.budget import (
    LEVEL_TEXTS,
    NET,
    add_bytes,
    bytes_since,
    month_label,
    month_used,
    read_carrier,
    read_counters,
    saver_level,
)
from edge.link.daemonclient import DaemonClient, DaemonReport
from edge.link.dbus import DBus, DBusError
from edge.link.ladder import DueStep, LadderStep, LinkCarrier, LinkObservation, RecoveryLadder
from edge.link.linkstate import LinkState, LinkStateFile
from edge.link.modempower import ModemPower
from edge.link.statusled import LedFacts, LedState, StatusLed, led_state

LOOK_S: Final = 30.0
REPEAT_S: Final = 600.0  # the daemon may have started anew and know nothing of the budget
FINE_CHARACTERS: Final = (
    200  # parts of the budget; so many bytes more are worth a write to the card
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchParts:
    """What a watch is made of."""

    options: Options
    kind: str  # of the network: ethernet, wifi, cellular
    ladder: RecoveryLadder
    state_file: LinkStateFile
    daemon: DaemonClient
    bus: DBus
    state: Path
    modem_power: ModemPower | None = None
    status_led: StatusLed | None = None
    commissioned: Sequence[Path] = (
        OWN_SITE_FILE,
        Path("/run/kerbstone-identity/enrolled"),
    )  # any of them
    net: Path = NET


def available_steps(
    options: Options, kind: str, modem_power: ModemPower | None
) -> Sequence[LadderStep]:
    """What this box can do, in order."""
    found: list[LadderStep] = ["reconnect"]
    if kind == "cellular":
        found.append("modem")
    if modem_power is not None:
        found.append("power")
    if options.reboot:
        found.append("reboot")
    return found


class LinkWatch:
    """Keeps the link state; `look` is called every LOOK_S with the time since boot."""

    def __init__(self, parts: WatchParts) -> None:
        self._parts = parts
        self.state: LinkState = parts.state_file.load()
        self._level = 0
        self._reported_s: float | None = None
        self._counted = 0  # bytes since the link state was last saved for them
        self._last: dict[str, object] = {}
        self._access_point = False
        self._shown: LedState | None = None

    def look(self, mono_s: float) -> None:
        parts, state = self._parts, self.state
        state.tick(mono_s)
        reach = parts.daemon.report()
        self._count(reach, mono_s)
        link = self._link()
        if (
            due := parts.ladder.look(LinkObservation(mono_s, link, reach.broker), state.may_reboot)
        ) is not None:
            self._act(due)
        if state.unreported and self._report_steps():
            parts.state_file.save(state)  # else it would be reported again after a reboot
        self._update_led(reach, link)
        parts.state_file.save_if_due(state)

    def show_access_point(self, opened: bool) -> None:
        """On the LED, instead of all else: somebody stands there. Cheap; called each second."""
        if opened == self._access_point:
            return
        self._access_point = opened
        if self._parts.status_led is not None and self._shown is not None:
            self._parts.status_led.set_state("access_point" if opened else self._shown)

    def close(self) -> None:
        self._parts.state_file.save(self.state)

    def _report_steps(self) -> bool:
        """Whether the daemon took any of the steps that it does not know yet."""
        before = self.state.unreported
        while self.state.unreported and self._parts.daemon.report_step(self.state.unreported[0]):
            self.state.unreported = self.state.unreported[1:]
        return before != self.state.unreported

    def _link(self) -> LinkCarrier:
        """Only a cable says for certain that it is not there; a radio or a modem may be stuck."""
        parts = self._parts
        carrier_state = read_carrier(parts.options.names(parts.kind), parts.net)
        if parts.kind == "ethernet" and carrier_state is False:
            return "no_carrier"
        try:
            return "up" if services.is_up(parts.bus) else "down"
        except DBusError:  # no NetworkManager: the kernel's word must do
            return "up" if carrier_state else "down"

    def _count(self, report: DaemonReport, mono_s: float) -> None:
        parts, state, options = self._parts, self.state, self._parts.options
        new = read_counters(options.names(parts.kind), parts.net)
        delta = bytes_since(state.counters, new)
        state.counters = {**state.counters, **new}
        known = None if report.wall_s is None else month_label(report.wall_s, options.billing_day)
        state.months = add_bytes(state.months, delta, known, state.age_s)
        month, bytes_ = state.months[-1].label, month_used(state.months)
        found = saver_level(bytes_, options.budget)
        self._counted += delta
        if options.budget and self._counted * FINE_CHARACTERS >= options.budget:
            self._counted = 0
            parts.state_file.save(state)
        changed = found != self._level
        if changed:
            self._level = found
            text = "%s (%d of %d bytes, month %s)"
            log.warning(text, LEVEL_TEXTS[found], bytes_, options.budget, month or "unknown")
        if changed or self._reported_s is None or mono_s - self._reported_s >= REPEAT_S:
            accepted = parts.daemon.set_saver_level(
                found, LEVEL_TEXTS[found], bytes_, options.budget, month
            )
            self._reported_s = mono_s if accepted else None  # else again at the next look

    def _act(self, due: DueStep) -> None:
        state, parts = self.state, self._parts
        if due.step == "reboot":
            state.rebooted_s = state.age_s
            state.record_step(due.step, due.why, "ordered")
            if not parts.state_file.save(state):  # it would be done again and again
                due = DueStep(
                    "held", f"{due.why}; no reboot, because it could not be counted on the disk"
                )
                state.unreported = state.unreported[:-1]
        result = self._do(due.step)
        log.warning("%s: %s: %s", due.step, due.why, result)
        self._last = {"step": due.step, "why": due.why, "result": result, "age_s": state.age_s}
        if due.step != "reboot" or result.startswith("failed"):
            state.record_step(due.step, due.why, result)
            parts.state_file.save(state)

    def _do(self, step: LadderStep) -> str:
        bus, supply = self._parts.bus, self._parts.modem_power
        try:
            match step:
                case "reconnect":
                    return services.reconnect_profile(bus)
                case "modem":
                    return services.reset_modem(bus)
                case "power" if supply is not None:
                    return supply.power_cycle()
                case "reboot":
                    return services.reboot(bus)
        except (DBusError, OSError) as error:
            return f"failed: {error}"
        return "nothing to do"

    def _update_led(self, report: DaemonReport, link: LinkCarrier) -> None:
        parts, state, month = self._parts, self.state, self.state.months[-1]
        commissioned = any(path.exists() for path in parts.commissioned)
        shown = led_state(LedFacts(commissioned, report.broker, report.faulty))
        self._shown = shown
        if parts.status_led is not None:
            parts.status_led.set_state("access_point" if self._access_point else shown)
        found = {
            "v": 1,
            "status_led": shown,
            "link": link,
            "broker": report.broker,
            "away_s": round(parts.ladder.away_s, 1),
            "steps": parts.ladder.steps,
            "rung": parts.ladder.rung,
            "last": self._last or None,
            "untold": len(state.unreported),
            "lost": state.unreported_lost,
            "boots": state.boots,
            "age_s": round(state.age_s, 1),
            "link_state": parts.state_file.failure or "ok",
            "bytes": {
                "month": month.label or None,
                "used": month_used(state.months),
                "budget": parts.options.budget,
                "level": self._level,
                "says": LEVEL_TEXTS[self._level],
            },
        }
        try:
            data, new = json.dumps(found).encode() + b"\n", hidden_name(parts.state)
            replace_file(parts.state, data, 0o640, new=new, exact_mode=True, sync=False)
        except OSError as error:
            log.warning("the state cannot be written: %s", error)
