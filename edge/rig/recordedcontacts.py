"""Contacts as a recording has them: of loops when somebody was over them, of others as they stood.

A source is `north_1.lead` for a loop, and the name of a device or a bay for any other contact.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from edge.config import GpioBus, Site

EVERY_CONTACT: Final = "*"


class LoopSpell(NamedTuple):
    """A recorded contact of a loop (`north_1.lead`): closed from, to, in seconds."""

    loop: str
    on_s: float
    off_s: float


class RecordedChange(NamedTuple):
    """What a recording says of a source, or of EVERY_CONTACT: closed, open, or (None) that nobody
    watches it any more."""

    source: str
    closed: bool | None
    t_s: float
    found: bool = False
    """So it was found when watching began: since when, nobody knows."""


class ContactOfLine(NamedTuple):
    """What is on a line, and its level while the contact is closed."""

    source: str
    active_high: bool


def whole_spells(changes: Iterable[RecordedChange]) -> Iterator[LoopSpell]:
    """Of changes of loops in the order of time. A contact whose begin or end nobody saw is left
    out: how long it was is not known."""
    began: dict[str, float] = {}
    for change in changes:
        if change.source == EVERY_CONTACT:
            began.clear()
        elif change.closed is None or change.found:
            began.pop(change.source, None)
        elif change.closed:
            began.setdefault(change.source, change.t_s)
        elif change.source in began:
            yield LoopSpell(change.source, began.pop(change.source), change.t_s)


def loop_lines(site: Site) -> dict[str, ContactOfLine]:
    """Line, as files of edges call it -> the loop on it."""
    return {
        _shown(line): ContactOfLine(f"{name}.{role}", lane.active == "high")
        for name, lane in site.lanes.items()
        for role, line in (("lead", lane.lead), ("trail", lane.trail))
        if line is not None
    }


def contact_lines(site: Site) -> dict[str, ContactOfLine]:
    """The same of all other contacts: devices on a line, and bays."""
    found = {
        _shown(bay.line): ContactOfLine(name, bay.active == "high")
        for name, bay in site.bays.items()
    }
    for name, device in site.devices.items():
        if isinstance(site.buses.get(device.bus), GpioBus) and "line" in device.options:
            high = device.options.get("active", "low") == "high"
            found[_shown(str(device.options["line"]))] = ContactOfLine(name, high)
    return found


def full_loop(name: str) -> str:
    """`north_1` is called so for short: it is `north_1.lead`."""
    return name if "." in name else f"{name}.lead"


def _shown(line: str) -> str:
    return f"GPIO{int(line)}" if line.isdecimal() else line
