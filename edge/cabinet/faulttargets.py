"""What of a played cabinet can misbehave, by the name that the site file gives it, and how.

A device, a loop (`north_1`, `north_1.trail`), a contact, an approach, a bus. A name that two of
them share is written with its table: `bus.air`, `approach.north`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from drivers.sim import lanetraffic
from drivers.sim.drivencontact import DrivenContact
from drivers.sim.lanetraffic import LaneTraffic
from drivers.sim.loopcard import LoopCard
from edge.cabinet.playedbus import PlayedBus
from edge.cabinet.playeddevice import NONE, PlayedDevice
from edge.cabinet.playedlines import PlayedLines
from edge.config import Site

ALL: Final = "all"
STREET_FAULTS: Final = ("congestion", "empty", "dead_card")
NEIGHBOUR_FAULTS: Final = ("crosstalk", "splashover")
"""Of a loop that has another one beside it."""
OFFSETS: Final = "POINT=+NUMBER"
"""How an offset of a measured value is written."""


@dataclass(frozen=True, slots=True)
class FaultTarget:
    """`name` as people write it, `table` where it stands in the site file, `what` it is.

    `misbehave` takes one of `faults`, or `none`; with `offsets` also `pm2_5=+60`. `state` says what
    it shows now, "" for nothing.
    """

    name: str
    table: str
    what: str
    faults: tuple[str, ...]
    misbehave: Callable[[str], None]
    state: Callable[[], str]
    offsets: bool = False

    @property
    def full(self) -> str:
        """Its name with its table: nothing else has that."""
        return f"{self.table}.{self.name}"

    @property
    def known(self) -> str:
        """All that can be asked of it, for people."""
        return ", ".join([*self.faults, *([OFFSETS] if self.offsets else []), NONE])

    def takes(self, fault: str) -> bool:
        return fault == NONE or fault in self.faults or (self.offsets and "=" in fault)


def shown_name(targets: Sequence[FaultTarget], one: FaultTarget) -> str:
    """Its name; with its table if another thing has the same."""
    twice = sum(other.name == one.name for other in targets) > 1
    return one.full if twice else one.name


def find_targets(targets: Sequence[FaultTarget], name: str, fault: str) -> list[FaultTarget]:
    """What is meant: one, or with `none` everything of that name; `all` is everything.

    Raises ValueError that says what would be right.
    """
    if name == ALL:
        if fault != NONE:
            raise ValueError(
                f"write `sim fault {ALL} {NONE}`: other faults are for one part at a time"
            )
        return list(targets)
    found = [one for one in targets if name in (one.name, one.full)]
    fitting = [one for one in found if one.takes(fault)]
    if len(fitting) == 1 or (fitting and fault == NONE):
        return fitting
    if fitting:
        raise ValueError(f"{name} is two things here: write {' or '.join(o.full for o in fitting)}")
    if found:
        known = "; ".join(f"{one.known} ({one.what})" for one in found)
        raise ValueError(f"{name} cannot show {fault!r}; choose from {known}")
    names = [shown_name(targets, one) for one in targets]
    near = get_close_matches(name, names, 1)
    hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(names)}"
    raise ValueError(f"nothing here is called {name!r}; {hint}")


def make_targets(
    site: Site,
    devices: Mapping[str, PlayedDevice],
    buses: Mapping[str, PlayedBus],
    lines: Mapping[str, PlayedLines],
) -> list[FaultTarget]:
    """In the order of the site file, each bus behind what hangs on it, approaches at the end."""
    found: list[FaultTarget] = []
    for bus, keys in site.buses.items():
        if (wire := buses.get(bus)) is not None:
            found += [_device(devices[name], wire) for name in site.devices_on(bus)]
            found.append(_bus(wire, keys.kind))
        if (played := lines.get(bus)) is not None:
            for name, device in site.devices_on(bus).items():
                found.append(_contact(name, "device", device.driver, played.contacts[name]))
            for name in site.bays_on(bus):
                found.append(_contact(name, "bay", "bay", played.contacts[name]))
            for name, lane in played.lanes.items():
                found += _lane(name, lane, played.loops)
    lanes = {name: lane for played in lines.values() for name, lane in played.lanes.items()}
    for approach, names in site.approaches.items():
        if here := [lanes[name] for name in names if name in lanes]:
            found.append(_approach(approach, here))
    return found


def _bus(wire: PlayedBus, kind: str) -> FaultTarget:
    def misbehave(fault: str) -> None:
        wire.misbehave("" if fault == NONE else fault)

    return FaultTarget(wire.name, "bus", kind, wire.FAULTS, misbehave, lambda: wire.fault)


def _device(device: PlayedDevice, wire: PlayedBus) -> FaultTarget:
    def misbehave(fault: str) -> None:
        device.misbehave(fault)
        if wire.fault and wire.fault != "unplugged":
            wire.show(wire.fault)  # what is wrong with the wire is wrong still

    driver = device.request.driver
    return FaultTarget(
        device.name, "device", driver, device.faults, misbehave, device.state, offsets=True
    )


def _contact(
    name: str, table: str, what: str, contact: DrivenContact, more: tuple[str, ...] = ()
) -> FaultTarget:
    def misbehave(fault: str) -> None:
        wanted = "" if fault == NONE else fault
        contact.timeline.now(lambda t_ns: contact.misbehave(wanted, t_ns))

    faults = tuple(
        f for f in contact.FAULTS if f not in NEIGHBOUR_FAULTS or _has_neighbour(contact)
    )
    return FaultTarget(name, table, what, (*faults, *more), misbehave, lambda: contact.fault)


def _has_neighbour(contact: DrivenContact) -> bool:
    return isinstance(contact, LoopCard) and contact.neighbour is not None


def _lane(name: str, lane: LaneTraffic, loops: Mapping[str, LoopCard]) -> list[FaultTarget]:
    """The lane's name is that of its lead loop, too: most people mean that one."""
    lead = _contact(name, "lane", "lead loop", loops[f"{name}.lead"])
    trail = loops.get(f"{name}.trail")
    if trail is None:
        return [lead]
    pair = lanetraffic.FAULTS

    def misbehave(fault: str) -> None:
        lead.misbehave(NONE if fault in pair else fault)
        lane.misbehave(fault if fault in pair else "")

    def state() -> str:
        return ", ".join(word for word in (lead.state(), lane.fault) if word)

    return [
        FaultTarget(name, "lane", "lead loop of a pair", (*lead.faults, *pair), misbehave, state),
        _contact(f"{name}.trail", "lane", "trail loop", trail),
    ]


def _approach(name: str, lanes: Sequence[LaneTraffic]) -> FaultTarget:
    def misbehave(fault: str) -> None:
        for lane in lanes:
            lane.stream.jammed, lane.stream.empty = fault == "congestion", fault == "empty"
            lane.card_dead = fault == "dead_card"

    def state() -> str:
        if lanes[0].card_dead:
            return "dead_card"
        stream = lanes[0].stream
        return "congestion" if stream.jammed else "empty" if stream.empty else ""

    return FaultTarget(name, "approach", "approach, its traffic", STREET_FAULTS, misbehave, state)
