"""A site as the daemon sees it: the checked content of one site.toml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from edge.config.keylines import KeyPath, line_of
from edge.config.model import (
    Approach,
    Bay,
    Bus,
    Calibration,
    Cell,
    Device,
    Lane,
    Link,
    Models,
    Privacy,
    SiteTable,
    Store,
    Streams,
    Uplink,
    Web,
)
from edge.config.problem import Problem, dotted_path


class Position(NamedTuple):
    """Degrees, WGS 84."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that was configured. What has names is in the order of the file."""

    place: SiteTable
    uplink: Uplink
    store: Store = field(default_factory=Store)
    streams: Streams = field(default_factory=Streams)
    privacy: Privacy = field(default_factory=Privacy)
    models: Models = field(default_factory=Models)
    link: Link = field(default_factory=Link)
    web: Web = field(default_factory=Web)
    buses: Mapping[str, Bus] = field(default_factory=dict)
    devices: Mapping[str, Device] = field(default_factory=dict)
    lanes: Mapping[str, Lane] = field(default_factory=dict)
    ways: Mapping[str, Approach] = field(default_factory=dict)  # of approaches with a table
    bays: Mapping[str, Bay] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    cells: Mapping[str, Cell] = field(default_factory=dict)
    file: str = "site.toml"
    lines: Mapping[KeyPath, int] = field(default_factory=dict, repr=False, compare=False)

    @property
    def period_ns(self) -> int:
        """Length of one record's window."""
        return self.place.period_s * 1_000_000_000

    @property
    def approaches(self) -> dict[str, list[str]]:
        """Approach -> its lanes."""
        found: dict[str, list[str]] = {}
        for name, lane in self.lanes.items():
            found.setdefault(lane.approach, []).append(name)
        return found

    @property
    def names(self) -> dict[str, str]:
        """Display names by id, for `edge.core.displayname.with_name`: of all sources of records,
        and of approaches. A lane and an approach may have one id; then it is the lane's."""
        tables = (self.ways, self.lanes, self.devices, self.bays)
        return {id_: one.name for table in tables for id_, one in table.items() if one.name}

    @property
    def positions(self) -> dict[str, Position]:
        """Where the site ("") and its approaches lie, of those that say it."""
        found = {}
        tables: dict[str, SiteTable | Approach] = {"": self.place, **self.ways}
        for name, one in tables.items():
            if one.latitude is not None and one.longitude is not None:
                found[name] = Position(one.latitude, one.longitude)
        return found

    def devices_on(self, bus: str) -> dict[str, Device]:
        """The devices that share one bus."""
        return {name: device for name, device in self.devices.items() if device.bus == bus}

    def lanes_on(self, bus: str) -> dict[str, Lane]:
        """The lanes whose loops are wired to one GPIO bus."""
        return {name: lane for name, lane in self.lanes.items() if lane.bus == bus}

    def bays_on(self, bus: str) -> dict[str, Bay]:
        """The bays that are wired to one GPIO bus."""
        return {name: bay for name, bay in self.bays.items() if bay.bus == bus}

    @property
    def signals(self) -> dict[str, list[str]]:
        """Approach -> the contacts that tell the colour of its signal."""
        found: dict[str, list[str]] = {}
        for name, device in self.devices.items():
            if device.phase is not None:
                found.setdefault(device.phase.approach, []).append(name)
        return found

    def written(self, *path: str) -> bool:
        """This key stands in the file; otherwise its value is the default."""
        return path in self.lines

    def remark(self, path: KeyPath, text: str) -> Problem:
        """Something to say about a key, with the line it stands on, or its table's."""
        return Problem(self.file, line_of(self.lines, path), dotted_path(path), text)
