"""What a run was: what the rig did, what it saw of the box, and what came out of the box.

A layer writes it, `edge.rig.judging` reads it, a report shows it. All moments are seconds of the
rig's clock from the moment at which the box was ready (`t_s`). It is kept as one JSON file, so a
run can be judged and shown again without the box.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct, field

from edge.rig.scenario import LayerName

NUMBER_LIMIT: Final = (1 << 63) - 1


class Driven(Struct, frozen=True, kw_only=True):
    """One vehicle that the rig let pass. `length_m` as a loop feels it, drawbar left out."""

    lane: str
    on_s: float
    """Its front reaches the first loop."""
    off_s: float
    """Its end leaves the last."""
    speed_kmh: float
    length_m: float


class Evidence(Struct, frozen=True, kw_only=True):
    """That a fault was in force: what the rig itself saw go wrong on its side of the wire, such as
    a question that got no answer, an edge that was held back, a connection that was cut."""

    t_s: float
    text: str


class FaultSpan(Struct, kw_only=True):
    """A fault as it really was. `ended_s` None: it never healed within the run."""

    name: str
    began_s: float
    ended_s: float | None = None
    evidence: list[Evidence] = field(default_factory=list)
    through: int = 0
    """How many things the rig put through while it was in force: vehicles, questions, messages."""


class Heard(Struct, frozen=True, kw_only=True):
    """One record, event or message that came from the box, by the adapter of its kind.

    `from_s`, `to_s`: the window that it is about, by the rig's clock; `error_s`: how far off that
    may be (0 where both have one clock). `body` has the words of the record's own format.
    """

    t_s: float
    stream: str
    source: str
    epoch: str = ""
    seq: Annotated[int, Meta(ge=0, le=NUMBER_LIMIT)] = 0
    from_s: float | None = None
    to_s: float | None = None
    error_s: float = 0.0
    body: Mapping[str, Any]


class Seen(Struct, frozen=True, kw_only=True):
    """The state of the box at a moment, as it says itself. None: it says nothing of it."""

    t_s: float
    queue: int | None = None
    connected: bool | None = None
    issues: tuple[str, ...] = ()
    """`KIND SOURCE` of each open issue."""


class Stall(Struct, frozen=True, kw_only=True):
    """The rig itself had no processor for so long within half a second, up to `t_s`: what it plays
    was late."""

    t_s: float
    for_s: float


Ending = Literal["whole", "broken_off", "box_failed", "rig_failed"]


class RunLog(Struct, kw_only=True):
    """One run. `text` says why it ended, where it is not `whole`."""

    scenario: str
    """The file's text: what was run, whatever becomes of the file."""
    layer: LayerName
    seed: int
    box: str
    """The command or address of the box under test, and its version where it says one."""
    ending: Ending = "whole"
    text: str = ""
    lasted_s: float = 0.0
    driven: list[Driven] = field(default_factory=list)
    faults: list[FaultSpan] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)
    """When the rig itself was late."""
    clock_bound_s: float = 0.0
    """How well the rig knows the box's clock; a tolerance in time that is less is not evaluated."""


def number_of(said: object) -> float | None:
    """What a box gives as a number. None: it is none, or one that nothing has so many of."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return float(said) if abs(said) <= NUMBER_LIMIT else None


def count_of(said: object) -> int | None:
    """The same of a count: `3`, and `3.0` as some programs write it."""
    number = number_of(said)
    return None if number is None or not number.is_integer() else int(number)
