"""What a simulated street is: its loops, what each loop saw, and what its links were truly like."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from edge.core.looptick import LoopPartName
from edge.infer.sites import Role
from models.congestion.scenarios.finalset import refuse_final

Position = Literal["corridor", "advance", "mid", "stop"]
Kind = Literal[
    "corridor", "arterial", "grid", "roundabout", "buses", "bicycles", "ramps", "actuated",
    "coordinated", "workzone",
]  # fmt: skip
Split = Literal["train", "held_out", "legacy", "training", "choosing", "final"]
OPEN_ROADS: Final[tuple[Kind, ...]] = ("corridor", "ramps", "workzone")  # without crossings
UNSIGNALLED: Final[tuple[Kind, ...]] = (*OPEN_ROADS, "roundabout")
Floats = NDArray[np.float64]
Interval = tuple[float, float]

SAMPLE: Final = Path(__file__).parent / "sample"  # two short streets, of `generate --minutes 25`
USUAL: Final = "usual"  # folder of the same street on a day on which nothing happens
TRUTH_S: Final = 10  # between two moments of the truth
MERGE_S: Final = 300  # events closer than this are one
SHORT_S: Final = 120  # shorter ones are left out of the score
TOUCH_S: Final = 0.001  # a loop sees no gap that is shorter
_GRAIN_S: Final = 1e-4  # stays are kept to a tenth of a millisecond
_FINE: Final = 1000  # density and speed are kept to a thousandth


@dataclass(frozen=True)
class LoopPlace:
    """One loop. A lane's name is unique in its street; a pair shares it and differs in `part`.

    `index` counts lanes of the link from the slow one, 0. `at_m` is where the loop begins, from
    the link's start. `spacing_m` is from leading edge to leading edge; None for a single loop.
    """

    lane: str
    link: str
    position: Position
    index: int
    part: LoopPartName
    at_m: float
    loop_m: float
    spacing_m: float | None = None
    role: Role = "mainline"


@dataclass(frozen=True, eq=False)
class StreetLink:
    """A stretch of road with one or more loops, and its truth.

    `downstream` is the next link of the street that has loops, `distance_m` from end to end.
    `density` (vehicles/km/lane) and `speed` (m/s) are of the ten seconds that begin at
    TRUTH_S * i. `events` are seconds, merged, without the `short` ones. `green` are the seconds
    when the straight movement had green; None where there is no signal.
    """

    name: str
    kind: str
    lanes: int
    length_m: float
    limit_kmh: float
    downstream: str | None
    distance_m: float | None
    events: tuple[Interval, ...]
    short: tuple[Interval, ...]
    density: Floats
    speed: Floats
    green: Floats | None = None


@dataclass(frozen=True, eq=False)
class SimStreet:
    """One scenario. `stays[i]` are the seconds [n, 2] at which `loops[i]` went on and off.

    Stays are sorted and disjoint, as a loop card's contact says them: vehicles that are bumper to
    bumper are one. `about` tells how the scenario was made.
    """

    name: str
    kind: Kind
    split: Split
    seed: int
    hours: float
    links: tuple[StreetLink, ...]
    loops: tuple[LoopPlace, ...]
    stays: tuple[Floats, ...]
    about: dict[str, Any] = field(default_factory=dict)

    def link(self, name: str) -> StreetLink:
        return next(link for link in self.links if link.name == name)


def trail_of(lead: LoopPlace) -> tuple[LoopPlace, ...]:
    """The trail loop of a lead, if it has one."""
    if lead.spacing_m is None:
        return ()
    return (replace(lead, part="trail", at_m=round(lead.at_m + lead.spacing_m, 2)),)


def merge_events(events: list[Interval]) -> list[Interval]:
    """Events that are closer than MERGE_S made into one."""
    out: list[Interval] = []
    for begin, end in sorted(events):
        if out and begin - out[-1][1] < MERGE_S:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((begin, end))
    return out


def split_events(events: list[Interval]) -> tuple[tuple[Interval, ...], tuple[Interval, ...]]:
    """Merged events that count, and those too short to count."""
    whole = merge_events(events)
    return (
        tuple(event for event in whole if event[1] - event[0] >= SHORT_S),
        tuple(event for event in whole if event[1] - event[0] < SHORT_S),
    )


def contact_stays(on_s: Floats, off_s: Floats, touch_s: float = TOUCH_S) -> Floats:
    """Stays [n, 2] of vehicles that came and went: sorted, joined where they overlap or touch."""
    if not len(on_s):
        return np.zeros((0, 2))
    order = np.argsort(on_s, kind="stable")
    begin, until = on_s[order], np.maximum.accumulate(off_s[order])
    first = np.concatenate([[True], begin[1:] > until[:-1] + touch_s])
    last = np.concatenate([first[1:], [True]])
    stays = np.stack([begin[first], until[last]], axis=1)
    return np.asarray(stays[stays[:, 1] > stays[:, 0]], np.float64)


def save_street(street: SimStreet, folder: Path) -> None:
    """Write `folder`/stays.npz and `folder`/meta.json; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, NDArray[Any]] = {"count": np.array([len(s) for s in street.stays], np.int32)}
    whole = [np.round(stays.ravel() / _GRAIN_S) for stays in street.stays]
    # Steps instead of times: small numbers, which compress to half the size.
    steps = [np.diff(times, prepend=0.0) for times in whole]
    arrays["steps"] = np.concatenate([*steps, np.zeros(0)]).astype(np.int32)
    for i, link in enumerate(street.links):
        arrays[f"density{i}"] = np.round(link.density * _FINE).astype(np.int32)
        arrays[f"speed{i}"] = np.round(link.speed * _FINE).astype(np.int32)
        if link.green is not None:
            arrays[f"green{i}"] = link.green
    np.savez_compressed(folder / "stays.npz", **arrays)  # type: ignore[arg-type]
    meta = {
        "name": street.name,
        "kind": street.kind,
        "split": street.split,
        "seed": street.seed,
        "hours": street.hours,
        "about": street.about,
        "links": [_without_arrays(link) for link in street.links],
        "loops": [_without_role(loop) for loop in street.loops],
    }
    # Beside the loops, where a reader from before there were roles does not look.
    roles = {loop.lane: loop.role for loop in street.loops if loop.role != "mainline"}
    if roles:
        meta["roles"] = roles
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


