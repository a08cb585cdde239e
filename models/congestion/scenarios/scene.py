"""What a scenario is before it is driven: roads, signals, traffic, loops, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from models.congestion.scenarios.simstreet import Kind, LoopPlace, Split

BEFORE_S: Final = 600  # fills the roads; not kept
STEP_S: Final = 300  # traffic changes this often
USUAL_SEED: Final = 100_000  # vehicles of that day differ from those of the other
USUAL: Final = 0.8  # of capacity: the peak of a day on which nothing happens


@dataclass(frozen=True)
class Road:
    """One direction of a road between two nodes. `watched` roads become links of the street."""

    name: str
    begin: str
    end: str
    lanes: int
    length_m: float
    limit_ms: float
    watched: bool = False
    signal: bool = False  # at its end
    downstream: str | None = None
    distance_m: float | None = None
    give_way_s: float | None = None  # at its end vehicles give way; the wait that is usual there
    uses: tuple[str, ...] = ()  # who may drive on each lane, from the slow one; "" is all
    lane_m: float | None = None  # how wide a lane is, where that matters

    @property
    def general_lanes(self) -> int:
        """Lanes that all may use: what the density of traffic is counted on."""
        return self.lanes - sum(bool(who) for who in self.uses)


@dataclass(frozen=True)
class FixedTimeSignal:
    """A fixed-time signal. `share` of the green goes to the roads in `main`."""

    node: str
    cycle_s: int
    share: float
    offset_s: int
    main: frozenset[str]


@dataclass(frozen=True)
class ActuatedSignal:
    """Greens last while vehicles follow each other closely: `least_s` to `most_s`, (main, side).

    A gap of `gap_s` ends them, at detectors `ahead_s` of driving before the stop line.
    """

    node: str
    main: frozenset[str]
    least_s: tuple[float, float]
    most_s: tuple[float, float]
    gap_s: float
    ahead_s: float


class SignalPlan(NamedTuple):
    """A plan of a coordinated signal, from a second of the street on."""

    from_s: float
    cycle_s: int
    share: float
    offset_s: int


@dataclass(frozen=True)
class CoordinatedSignal:
    """A signal of a green wave, with a plan for each time of the day."""

    node: str
    main: frozenset[str]
    plans: tuple[SignalPlan, ...]


@dataclass(frozen=True)
class ShuttleSignal:
    """At a narrow place that both directions share in turn: green, and red for the others."""

    node: str
    green_s: int
    red_s: int
    offset_s: int


Signal = FixedTimeSignal | ActuatedSignal | CoordinatedSignal | ShuttleSignal


@dataclass(frozen=True)
class Ring:
    """A roundabout: its nodes and roads, in the order of driving. Who is on it goes first."""

    nodes: tuple[str, ...]
    roads: tuple[str, ...]


@dataclass(frozen=True)
class BusStop:
    """Where buses stop, in the slow lane: they block it."""

    name: str
    road: str
    from_m: float
    to_m: float


@dataclass(frozen=True)
class BusRun:
    """One bus: when it comes, and how long it stands at each stop. Seconds are SUMO's."""

    roads: tuple[str, ...]
    from_s: float
    stops: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class LoopSense:
    """How a loop and its card answer: late on and late off, and the share of bicycles they miss."""

    pick_up_s: float
    drop_out_s: float
    bicycles_missed: float


@dataclass(frozen=True)
class Flow:
    """Vehicles that drive `roads`; `rates` are vehicles a second in each STEP_S."""

    roads: tuple[str, ...]
    rates: tuple[float, ...]
    who: str = "mix"  # the vehicle type, or the distribution of types

    @property
    def prefix(self) -> str:
        """What the names of its vehicles begin with: `f` for the general mix."""
        return "f" if self.who == "mix" else self.who


@dataclass(frozen=True)
class BlockedLane:
    """A vehicle that stands in a lane. Seconds are of the street, without BEFORE_S."""

    roads: tuple[str, ...]  # where it stands, and where it drives then
    lane: int
    at_m: float
    from_s: float
    length_s: float


@dataclass(frozen=True)
class SpeedLimit:
    """Nobody may drive faster on this road for a time, because of what lies behind it."""

    road: str
    from_s: float
    to_s: float
    limit_ms: float


