"""The model of a scenario file: every key with its type, its bounds, its default, what it means.

A scenario is one TOML file: `[scenario]` says what is tried, `[[traffic]]`, `[[vehicle]]`,
`[[trace]]`, `[[signal]]` and `[[value]]` what happens on the wires, `[[fault]]` what breaks and
when it heals, `[[expect]]` what the box has to do. The JSON Schema and the reference in
docs/scenarios.md are made from here. Times are seconds from the moment at which the box is ready;
speeds are km/h, lengths metres, values in the unit of their point.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from edge.config.model.fieldtypes import Name
from edge.core.printable import printable

VERSION: Final = 1
DAY_S: Final = 86_400.0
SENTENCE_LIMIT: Final = 200  # characters


def check_text(text: str) -> str:
    """In one line, whatever line breaks it was written with. Raises ValueError."""
    line = " ".join(text.split())
    if printable(line, len(line) + 1) != line:
        raise ValueError("it holds a character that cannot be seen")
    return line


def check_sentence(text: str) -> str:
    """The same of a sentence. Raises ValueError for one that is empty or too long."""
    line = check_text(text)
    if not 1 <= len(line) <= SENTENCE_LIMIT:
        raise ValueError(f"it has {len(line)} characters")
    return line


Sentence = Annotated[
    str,
    Meta(extra={"form": f"a sentence of 1 to {SENTENCE_LIMIT} characters", "kept": check_sentence}),
]

FileName = Annotated[
    str,
    Meta(
        pattern=r"[^\0]{1,256}",
        extra={"form": "the name of a file, from the folder of the scenario"},
    ),
]
Moment = Annotated[float, Meta(ge=0.0, le=DAY_S)]
Span = Annotated[float, Meta(ge=0.0, le=DAY_S)]
Lasting = Annotated[float, Meta(ge=0.001, le=DAY_S)]
Speed = Annotated[float, Meta(ge=1.0, le=250.0)]
Length = Annotated[float, Meta(ge=0.5, le=50.0)]
LayerName = Literal["sim", "pty", "qemu", "bench"]
LAYERS: Final[tuple[LayerName, ...]] = ("sim", "pty", "qemu", "bench")
Edge = Literal["rising", "falling", "none"]
State = Literal["queue", "connected", "volume", "value", "flag", "records"]


class About(Struct, frozen=True, kw_only=True):
    """What is tried, on which box, for how long."""

    name: Annotated[Sentence, Meta(description="What is tried, in a few words.")]
    text: Annotated[
        str,
        Meta(
            description="What it shows, for whoever reads the file as part of a contract.",
            extra={"form": "a text in quotes", "kept": check_text},
        ),
    ] = ""
    site: Annotated[FileName, Meta(description="The site file of the box under test.")]
    duration_s: Annotated[
        float, Meta(ge=1.0, le=DAY_S, description="For so long the street is played.")
    ]
    settle_s: Annotated[
        Span,
        Meta(
            description="Afterwards the last windows may end and the queue may drain, for so long "
            "at most; no vehicle comes."
        ),
    ] = 120.0
    seed: Annotated[
        int,
        Meta(ge=0, le=2**31 - 1, description="Of everything that is random: the same, each run."),
    ] = 1
    layers: Annotated[
        tuple[LayerName, ...] | None,
        Meta(description="On which layers it can be run; all that can do its faults, if left out."),
    ] = None


class Traffic(Struct, frozen=True, kw_only=True):
    """Vehicles on lanes for a time. Several tables for one lane add up."""

    lanes: Annotated[tuple[Name, ...], Meta(description="Lanes of the site file.")]
    from_s: Annotated[Moment, Meta(description="When the first may come.")] = 0.0
    until_s: Annotated[
        Moment | None, Meta(description="The end; that of the scenario, if left out.")
    ] = None
    per_hour: Annotated[
        float, Meta(ge=1.0, le=3600.0, description="Vehicles on each of the lanes.")
    ]
    arrivals: Annotated[
        Literal["random", "even"],
        Meta(description="Each at its own time (Poisson), or all with the same headway."),
    ] = "random"
    speed_kmh: Annotated[Speed, Meta(description="The mean.")] = 50.0
    spread_kmh: Annotated[
        float, Meta(ge=0.0, le=40.0, description="Standard deviation of speeds.")
    ] = 0.0
    kind: Annotated[
        Literal["car", "mixed", "truck", "trailer", "bus", "bicycle"],
        Meta(
            description="Lengths: cars of 3.6 to 5.2 m; mixed traffic with one truck in ten; "
            "trucks of 8 to 12 m; cars with trailers, felt as two; buses of 12 to 18 m; bicycles."
        ),
    ] = "car"


class Vehicle(Struct, frozen=True, kw_only=True):
    """One vehicle."""

    lane: Annotated[Name, Meta(description="A lane of the site file.")]
    at_s: Annotated[Moment, Meta(description="Its front reaches the first loop.")]
    speed_kmh: Annotated[Speed, Meta(description="At the first loop.")] = 50.0
    length_m: Annotated[Length, Meta(description="From front to end.")] = 4.5
    stops_s: Annotated[
        Span, Meta(description="It stands on the loops for so long, and goes on.")
    ] = 0.0
    gap_m: Annotated[
        float,
        Meta(ge=0.0, le=10.0, description="A drawbar in its middle that no loop feels: a trailer."),
    ] = 0.0


class Detector(Struct, frozen=True, kw_only=True):
    """Which loop of the site a detector of a log is."""

    detector: Annotated[
        str,
        Meta(
            pattern=r"[^\0]{1,64}",
            description="As the log calls it: the number of a controller's detector, the name of a "
            ".vlog file.",
            extra={"form": "1 to 64 characters"},
        ),
    ]
    loop: Annotated[
        str, Meta(description="`north_1` is the lead loop of that lane, `north_1.trail` the other.")
    ]


class Trace(Struct, frozen=True, kw_only=True):
    """Recorded traffic in place of made one: all loop edges of the site come from the file. So do
    those of other contacts (pulses, signals, doors, bays) that it has, unless `lanes` are chosen.
    """

    file: Annotated[FileName, Meta(description="What was recorded.")]
    kind: Annotated[
        Literal["edges", "recording", "vehicles", "indiana", "iris", "sumo"],
        Meta(
            description="Edges as `rig record` writes them; a recording of the flight recorder; a "
            "table of vehicles (t_s, lane, speed_kmh, length_m); a controller's Indiana log (CSV "
            "or Parquet); IRIS' .vlog, or the folder of a day with a file for each detector; "
            "SUMO's instant induction loop output."
        ),
    ]
    lanes: Annotated[
        tuple[Name, ...] | None, Meta(description="Only these; all that it names, if left out.")
    ] = None
    skip_s: Annotated[
        Moment,
        Meta(
            description="Second 0 of the scenario is so far into the file. That of an Indiana log "
            "begins with the minute of its first event, a .vlog with its midnight."
        ),
    ] = 0.0
    signal: Annotated[str, Meta(description="Of an Indiana log with several signals: which.")] = ""
    detectors: Annotated[
        tuple[Detector, ...] | None,
        Meta(
            description="Of `indiana` and `iris`: which detector is which loop. If left out, they "
            "are called as the lines of the site are: D5 for detector 5, or as the .vlog file.",
            extra={"form": 'a list such as [{detector = "5", loop = "north_1"}]'},
        ),
    ] = None


class Signal(Struct, frozen=True, kw_only=True):
    """The signal of an approach, in place of the usual cycle."""

    approach: Annotated[Name, Meta(description="An approach of the site file.")]
    red_s: Annotated[float, Meta(ge=1.0, le=600.0, description="In each cycle.")]
    green_s: Annotated[float, Meta(ge=1.0, le=600.0, description="In each cycle.")]
    amber_s: Annotated[float, Meta(ge=0.0, le=30.0, description="After green.")] = 3.0
    offset_s: Annotated[Span, Meta(description="The first red begins then.")] = 0.0


class Value(Struct, frozen=True, kw_only=True):
    """What one point of a device measures: one of `constant`, `curve`, `series`."""

    device: Annotated[Name, Meta(description="A polled device of the site file.")]
    point: Annotated[Name, Meta(description="One of its points.")]
    constant: Annotated[float | None, Meta(description="All the time.")] = None
    curve: Annotated[
        tuple[tuple[float, float], ...] | None,
        Meta(
            description="Pairs of seconds and value, with straight lines between them.",
            extra={"form": "a list of pairs such as [[0, 20.5], [600, 25]]"},
        ),
    ] = None
    series: Annotated[
        FileName | None, Meta(description="A CSV file with columns t_s and the point.")
    ] = None


class Condition(Struct, frozen=True, kw_only=True):
    """Something that is seen of the box. True while the state is `above` or `below` its bound."""

    state: Annotated[
        State,
        Meta(
            description="`queue`: records that wait; `connected`: 1 or 0; `volume`: vehicles that "
            "records counted on `of`; `value`: the last value of a point, `of` = DEVICE.POINT; "
            "`flag`: 1 while the flag `of` = SOURCE.FLAG is up; `records`: how many have come."
        ),
    ]
    of: Annotated[str, Meta(description="Whose: a lane, a point, a flag.")] = ""
    above: Annotated[float | None, Meta(description="True while it is this or more.")] = None
    below: Annotated[float | None, Meta(description="True while it is less than this.")] = None


class Fault(Struct, frozen=True, kw_only=True):
    """Something that breaks, and heals. With `at_s` at a time; with `when` once all its conditions
    hold. docs/scenarios.md has the table of what can break on which layer."""

    name: Annotated[Name, Meta(description="What expectations call it.")]
    target: Annotated[
        str,
        Meta(
            description="A device, point (`hut_air.pm2_5`), lane, loop (`north_1.trail`), "
            "approach or bus of the site file; or `broker`, `link`, `power`, `clock`, `disk`, "
            "`gateway`."
        ),
    ]
    kind: Annotated[Name, Meta(description="What breaks.")]
    amount: Annotated[
        float | None, Meta(description="How much of it, for kinds that have a measure.")
    ] = None
    at_s: Annotated[Moment | None, Meta(description="When it begins.")] = None
    when: Annotated[
        tuple[Condition, ...] | None,
        Meta(
            description="It begins when all of these hold.",
            extra={"form": 'a list of conditions such as {state = "queue", above = 1000}'},
        ),
    ] = None
    edge: Annotated[
        Edge,
        Meta(
            description="`rising`: the conditions must become true after the start; `falling`: "
            "they must have been true and be so no more; `none`: true from the start will do."
        ),
    ] = "rising"
    after_s: Annotated[
        Span, Meta(description="So long after the conditions hold; `at_s` takes no delay.")
    ] = 0.0
    for_s: Annotated[
        Lasting | None,
        Meta(description="It heals after so long; what is over at once (power, kill) has none."),
    ] = None


class Expect(Struct, frozen=True, kw_only=True):
    """What the box has to do. Each `what` has keys of its own; docs/scenarios.md has them."""

    name: Annotated[Sentence, Meta(description="The sentence that the report shows.")]
    what: Annotated[
        Literal[
            "volume", "value", "quality", "flag", "event", "gap", "issue",
            "complete", "nothing_else", "in_force",
        ],
        Meta(
            description="`volume`: vehicles counted on a lane; `value`: a point of a record; "
            "`quality`: the reason that a point has; `flag`: a flag goes up; `event`: "
            "an event of a kind; `gap`: a declared gap; `issue`: what the status says; "
            "`complete`: each number came, none twice with two contents; `nothing_else`: no flag, "
            "event or gap that no other expectation names; `in_force`: the "
            "fault was seen to have an effect while something went through."
        ),
    ]  # fmt: skip
    source: Annotated[
        str, Meta(description="A lane, a device, an approach; for `in_force` none.")
    ] = ""
    fault: Annotated[
        Name | None, Meta(description="The fault that it is about: times count from its beginning.")
    ] = None
    key: Annotated[str, Meta(description="A point, a flag, the kind of an event or issue.")] = ""
    reason: Annotated[
        str,
        Meta(
            description="For `quality`: a word that records use, such as `silent` or `bad:silent`; "
            "any that is not good, if left out."
        ),
    ] = ""
    field: Annotated[
        Literal["mean", "last", "min", "max", "delta"],
        Meta(description="For `value`: which of a point's figures."),
    ] = "mean"
    equals: Annotated[float | None, Meta(description="For `value` and `volume`.")] = None
    true: Annotated[
        bool,
        Meta(description="For `volume`: as many as the rig drove over it, in place of `equals`."),
    ] = False
    tolerance: Annotated[
        float, Meta(ge=0.0, description="So far off is right, in the unit of the value.")
    ] = 0.0
    unit: Annotated[
        str, Meta(description="For `value`: the unit that the record has to state.")
    ] = ""
    from_s: Annotated[Moment | None, Meta(description="Only what ended after this.")] = None
    until_s: Annotated[Moment | None, Meta(description="Only what ended up to this.")] = None
    after_s: Annotated[Span, Meta(description="Not sooner after the fault.")] = 0.0
    within_s: Annotated[
        Span | None, Meta(description="At the latest so long after the fault, or the start.")
    ] = None
    absent: Annotated[bool, Meta(description="It must not be seen at all.")] = False


class Scenario(Struct, frozen=True, kw_only=True):
    """A whole file, checked. `file` is where it stands; names of files in it are from there."""

    file: str
    about: About
    traffic: tuple[Traffic, ...] = ()
    vehicles: tuple[Vehicle, ...] = ()
    traces: tuple[Trace, ...] = ()
    signals: tuple[Signal, ...] = ()
    values: tuple[Value, ...] = ()
    faults: tuple[Fault, ...] = ()
    expects: tuple[Expect, ...] = ()


TABLES: Final[dict[str, tuple[str, type[Struct]]]] = {
    "traffic": ("traffic", Traffic),
    "vehicle": ("vehicles", Vehicle),
    "trace": ("traces", Trace),
    "signal": ("signals", Signal),
    "value": ("values", Value),
    "fault": ("faults", Fault),
    "expect": ("expects", Expect),
}
"""Name of an array of tables -> field of Scenario, model."""
