"""What hangs on the wires: devices, and lanes with their loops."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from edge.config.model.words import Line, Name


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
    options: dict[str, Any] = field(default_factory=dict)


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
