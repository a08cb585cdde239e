"""What hangs on the wires: devices, lanes with their loops, and bays."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from edge.config.model.fieldtypes import DisplayName, Latitude, Line, Longitude, Name, ShownText


class Phase(Struct, frozen=True, kw_only=True):
    """A contact of the signal controller: closed while the signal of an approach has a colour."""

    approach: Annotated[Name, Meta(description="The approach whose signal it is.")]
    colour: Annotated[
        Literal["red", "amber", "green"],
        Meta(
            description="What the signal shows while the contact is on. Without a "
            "contact for green, time that is neither red nor amber is "
            "taken as green; without one for red, time that is neither "
            "green nor amber is taken as red. A contact for amber alone "
            "is not enough."
        ),
    ]


class Device(Struct, frozen=True, kw_only=True):
    """A device on a bus. Its driver may have further keys, its options."""

    driver: Annotated[str, Meta(description="The name of its driver.")]
    bus: Annotated[str, Meta(description="The bus that it is connected to.")]
    every_s: Annotated[
        float,
        Meta(
            ge=0.001,
            le=3600.0,
            description="Seconds between two readings. Not for devices on GPIO lines.",
        ),
    ] = 1.0
    points: (
        Annotated[
            tuple[str, ...],
            Meta(
                description="Which of its points are read; all, if left out. Not for "
                "devices on GPIO lines."
            ),
        ]
        | None
    ) = None
    reversed: Annotated[
        bool,
        Meta(
            description="Its current transformers, or the whole meter, are mounted "
            "backwards. The gateway then changes the sign of power and "
            "current, and exchanges import and export registers, also "
            "those of phases, of tariffs and of reactive energy. If only "
            "the sign convention of the meter differs, use `positive = "
            '"export"` instead. Only for devices that give a direction.',
        ),
    ] = False
    name: DisplayName | None = None
    phase: (
        Annotated[
            Phase,
            Meta(
                extra={"form": 'a table such as { approach = "north", colour = "green" }'},
                description="Only with driver `contact`: the contact tells the colour of "
                "a signal. Records of the lanes of that approach then have "
                "`signal` (arrivals on green, split failures), and the "
                "contact sends no events of its own.",
            ),
        ]
        | None
    ) = None
    options: dict[str, Any] = field(default_factory=dict)


class Class(Struct, frozen=True, kw_only=True):
    """A class of vehicles by length: from the class before it up to `to_m`."""

    name: Annotated[Name, Meta(description="Its name in records.")]
    to_m: (
        Annotated[
            float,
            Meta(
                ge=0.5,
                le=50.0,
                description="Metres up to which a vehicle is of this class. The last "
                "class has none: it takes all longer vehicles.",
            ),
        ]
        | None
    ) = None


class Lane(Struct, frozen=True, kw_only=True):
    """A lane or a cycle track with one loop, or with a pair that gives speed and length as well."""

    approach: Annotated[
        Name,
        Meta(
            description="The approach that the lane belongs to; lanes of one approach "
            "are judged together."
        ),
    ]
    name: DisplayName | None = None
    bus: Annotated[str, Meta(description="The GPIO bus that its loop cards are wired to.")]
    lead: Annotated[Line, Meta(description="The line of the loop that a vehicle reaches first.")]
    trail: (
        Annotated[Line, Meta(description="The line of the second loop of a pair, if there is one.")]
        | None
    ) = None
    spacing_m: (
        Annotated[
            float,
            Meta(
                ge=0.5,
                le=50.0,
                description="Metres from the front edge of the first loop to the front "
                "edge of the second. A pair needs it.",
            ),
        ]
        | None
    ) = None
    loop_m: Annotated[
        float, Meta(ge=0.2, le=20.0, description="Length of one loop along the lane, in metres.")
    ] = 2.0
    mode: Annotated[
        Literal["presence", "pulse"],
        Meta(
            description="The output mode of the loop card: `presence` is closed while "
            "the loop is occupied, `pulse` is a short pulse for each "
            "vehicle."
        ),
    ] = "presence"
    kind: Annotated[
        Literal["vehicle", "bicycle"],
        Meta(
            description="What its loops detect. Bicycles are slower and shorter, and "
            "their loops may lie closer together (at least 0.5 m; for "
            "vehicles 1.83 m). They are not judged for congestion. A pair "
            "detects a bicycle that goes the wrong way only if the "
            "bicycle covers both loops at once."
        ),
    ] = "vehicle"
    role: (
        Annotated[
            Literal["mainline", "turn", "auxiliary", "bus", "bicycle"],
            Meta(
                description="What the lane is for. It sets two limits: how little traffic "
                "the lane may have compared with the adjacent lane, and for how "
                "long it may have none. If it has less, or none for longer, its "
                "loops are taken for dead. Congestion is judged without `turn`, `bus` "
                "and `bicycle` lanes where others lie beside them. An auxiliary lane begins and "
                "ends here, such as an exit or entry lane. If left out, a lane of "
                "kind `bicycle` is `bicycle`, the outer lanes of a place with more "
                "lanes than each place upstream and downstream are `auxiliary` "
                "(at a signal `turn`), and all others are `mainline`."
            ),
        ]
        | None
    ) = None
    active: Annotated[
        Literal["low", "high"],
        Meta(description="The level of the line while the contact is closed."),
    ] = "low"
    bias: Annotated[
        Literal["up", "down", "none"],
        Meta(
            description="The pull-up or pull-down resistor of the GPIO chip; a "
            "contact to ground needs `up`."
        ),
    ] = "up"
    position: Annotated[
        Literal["corridor", "advance", "mid", "stop"],
        Meta(
            description="Where the loops lie: on a road with no signals nearby, in "
            "advance of the stop line, mid-block, or at the stop line."
        ),
    ] = "corridor"
    max_presence_s: Annotated[
        float,
        Meta(
            ge=10.0,
            le=3600.0,
            description="Seconds of continuous presence after which a loop is taken "
            "to be stuck on.",
        ),
    ] = 300.0
    stopped_s: Annotated[
        float,
        Meta(
            ge=3.0,
            le=600.0,
            description="Seconds of presence after which a vehicle counts as stopped "
            "on the loop. At most `max_presence_s`.",
        ),
    ] = 10.0
    tailgate_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=10.0,
            description="A vehicle whose time gap to the vehicle in front is shorter "
            "than this counts as tailgating. In seconds.",
        ),
    ] = 0.9
    effective_m: (
        Annotated[
            float,
            Meta(
                ge=0.2,
                le=20.0,
                description="The effective length of the detection zone in metres, if it "
                "differs from `loop_m`: a loop's field is not as long as its "
                "wire. Vehicle lengths are calculated with it.",
            ),
        ]
        | None
    ) = None
    limit_kmh: (
        Annotated[
            float,
            Meta(
                ge=5.0,
                le=200.0,
                description="The speed limit here, in km/h. A lane with one loop scales "
                "its speed estimate by it.",
            ),
        ]
        | None
    ) = None
    classes: (
        Annotated[
            tuple[Class, ...],
            Meta(
                extra={
                    "form": 'a list of tables such as { name = "short", to_m = 6.0 }, the shortest '
                    "first"
                },
                description="Length classes, for a pair of loops; up to eight. Loops do "
                "not detect axles, so these are not classes of TLS or FHWA. "
                "If left out: shortest, very_short, short, medium, "
                "medium_long, long.",
            ),
        ]
        | None
    ) = None


class Approach(Struct, frozen=True, kw_only=True):
    """Where an approach lies, and what lies downstream of it, so that a queue can be followed.

    The table may be left out. NAME is the `approach` of lanes.
    """

    name: DisplayName | None = None
    road: (
        Annotated[
            ShownText,
            Meta(description="The number or the name of its road, as on signs: `B 96`."),
        ]
        | None
    ) = None
    bearing_deg: (
        Annotated[
            float,
            Meta(
                ge=0.0,
                le=360.0,
                description="The direction in which its traffic travels, in degrees clockwise from "
                "north: 90 for traffic to the east. For traffic that comes from the north it is "
                "180.",
            ),
        ]
        | None
    ) = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    downstream: (
        Annotated[
            Name,
            Meta(
                description="The approach that its traffic reaches next; lanes of this "
                "site must belong to it. Needs `distance_m`."
            ),
        ]
        | None
    ) = None
    distance_m: (
        Annotated[
            float,
            Meta(
                ge=1.0,
                le=20000.0,
                description="Metres from its loops to the loops of the next approach.",
            ),
        ]
        | None
    ) = None


class Bay(Struct, frozen=True, kw_only=True):
    """A loading, charging or parking bay with one loop or contact."""

    name: DisplayName | None = None
    bus: Annotated[str, Meta(description="The GPIO bus that it is wired to.")]
    line: Annotated[Line, Meta(description="The line of its loop or contact.")]
    kind: Annotated[Literal["loading", "charging", "parking"], Meta(description="What it is for.")]
    active: Annotated[
        Literal["low", "high"], Meta(description="The level of the line while the bay is occupied.")
    ] = "low"
    bias: Annotated[
        Literal["up", "down", "none"],
        Meta(
            description="The pull-up or pull-down resistor of the GPIO chip; a "
            "contact to ground needs `up`."
        ),
    ] = "up"
    max_stay_min: Annotated[
        float,
        Meta(
            ge=0.0,
            le=10080.0,
            description="Minutes after which a vehicle in the bay counts as an "
            "overstay. 0: no limit.",
        ),
    ] = 0.0
    min_stay_s: Annotated[
        float,
        Meta(
            ge=0.0,
            le=600.0,
            description="Seconds of presence that count as a stay. A vehicle that "
            "leaves sooner only passed by.",
        ),
    ] = 10.0