def _without_arrays(link: StreetLink) -> dict[str, Any]:
    """A link without its arrays."""
    return {k: v for k, v in vars(link).items() if k not in ("density", "speed", "green")}


def _without_role(loop: LoopPlace) -> dict[str, Any]:
    return {k: v for k, v in asdict(loop).items() if k != "role"}


def load_street(folder: Path) -> SimStreet:
    """A saved street. FileNotFoundError if it is none."""
    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    with np.load(folder / "stays.npz") as arrays:
        links = tuple(_link(i, values, arrays) for i, values in enumerate(meta["links"]))
        steps = arrays["steps"].astype(np.int64)
        ends = np.cumsum(arrays["count"].astype(np.int64) * 2)
    stays = tuple(np.cumsum(part).reshape(-1, 2) * _GRAIN_S for part in np.split(steps, ends[:-1]))
    roles: dict[str, Role] = meta.get("roles", {})
    loops = tuple(
        LoopPlace(**values, role=roles.get(values["lane"], "mainline")) for values in meta["loops"]
    )
    head = {key: meta[key] for key in ("name", "kind", "split", "seed", "hours", "about")}
    return SimStreet(links=links, loops=loops, stays=stays[: len(loops)], **head)


def _link(i: int, fields: dict[str, Any], arrays: Any) -> StreetLink:
    fields["events"] = tuple((a, b) for a, b in fields["events"])
    fields["short"] = tuple((a, b) for a, b in fields["short"])
    return StreetLink(
        **fields,
        density=arrays[f"density{i}"] / _FINE,
        speed=arrays[f"speed{i}"] / _FINE,
        green=arrays.get(f"green{i}"),
    )


def load_streets(folder: Path) -> list[SimStreet]:
    """All saved streets below `folder`, in order of their paths, without their usual days."""
    return [load_street(place) for place in find_streets(folder)]


def load_usual(place: Path) -> SimStreet | None:
    """The usual day of the street that is saved in `place`."""
    return load_street(place / USUAL) if (place / USUAL / "meta.json").exists() else None


def find_streets(folder: Path, *, final: bool = False) -> list[Path]:
    """Where streets are saved below `folder`. FileNotFoundError if there is none.

    FinalSetError if some are of a final set, and whoever asks is not the `final` evaluation.
    """
    metas = folder.glob("**/meta.json")
    # Those with a dot are being written.
    found = sorted(m.parent for m in metas if m.parent.name[0] != "." and m.parent.name != USUAL)
    if not found:
        raise FileNotFoundError(f"no meta.json below {folder}")
    if not final:
        refuse_final(folder, (place / "meta.json" for place in found))
    return found
