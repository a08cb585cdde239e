"""Contacts of loops as a recording has them, and from changes of lines to such contacts."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from edge.config import Site

EVERY_LOOP: Final = "*"


class LoopSpell(NamedTuple):
    """A recorded contact of a loop (`north_1.lead`): closed from, to, in seconds."""

    loop: str
    on_s: float
    off_s: float


class LoopChange(NamedTuple):
    """What a recording says of a loop, or of EVERY_LOOP: closed, open, or (None) that nobody
    watches it any more."""

    loop: str
    closed: bool | None
    t_s: float
    found: bool = False
    """So it was found when watching began: since when, nobody knows."""


def whole_spells(changes: Iterable[LoopChange]) -> Iterator[LoopSpell]:
    """Of changes in the order of time. A contact whose begin or end nobody saw is left out: how
    long it was is not known."""
    began: dict[str, float] = {}
    for change in changes:
        if change.loop == EVERY_LOOP:
            began.clear()
        elif change.closed is None or change.found:
            began.pop(change.loop, None)
        elif change.closed:
            began.setdefault(change.loop, change.t_s)
        elif change.loop in began:
            yield LoopSpell(change.loop, began.pop(change.loop), change.t_s)


def loop_lines(site: Site) -> dict[str, tuple[str, bool]]:
    """Line as `kerbstone` shows it -> the loop on it, and its level while the contact is closed."""
    found = {}
    for name, lane in site.lanes.items():
        for role, line in (("lead", lane.lead), ("trail", lane.trail)):
            if line is not None:
                shown = f"GPIO{int(line)}" if line.isdecimal() else line
                found[shown] = (f"{name}.{role}", lane.active == "high")
    return found


def full_loop(name: str) -> str:
    """`north_1` is called so for short: it is `north_1.lead`."""
    return name if "." in name else f"{name}.lead"
