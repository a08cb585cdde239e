"""Events of the site: what its traffic, its series, its sensors and its switches do.

All have one moment, a kind in `event`, and a sentence for people in `text`.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.core import Condition, Reason
from edge.wire.contract.body import RecordBody, Text
from edge.wire.contract.terms import (
    GROWS,
    Amount,
    Count,
    Fault,
    LoopPart,
    Name,
    OnOff,
    Share,
    meaning,
)

Cause = Annotated[
    Literal["spike", "stuck", "dropout", "noise", "drift", "shift", "scale", "event"],
    Meta(extra_json_schema=GROWS),
]
BY = "What made the decision: `model NAME VERSION` or `rule NAME`."


class Event(RecordBody, tag_field="event", kw_only=True):
    """Something happened; `from` and `to` are its moment. Always JSON, sent before summaries."""

    if TYPE_CHECKING:  # each kind declares it where it goes out
        text: str


class Congestion(Event, tag="congestion", kw_only=True):
    """The flag of an approach goes on or off."""

    state: Annotated[OnOff, meaning("On or off.")]
    approach: Annotated[Name, meaning("The approach.")]
    p: Annotated[Share | None, meaning("Probability of congestion; null: no healthy loop.", "/")]
    by: Annotated[str, meaning(BY)] | UnsetType = UNSET
    text: Text
    p5: (
        Annotated[
            Share | None,
            meaning(
                "Probability of congestion in 5 minutes; null: no forecast, because no model "
                "answers.",
                "/",
            ),
        ]
        | UnsetType
    ) = UNSET
    p15: (
        Annotated[
            Share | None,
            meaning(
                "Probability of congestion in 15 minutes; null: no forecast, because no model "
                "answers.",
                "/",
            ),
        ]
        | UnsetType
    ) = UNSET
    reason: (
        Annotated[str, meaning("What was measured when the flag changed, in words; may be empty.")]
        | UnsetType
    ) = UNSET


class Incident(Event, tag="incident", kw_only=True):
    """A suspected incident: something may block a lane or the road."""

    state: Annotated[OnOff, meaning("On or off.")]
    upstream: Annotated[Name, meaning("The approach upstream of the suspected incident.")]
    downstream: Annotated[
        Name,
        meaning(
            "The approach downstream of the suspected incident. The same as `upstream`: it is "
            "suspected on that approach, between its loops."
        ),
    ]
    by: Annotated[str, meaning(BY)] | UnsetType = UNSET
    text: Text


class Anomaly(Event, tag="anomaly", kw_only=True):
    """The flag of a series goes on or off."""

    state: Annotated[OnOff, meaning("On or off.")]
    point: Annotated[
        str,
        meaning(
            "The point of the device that `source` names; of a lane: volume, occupancy or speed."
        ),
    ]
    score: Annotated[Share, meaning("The anomaly score.", "/")] | UnsetType = UNSET
    onset: (
        Annotated[
            Share, meaning("How much the latest value looks like the start of an anomaly.", "/")
        ]
        | UnsetType
    ) = UNSET
    cause: (
        Annotated[
            Cause | None,
            meaning(
                "The kind of anomaly; null when the flag goes off. scale: the usual course with "
                "larger or smaller swings. event: an unusual event that passes."
            ),
        ]
        | UnsetType
    ) = UNSET
    meant: (
        Annotated[
            Literal["sensor", "world"] | None,
            meaning(
                "Where the anomaly comes from: a wrong sensor, or unusual real conditions "
                "(world); null: not known."
            ),
        ]
        | UnsetType
    ) = UNSET
    by: Annotated[str, meaning(BY)] | UnsetType = UNSET
    text: Text


class SensorFault(Event, tag="sensor_fault", kw_only=True):
    """Data of a sensor, a device or a line are in doubt from now on, or can be trusted again."""

    state: Annotated[OnOff, meaning("On or off.")]
    by: Annotated[str, meaning(BY)] | UnsetType = UNSET
    fault: (
        Annotated[
            Fault,
            meaning(
                "What a rule or a model found. NTCIP 1209, sensorZoneStatus: stuck_on is "
                "maxPresence, stuck_off and no_activity are noActivity, chatter and "
                "breakup are erraticCounts, mismatch and swapped are pairedZoneFault, the "
                "others are sensorFailure. DATEX II: dataError, reasonForDataError. "
                "phase: the contact of a signal. Without `part`, chatter and stuck_on "
                "are those of the contact of a bay or a pulse output. The others are found "
                "in devices by rule plausibility, in values that contradict each other. "
                "phase_sum: the phases do "
                "not add up; apparent_power: more power than voltage and current can carry; "
                "power_factor: the power factor does not agree with the powers; phases_swapped: "
                "the current of one phase is measured with the voltage of another; "
                "direction: the sign of power does not agree with the register that "
                "grows; backwards: power is exported day and night; two_devices: a "
                "register jumps back and forth between two values; heat: heat does not "
                "agree with flow and temperatures; size_order: more particles in a size "
                "range than in a wider one that contains it.",
                **GROWS,
            ),
        ]
        | UnsetType
    ) = UNSET
    part: Annotated[LoopPart, meaning("Which loop.")] | UnsetType = UNSET
    points: (
        Annotated[
            list[str],
            meaning("Of a device: the points that contradict each other, or agree again."),
        ]
        | UnsetType
    ) = UNSET
    score: (
        Annotated[Share, meaning("How likely it is that the loop gives wrong data.", "/")]
        | UnsetType
    ) = UNSET
    text: Text
    reason: Annotated[Reason, meaning("With `state` on: why there are no values.")] | UnsetType = (
        UNSET
    )
    since_s: (
        Annotated[
            Amount,
            meaning("With `state` on: how long before `from` it may have begun.", "s"),
        ]
        | UnsetType
    ) = UNSET


class Overstay(Event, tag="overstay", kw_only=True):
    """A vehicle has reached the time limit of a bay, or has left after reaching that limit."""

    state: Annotated[OnOff, meaning("On when the limit is reached, off when the vehicle has left.")]
    by: Annotated[str, meaning(BY)]
    max_stay_min: Annotated[Amount, meaning("The limit.", "min")]
    stay_s: (
        Annotated[
            Amount, meaning("How long the vehicle stayed; left out if that is not known.", "s")
        ]
        | UnsetType
    ) = UNSET
    text: Text


class Meter(Event, tag="meter", kw_only=True):
    """A register went back, grew more than it can, or is counted in the other direction.

    The step is not counted.
    """

    by: Annotated[str, meaning(BY)]
    kind: Annotated[
        Literal["reset", "swap", "reversed"],
        meaning(
            "reset: the register began again near zero. swap: it is another register. reversed: the"
            " key `reversed` of the device was changed, so import and export are exchanged."
        ),
    ]
    point: Annotated[str, meaning("The register.")]
    unit: Annotated[str, meaning("Unit of `before` and `after`.")]
    before: Annotated[float, meaning("Its last value, in `unit`.")]
    after: Annotated[float, meaning("Its next value, in `unit`.")]
    text: Text


class Swap(Event, tag="swap", kw_only=True):
    """A device reports another serial number than before."""

    before: Annotated[str, meaning("Serial number.")]
    after: Annotated[str, meaning("Serial number.")]
    text: Text


class DeviceHealth(Event, tag="health", kw_only=True):
    """A condition that a device reports goes on or off."""

    state: Annotated[
        Literal["on", "off", "flicker", "settled"],
        meaning("flicker: the condition changes too often. settled: it is steady again."),
    ]
    condition: (
        Annotated[
            Condition, meaning("A condition of the closed list; left out with flicker and settled.")
        ]
        | UnsetType
    ) = UNSET
    text: Text


class Switch(Event, kw_only=True):
    """A plain contact has changed."""

    state: Annotated[
        Literal["on", "off", "flicker"],
        meaning("flicker: too many changes; the state is reported once it has settled."),
    ]
    text: Text
    lost_edges: Annotated[Count, meaning("Edges lost before this one.")] | UnsetType = UNSET


class Door(Switch, tag="door", kw_only=True):
    """The door of the cabinet; on is open."""


class Tamper(Switch, tag="tamper", kw_only=True):
    """The tamper switch; on: somebody may be tampering with the box."""


class Plug(Switch, tag="plug", kw_only=True):
    """A charger's plug; on is plugged in."""


class PlainContact(Switch, tag="contact", kw_only=True):
    """Any other contact; on is closed."""


SITE_EVENTS: tuple[type[Event], ...] = (
    Congestion, Incident, Anomaly, SensorFault, Overstay, Meter, Swap, DeviceHealth, Door, Tamper,
    Plug, PlainContact,
)  # fmt: skip
