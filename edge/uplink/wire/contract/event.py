"""Events of the site: what its traffic, its series, its sensors and its switches do.

All have one moment, a kind in `event`, and a sentence for people in `text`.
"""

from typing import Annotated, Literal

from msgspec import UNSET, UnsetType

from edge.core import Condition, Reason
from edge.uplink.wire.contract.header import Sourced
from edge.uplink.wire.contract.terms import Count, Name, OnOff, Share, told

BY = "Who says so: `model NAME VERSION` or `rule NAME`."


class Event(Sourced, tag_field="event", kw_only=True):
    """Something happened; `from` and `to` are its moment. Always JSON, ahead of all summaries."""

    stream: Annotated[Literal["event"], told("The stream.")]
    text: Annotated[str, told("One sentence for people, in English.")]


class Congestion(Event, tag="congestion", kw_only=True):
    """The flag of an approach goes on or off."""

    state: Annotated[OnOff, told("On or off.")]
    approach: Annotated[Name, told("The approach.")]
    p: Annotated[Share | None, told("How likely; null: no healthy loop knows.", "/")]
    by: Annotated[str, told(BY)] | UnsetType = UNSET


class Anomaly(Event, tag="anomaly", kw_only=True):
    """The flag of a series goes on or off."""

    state: Annotated[OnOff, told("On or off.")]
    point: Annotated[str, told("The point of the device that `source` names.")]
    score: Annotated[Share, told("How odd it is.", "/")] | UnsetType = UNSET
    onset: Annotated[Share, told("How much it looks like the begin of it.", "/")] | UnsetType = (
        UNSET
    )
    cause: (
        Annotated[
            Literal["spike", "stuck", "dropout", "noise", "drift", "shift"] | None,
            told("What is odd; null when it goes off."),
        ]
        | UnsetType
    ) = UNSET
    by: Annotated[str, told(BY)] | UnsetType = UNSET


class SensorFault(Event, tag="sensor_fault", kw_only=True):
    """A sensor, a device or a line is not to be believed from now on, or is again."""

    state: Annotated[OnOff, told("On or off.")]
    reason: Annotated[Reason, told("Why it gives nothing; when it goes on.")] | UnsetType = UNSET
    fault: (
        Annotated[
            Literal["stuck_on", "chatter", "no_activity"],
            told("What a rule found. NTCIP 1209: maxPresence, erraticCounts, noActivity."),
        ]
        | UnsetType
    ) = UNSET
    part: Annotated[Literal["lead", "trail"], told("Which loop.")] | UnsetType = UNSET
    by: Annotated[str, told(BY)] | UnsetType = UNSET


class Meter(Event, tag="meter", kw_only=True):
    """A register went back, or forward further than it can. The step is not counted."""

    kind: Annotated[
        Literal["reset", "swap"], told("It began again near zero, or is another register.")
    ]
    point: Annotated[str, told("The register.")]
    unit: Annotated[str, told("Unit of `before` and `after`.")]
    before: Annotated[float, told("Its last value, in `unit`.")]
    after: Annotated[float, told("Its next value, in `unit`.")]
    by: Annotated[str, told(BY)]


class Swap(Event, tag="swap", kw_only=True):
    """A device tells another serial number than before."""

    before: Annotated[str, told("Serial number.")]
    after: Annotated[str, told("Serial number.")]


class DeviceHealth(Event, tag="health", kw_only=True):
    """What a device says of itself comes or goes."""

    state: Annotated[
        Literal["on", "off", "flicker", "rest"],
        told("flicker: it says now this, now that, and is told again at rest."),
    ]
    condition: (
        Annotated[Condition, told("Of the closed list; not with flicker and rest.")] | UnsetType
    ) = UNSET


class Switch(Event, kw_only=True):
    """A plain contact has changed."""

    state: Annotated[
        Literal["on", "off", "flicker"],
        told("flicker: too many changes; told again at rest."),
    ]
    lost_edges: Annotated[Count, told("Edges lost before this one.")] | UnsetType = UNSET


class Door(Switch, tag="door", kw_only=True):
    """The door of the cabinet; on is open."""


class Tamper(Switch, tag="tamper", kw_only=True):
    """The tamper switch; on: somebody may be tampering."""


class Plug(Switch, tag="plug", kw_only=True):
    """A charger's plug; on is in."""


class PlainContact(Switch, tag="contact", kw_only=True):
    """Any other contact; on is closed."""


SITE_EVENTS: tuple[type[Event], ...] = (
    Congestion, Anomaly, SensorFault, Meter, Swap, DeviceHealth, Door, Tamper, Plug, PlainContact,
)  # fmt: skip
