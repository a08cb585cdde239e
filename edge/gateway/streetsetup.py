"""From a site's configuration to what engine and judge must know of its lanes, bays, signals and
approaches.

The engine: lanes, bays, and signals with the lanes of their approach. The judge: lanes by where
their loops lie, and approaches by what lies downstream. What hangs on which bus is `wiring`'s.
"""

from collections.abc import Sequence
from typing import Final

from edge.config import Bay, Class, Lane, Site
from edge.infer.sites import ApproachSite, LaneSite
from edge.process.approachsignal import SignalSetup
from edge.process.baywindow import BaySetup
from edge.process.enginesetup import LaneSetup
from edge.process.phase import PhaseSetup
from edge.process.traffic.passage import LENGTH_CLASSES, Classes

UNBOUNDED_CM: Final = 100_000  # the last class has no limit, and its number is not looked at


def lane_setup(name: str, lane: Lane) -> LaneSetup:
    """A lane for the engine. Raises ValueError for what cannot work."""
    return LaneSetup(
        name=name,
        approach=lane.approach,
        spacing_m=lane.spacing_m if lane.trail else None,
        loop_m=lane.loop_m,
        mode=lane.mode,
        kind=lane.kind,
        max_presence_s=lane.max_presence_s,
        effective_m=lane.effective_m,
        limit_kmh=lane.limit_kmh,
        classes=LENGTH_CLASSES if lane.classes is None else class_limits(lane.classes),
        tailgate_s=lane.tailgate_s,
        stopped_s=lane.stopped_s,
    )


def class_limits(classes: Sequence[Class]) -> Classes:
    """Name and upper limit in cm of each class."""
    return tuple(
        (one.name, UNBOUNDED_CM if one.to_m is None else round(one.to_m * 100)) for one in classes
    )


def bay_setup(name: str, bay: Bay) -> BaySetup:
    """A bay for the engine. Raises ValueError for what cannot work."""
    return BaySetup(name, bay.kind, bay.max_stay_min, bay.min_stay_s)


def signal_setups(site: Site) -> tuple[SignalSetup, ...]:
    """The signals whose colours contacts show, each with the lanes of its approach."""
    found = []
    for approach, contacts in site.signals.items():
        phases = ((name, site.devices[name].phase) for name in contacts)
        found.append(
            SignalSetup(
                approach,
                tuple(PhaseSetup(n, approach, one.colour) for n, one in phases if one is not None),
                tuple((n, site.lanes[n].position) for n in site.approaches.get(approach, ())),
            )
        )
    return tuple(found)


def lane_sites(site: Site) -> tuple[LaneSite, ...]:
    """The lanes whose loops are judged. Of bicycles no model knows anything (see `role`)."""
    return tuple(
        LaneSite(
            name,
            one.approach,
            one.position,
            paired=one.trail is not None,
            spacing_m=one.spacing_m if one.trail else None,
            loop_m=one.loop_m,
            mode=one.mode,
            limit_kmh=one.limit_kmh,
            role=one.role or ("bicycle" if one.kind == "bicycle" else None),
        )
        for name, one in site.lanes.items()
    )


def approach_sites(site: Site) -> tuple[ApproachSite, ...]:
    """All approaches with lanes of vehicles, in the order of the file."""
    judged = dict.fromkeys(one.approach for one in site.lanes.values() if one.kind == "vehicle")
    found = []
    for name in judged:
        way = site.ways.get(name)
        downstream = way.downstream if way and way.downstream in judged else None
        found.append(ApproachSite(name, downstream, way.distance_m if way and downstream else None))
    return tuple(found)