@dataclass(frozen=True)
class Scene:
    """All that SUMO needs, and what must be known of it afterwards."""

    name: str
    kind: Kind
    split: Split
    seed: int
    hours: float
    nodes: dict[str, tuple[float, float]]
    roads: tuple[Road, ...]
    flows: tuple[Flow, ...]
    loops: tuple[LoopPlace, ...]
    reach_m: tuple[float, ...]  # how much longer than the loop each loop feels
    mix: str  # vehicle types, as SUMO reads them
    start: Literal["best", "random"]  # lane in which vehicles begin
    pace: float  # of the drivers
    signals: tuple[Signal, ...] = ()
    links: tuple[tuple[str, int, str, int], ...] = ()  # from road and lane to road and lane
    incidents: tuple[BlockedLane, ...] = ()
    slows: tuple[SpeedLimit, ...] = ()
    rings: tuple[Ring, ...] = ()
    stops: tuple[BusStop, ...] = ()
    buses: tuple[BusRun, ...] = ()
    senses: tuple[LoopSense, ...] = ()  # of each loop; none: they answer at once, to everything
    counted: tuple[str, ...] = ()  # vehicle types that make the truth; none: all do
    beside: bool = False  # whether vehicles overtake each other within a lane
    missed_exits: bool = False  # whether who cannot change lanes in time drives on, out of sight
    about: dict[str, Any] = field(default_factory=dict)


def usual_day(scene: Scene) -> Scene:
    """The same street on a day on which nothing happens: what a site learns from.

    Traffic peaks at USUAL of capacity or stays below it, nothing stands, and nothing is slow.
    """
    share = min(1.0, USUAL / float(scene.about["peak_of_capacity"]))
    flows = tuple(replace(f, rates=tuple(share * rate for rate in f.rates)) for f in scene.flows)
    about = {**scene.about, "cause": "none"}
    return replace(
        scene, seed=scene.seed + USUAL_SEED, flows=flows, incidents=(), slows=(), about=about
    )


def demand_profile(
    random: np.random.Generator, hours: float, low: float, high: float
) -> tuple[float, ...]:
    """Demand of each STEP_S: low, then a rise to a plateau, then lower again; a little uneven."""
    count = int(np.ceil((hours * 3600 + BEFORE_S) / STEP_S))
    rise = random.uniform(0.2, 0.45) * count
    fall = rise + random.uniform(0.15, 0.35) * count
    steep = random.uniform(0.6, 2.5)
    at = np.arange(count)
    up = 1 / (1 + np.exp(-(at - rise) / steep))
    down = 1 / (1 + np.exp((at - fall) / steep))
    level = low + (high - low) * up * down
    return tuple((level * random.normal(1.0, 0.06, count).clip(0.8, 1.2)).tolist())


class Drivers(NamedTuple):
    """Vehicle types as SUMO reads them, the time between cars that follow each other, and pace.

    `pace` is how fast they drive in this weather, as a share of how fast they would in good.
    """

    types: str
    headway_s: float
    pace: float


def draw_drivers(
    random: np.random.Generator, truck_share: float, bike_share: float, wet: bool, limit_ms: float
) -> Drivers:
    """Who drives. In bad weather all drive slower and keep more distance."""
    slow = random.uniform(0.8, 0.92) if wet else 1.0
    tau = random.uniform(0.95, 1.3) * (random.uniform(1.1, 1.3) if wet else 1.0)
    sigma = random.uniform(0.4, 0.7)
    vans = random.uniform(0.03, 0.12)
    rest = 1 - truck_share - bike_share - vans
    truck_m = random.uniform(9.5, 16.0)
    truck_max = 25.0 if limit_ms > 20 else 22.0
    kinds = (
        ("car", "passenger", random.uniform(4.2, 4.8), 2.3, tau, sigma, 1.0, 0.1, 60, rest * 0.85),
        ("long", "passenger", random.uniform(4.9, 5.6), 2.5, tau, sigma, 1.0, 0.1, 60, rest * 0.15),
        ("van", "delivery", random.uniform(5.6, 7.0), 2.5, tau * 1.1, 0.5, 0.97, 0.08, 45, vans),
        ("truck", "truck", truck_m, 3.0, tau * 1.35, 0.4, 0.9, 0.05, truck_max, truck_share),
        ("bike", "motorcycle", 2.2, 1.5, tau * 0.9, 0.5, 1.05, 0.12, 60, bike_share),
    )
    types = "".join(
        f'<vType id="{name}" vClass="{which}" length="{length:.2f}" minGap="{gap}" '
        f'tau="{time:.2f}" sigma="{uneven:.2f}" maxSpeed="{top}" probability="{share:.4f}" '
        f'speedFactor="normc({factor * slow:.3f},{spread},{0.65 * slow:.2f},{1.4 * slow:.2f})"/>'
        for name, which, length, gap, time, uneven, factor, spread, top, share in kinds
    )
    # Saturated traffic: the gap that is kept, and the time in which a vehicle's length goes by.
    length = 7.0 + truck_share * truck_m
    headway = tau * (1 + 0.35 * truck_share) + length / min(0.75 * limit_ms * slow, 20.0)
    return Drivers(f'<vTypeDistribution id="mix">{types}</vTypeDistribution>', headway, slow)
