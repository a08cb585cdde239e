"""What a change of the configuration interrupts: nothing, the uplink, single buses, or the daemon.

A change is made in the running process only where each part that knows the old value is told the
new one, and nothing that was counted is in doubt:

| what differs | what starts anew |
|---|---|
| words for people (names, positions, roads) | nothing: the description is published again |
| where the broker is, and how to be let in | the connection |
| devices that are polled, their buses, calibrations and gas cells | the threads of their buses |
| all else: lanes, lines, windows, folders, streams, models, topics | the daemon, stage preserved |

The last row is not laziness: engine, judge and stage are made of the street, and a lane that is
another one needs them anew; a start does that, has been killed at each system call, and says in a
`gap` event how long nobody listened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.config import GpioBus, Site
from edge.config.sitechanges import SiteChange, site_changes
from edge.gateway.trialstate import WorkingParts

WORDS: Final = frozenset(
    {
        ("site", "name"), ("site", "latitude"), ("site", "longitude"),
        ("approach", "name"), ("approach", "road"), ("approach", "bearing_deg"),
        ("approach", "latitude"), ("approach", "longitude"),
        ("lane", "name"), ("device", "name"), ("bay", "name"),
    }
)  # fmt: skip
"""Table and key. They stand in the description and in sentences, and in nothing that is counted."""
ELSEWHERE: Final = frozenset({"web"})
"""Sections that another process reads, each time that it begins."""
CONNECTION: Final = frozenset(
    {"url", "fallback", "proxy", "username", "password_file", "keepalive_s", "window", "protocol"}
)
"""Keys of [uplink] that only the making of a connection reads."""


@dataclass(frozen=True, slots=True)
class ChangeScope:
    """What starts anew. `daemon` is the first key that needs it, "" for none: then the rest counts.

    `link`: kerbstone-link reads a key that differs; it is a process of its own.
    """

    words: bool = False
    uplink: bool = False
    buses: tuple[str, ...] = ()
    daemon: str = ""
    link: bool = False

    @property
    def restarts(self) -> list[str]:
        """For programs: `daemon`, or what of `uplink` and `bus NAME`; empty for nothing."""
        if self.daemon:
            return ["daemon"]
        return [*(["uplink"] if self.uplink else []), *(f"bus {name}" for name in self.buses)]

    @property
    def text(self) -> str:
        """What starts anew, as a sentence for people."""
        if self.daemon:
            return (
                f"the daemon starts anew, because of {self.daemon}: for some seconds no line is "
                "watched, and a `gap` event says how long"
            )
        parts = [f"bus {name}" for name in self.buses]
        if parts:
            parts[-1] += " (its devices are not read for a moment, at the end of a window)"
        if self.uplink:
            parts.append("the connection to the broker")
        if not parts:
            return "nothing starts anew"
        return f"{' and '.join(parts)} {'starts' if len(parts) == 1 else 'start'} anew; " + (
            "lanes and all other wires are watched without a break"
        )


def change_scope(
    before: Site, after: Site, changes: Sequence[SiteChange] | None = None
) -> ChangeScope:
    """What a running daemon has to do to go from one to the other."""
    found = site_changes(before, after) if changes is None else changes
    words = uplink = link = False
    buses: dict[str, None] = {}
    daemon = ""
    for change in found:
        table, key = str(change.path[0]), str(change.path[-1])
        link |= table == "link"
        if table in ELSEWHERE or ((table, key) in WORDS and not change.whole):
            words = True
        elif table == "uplink" and key in CONNECTION and _same_identity(before, after):
            uplink = True
        elif (names := _polled_buses(change, before, after)) is not None:
            buses |= dict.fromkeys(names)
        else:
            daemon = daemon or change.key
    return ChangeScope(words, uplink, tuple(buses), daemon, link)


def touched_devices(before: Site, after: Site) -> set[str]:
    """Devices of both whose failure the change may explain: they, their bus, or who else is on it.

    Of the others a failure is nobody's fault here.
    """
    buses: set[str] = set()
    for change in site_changes(before, after):
        if change.path[0] in ("bus", "device"):
            buses.update(_named_buses(change, before, after))
    return {
        name
        for site in (before, after)
        for name, device in site.devices.items()
        if device.bus in buses
    }


def touched_lines(before: Site, after: Site) -> set[str]:
    """Buses of lines (GPIO chips) of whose lines the same is true."""
    found: set[str] = set()
    for change in site_changes(before, after):
        if change.path[0] == "bus":
            found.add(str(change.path[1]))
        for site in (before, after):
            table: Any = {"lane": site.lanes, "bay": site.bays, "device": site.devices}.get(
                str(change.path[0])
            )
            one = None if table is None else table.get(str(change.path[1]))
            if one is not None:
                found.add(one.bus)
    return found


def watched_parts(worked: WorkingParts, before: Site, after: Site) -> set[str]:
    """What was read before, is still configured, and may fail because of the change."""
    touched = touched_devices(before, after)
    found = {name for name in worked.devices if name in touched and name in after.devices}
    chips = touched_lines(before, after)
    lines = {
        f"line {line}"
        for bus in chips
        for one in (*after.lanes_on(bus).values(), *after.bays_on(bus).values())
        for line in (
            getattr(one, "lead", None),
            getattr(one, "trail", None),
            getattr(one, "line", None),
        )
        if line
    }
    lines |= {
        f"line {device.options['line']}"
        for bus in chips
        for device in after.devices_on(bus).values()
        if "line" in device.options
    }
    return found | (lines & set(worked.lines))


def touched_uplink(before: Site, after: Site) -> bool:
    """Whether the change may be why the broker cannot be reached."""
    same_box = (before.place.id, before.place.gateway) == (after.place.id, after.place.gateway)
    return before.uplink != after.uplink or not same_box


def _same_identity(before: Site, after: Site) -> bool:
    """Whether this box shows the same certificate, or none: `uplinksetup.find_tls_files` decides
    that, once for all parts."""
    one, other = before.uplink, after.uplink
    scheme = [each.url.partition(":")[0] for each in (one, other)]
    return scheme[0] == scheme[1] and bool(one.username) == bool(other.username)


def _polled_buses(change: SiteChange, before: Site, after: Site) -> list[str] | None:
    """The buses whose threads this needs anew; None: it is about something else, or about lines."""
    table = str(change.path[0])
    if table not in ("bus", "device", "calibration", "cell"):
        return None
    names = _named_buses(change, before, after)
    for site in (before, after):
        for name in names:
            if isinstance(site.buses.get(name), GpioBus):
                return None
    return names


def _named_buses(change: SiteChange, before: Site, after: Site) -> list[str]:
    table, id_ = str(change.path[0]), str(change.path[1])
    if table == "bus":
        return [id_]
    found: dict[str, None] = {}
    for site in (before, after):
        if table in ("calibration", "cell"):
            entry = (site.calibrations if table == "calibration" else site.cells).get(id_)
            device = None if entry is None else site.devices.get(entry.device)
        else:
            device = site.devices.get(id_)
        if device is not None:
            found[device.bus] = None
    return list(found)
