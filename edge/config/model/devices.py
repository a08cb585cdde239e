"""What hangs on the wires: devices, lanes with their loops, and bays."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from edge.config.model.fieldtypes import Line, Name


class Phase(Struct, frozen=True, kw_only=True):
    """A contact of the signal controller: closed while the signal of an approach has a colour."""

    approach: Annotated[Name, Meta(description="The approach whose signal it is.")]
    colour: Annotated[
        Literal["red", "amber", "green"],
        Meta(
            description="What the signal shows while the contact is on. Without one for green, "
            "what is neither red nor amber is green; without one for red, what is neither green "
            "nor amber is red. Amber alone is not enough."
        ),
    ]


class Device(Struct, frozen=True, kw_only=True):
    """A device on a bus. Its driver may want further keys: those are its options."""

    driver: Annotated[str, Meta(description="What it is: the name of its driver.")]
    bus: Annotated[str, Meta(description="The bus it sits on.")]
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
                description="Which of its points are read; without this, all. Not for devices on "
                "GPIO lines."
            ),
        ]
        | None
    ) = None
    reversed: Annotated[
        bool,
        Meta(
            description="Its current transformers, or the whole meter, are mounted backwards: "
            "power and current change their sign, and import and export registers are exchanged, "
            "those of phases and tariffs and reactive ones too. Not for a meter whose sign alone "
            'is the other way: that is `positive = "export"`. Only for devices that tell a '
            "direction.",
        ),
    ] = False
    phase: (
        Annotated[
            Phase,
            Meta(
                extra={"form": 'a table such as { approach = "north", colour = "green" }'},
                description="Of driver `contact` only: it tells the colour of a signal. Lanes of "
                "that approach then say what they did with their green, and the contact makes no "
                "events.",
            ),
        ]
        | None
    ) = None
    options: dict[str, Any] = field(default_factory=dict)


class Class(Struct, frozen=True, kw_only=True):
    """A class of vehicles by length: from the class before it up to `to_m`."""

    name: Annotated[Name, Meta(description="How records call it.")]
    to_m: (
        Annotated[
            float,
            Meta(
                ge=0.5,
                le=50.0,
                description="Metres up to which a vehicle is of this class. The last class has "
                "none: it takes what is longer.",
            ),
        ]
        | None
    ) = None


class Lane(Struct, frozen=True, kw_only=True):
    """A lane or a cycle track with one loop, or with a pair that gives speed and length as well."""

    approach: Annotated[
        Name, Meta(description="The approach it belongs to; lanes of one are judged together.")
    ]
    bus: Annotated[str, Meta(description="The GPIO bus its loop cards are wired to.")]
    lead: Annotated[Line, Meta(description="The line of the loop that a vehicle reaches first.")]
    trail: (
        Annotated[Line, Meta(description="The line of the second loop, if there is one.")] | None
    ) = None
    spacing_m: (
        Annotated[
            float,
            Meta(
                ge=0.5,
                le=50.0,
                description="Metres from the front edge of the first loop to that of the second. "
                "A pair needs it.",
            ),
        ]
        | None
    ) = None
    loop_m: Annotated[
        float, Meta(ge=0.2, le=20.0, description="Metres of one loop along the lane.")
    ] = 2.0
    mode: Annotated[
        Literal["presence", "pulse"],
        Meta(description="The loop card's output: closed while occupied, or a short pulse."),
    ] = "presence"
    kind: Annotated[
        Literal["vehicle", "bicycle"],
        Meta(
            description="What its loops are made for. Bicycles are slower and shorter, their loops "
            "lie closer together (0.5 m at least, vehicles 1.83 m), and they are not judged for "
            "congestion. A pair tells the wrong way as long as a bicycle covers both loops."
        ),
    ] = "vehicle"
    role: (
        Annotated[
            Literal["mainline", "turn", "auxiliary", "bus", "bicycle"],
            Meta(
                description="What the lane is for: how much traffic it may have beside the next "
                "one, and how long none at all, before its loops are taken for dead. An auxiliary "
                "lane begins and ends here, such as one to leave or enter the road. Without it a "
                "lane is `mainline`, and one of kind `bicycle` is `bicycle`."
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
        Meta(description="The resistor of the GPIO chip; a contact to ground needs `up`."),
    ] = "up"
    position: Annotated[
        Literal["corridor", "advance", "mid", "stop"],
        Meta(
            description="Where the loops lie: on a road without signals near, in advance of the "
            "stop line, mid-block, or at the stop line."
        ),
    ] = "corridor"
    max_presence_s: Annotated[
        float,
        Meta(ge=10.0, le=3600.0, description="A loop occupied for longer is taken to be stuck."),
    ] = 300.0
    stopped_s: Annotated[
        float,
        Meta(
            ge=3.0,
            le=600.0,
            description="A vehicle that occupies a loop for longer has stopped there. At most "
            "`max_presence_s`.",
        ),
    ] = 10.0
    tailgate_s: Annotated[
        float,
        Meta(
            ge=0.1,
            le=10.0,
            description="Who follows with less than this many seconds between its front and the "
            "rear before it follows too close.",
        ),
    ] = 0.9
    effective_m: (
        Annotated[
            float,
            Meta(
                ge=0.2,
                le=20.0,
                description="Metres of road in which a loop sees a vehicle, where that is not "
                "`loop_m`: a loop's field is not as long as its wire. Lengths come out right with "
                "it.",
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
                description="The speed limit here. A lane with one loop scales its estimate of "
                "speeds by it.",
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
                description="Classes by length, for a pair of loops; up to eight. Loops do not see "
                "axles: these are no classes of TLS or FHWA. Without them: shortest, very_short, "
                "short, medium, medium_long, long.",
            ),
        ]
        | None
    ) = None


class Approach(Struct, frozen=True, kw_only=True):
    """What lies after an approach, so that a queue can be followed to where it comes from.

    It is needed only for approaches with another one downstream. Its name is that of its lanes.
    """

    downstream: Annotated[
        Name, Meta(description="The approach that its traffic reaches next, of lanes of this site.")
    ]
    distance_m: Annotated[
        float, Meta(ge=1.0, le=20000.0, description="Metres from its loops to those of the next.")
    ]


class Bay(Struct, frozen=True, kw_only=True):
    """A loading, charging or parking bay with one loop or contact."""

    bus: Annotated[str, Meta(description="The GPIO bus it is wired to.")]
    line: Annotated[Line, Meta(description="The line of its loop or contact.")]
    kind: Annotated[Literal["loading", "charging", "parking"], Meta(description="What it is for.")]
    active: Annotated[
        Literal["low", "high"], Meta(description="The level of the line while it is occupied.")
    ] = "low"
    bias: Annotated[
        Literal["up", "down", "none"],
        Meta(description="The resistor of the GPIO chip; a contact to ground needs `up`."),
    ] = "up"
    max_stay_min: Annotated[
        float,
        Meta(
            ge=0.0,
            le=10080.0,
            description="Minutes after which who stays is told to stay too long. 0: no limit.",
        ),
    ] = 0.0
    min_stay_s: Annotated[
        float,
        Meta(
            ge=0.0,
            le=600.0,
            description="Seconds that make a stay. What leaves sooner only passed by.",
        ),
    ] = 10.0
