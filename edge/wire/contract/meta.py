"""The retained description: what each number of a gateway means."""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.core import Quantity
from edge.wire.contract.bay import BayMeta
from edge.wire.contract.models import Models
from edge.wire.contract.status import Retained
from edge.wire.contract.terms import (
    Amount,
    Count,
    DisplayName,
    Name,
    Time,
    WireStruct,
    Yes,
    meaning,
)

Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$", extra_json_schema={"format": "date"})]


class Certificate(WireStruct, kw_only=True):
    """Who calibrated a point, when, until when, and how (as in site.toml)."""

    by: Annotated[str, meaning("Who calibrated it.")]
    on: Annotated[Day, meaning("When.")]
    certificate: Annotated[str, meaning("Its number.")] | UnsetType = UNSET
    until: Annotated[Day, meaning("The last day (UTC) on which it is valid.")] | UnsetType = UNSET
    offset: Annotated[float, meaning("Added after `gain`, in the point's unit.")] | UnsetType = (
        UNSET
    )
    gain: Annotated[float, meaning("Factor for the measured value.")] | UnsetType = UNSET
    polynomial: (
        Annotated[list[float], meaning("c0, c1, c2 ... instead of gain and offset.")] | UnsetType
    ) = UNSET
    kappa: Annotated[float, meaning("Hygroscopicity of the particles (kappa).")] | UnsetType = UNSET
    humidity: Annotated[str, meaning("DEVICE.POINT of the humidity.")] | UnsetType = UNSET
    publish: (
        Annotated[Literal["corrected", "both"], meaning("Which values are published.")] | UnsetType
    ) = UNSET
    type: Annotated[str, meaning("Type of the gas cell.")] | UnsetType = UNSET
    working: Annotated[str, meaning("Point of the working electrode.")] | UnsetType = UNSET
    auxiliary: Annotated[str, meaning("Point of the auxiliary electrode.")] | UnsetType = UNSET
    we_electronic_mv: (
        Annotated[float, meaning("Electronic zero, working electrode.", "mV")] | UnsetType
    ) = UNSET
    ae_electronic_mv: Annotated[float, meaning("Electronic zero, auxiliary.", "mV")] | UnsetType = (
        UNSET
    )
    we_zero_mv: Annotated[float, meaning("Zero, working electrode.", "mV")] | UnsetType = UNSET
    ae_zero_mv: Annotated[float, meaning("Zero, auxiliary electrode.", "mV")] | UnsetType = UNSET
    sensitivity_mv_ppb: Annotated[float, meaning("Sensitivity.", "mV/ppb")] | UnsetType = UNSET
    algorithm: Annotated[int, meaning("Number in AAN 803; 0 is the preferred one.")] | UnsetType = (
        UNSET
    )
    temperature: Annotated[str, meaning("DEVICE.POINT of the temperature.")] | UnsetType = UNSET
    no2: Annotated[str, meaning("DEVICE.POINT of the NO2 value.")] | UnsetType = UNSET
    no2_mv_ppb: Annotated[float, meaning("Sensitivity to NO2.", "mV/ppb")] | UnsetType = UNSET


QuantityName = Annotated[str, Meta(extra_json_schema={"x-known": [q.label for q in Quantity]})]
Unit = Annotated[str, Meta(extra_json_schema={"x-known": sorted({q.unit for q in Quantity})})]


SummaryKind = Literal["gauge", "total"]


class PointMeta(WireStruct, kw_only=True):
    """A point: its quantity, unit and range."""

    quantity: Annotated[QuantityName, meaning("What is measured.")]
    unit: Annotated[Unit, meaning("SenML symbol (RFC 8428, RFC 8798) where there is one.")]
    step: Annotated[Amount, meaning("Resolution of its summaries, in `unit`.")]
    kind: Annotated[SummaryKind, meaning("gauge: records have its mean; total: its growth.")]
    low: Annotated[float, meaning("Lowest plausible value, in `unit`.")] | UnsetType = UNSET
    high: Annotated[float, meaning("Highest plausible value, in `unit`.")] | UnsetType = UNSET
    calibration: Annotated[Certificate, meaning("Its calibration.")] | UnsetType = UNSET


DeviceStream = Literal["traffic", "air", "energy"]


class DeviceMeta(WireStruct, kw_only=True):
    """A device that is polled."""

    driver: Annotated[str, meaning("Name of its driver.")]
    stream: Annotated[DeviceStream, meaning("The stream of its records.")]
    every_s: Annotated[Amount, meaning("Time between two polls.", "s")]
    points: Annotated[dict[str, PointMeta], meaning("Its points.")]
    reversed: (
        Annotated[
            Yes,
            meaning(
                "The device is mounted backwards. The gateway changes the sign of power and"
                " current, and exchanges import and export registers."
            ),
        ]
        | UnsetType
    ) = UNSET
    serial: Annotated[str, meaning("Its serial number, once it is known.")] | UnsetType = UNSET


class ClassMeta(WireStruct, kw_only=True):
    """A class of vehicles by length; it begins where the previous class ends."""

    name: Annotated[Name, meaning("Name in `classes` of a record. NTCIP 1209: zoneClassLabel.")]
    to_m: Annotated[Amount | None, meaning("Upper limit of the class; null: no limit.", "m")]


class LaneMeta(WireStruct, kw_only=True):
    """A lane with loops."""

    approach: Annotated[Name, meaning("The approach.")]
    position: Annotated[
        Literal["corridor", "advance", "mid", "stop"], meaning("Where the loops of the lane lie.")
    ]
    mode: Annotated[Literal["presence", "pulse"], meaning("NTCIP 1209: sensorZoneOutputMode.")]
    loops: Annotated[Literal[1, 2], meaning("One loop, or a pair.")]
    spacing_m: Annotated[
        Amount | None,
        meaning("Leading edge to leading edge. NTCIP 1209: sensorZonePairedZoneSpacing.", "m"),
    ]
    loop_m: Annotated[Amount, meaning("Length of a loop. NTCIP 1209: sensorZoneLength.", "m")]
    tailgate_s: Annotated[Amount, meaning("A shorter gap counts as tailgating.", "s")]
    stopped_s: Annotated[
        Amount, meaning("A vehicle with a longer presence counts as stopped.", "s")
    ]
    effective_m: (
        Annotated[
            Amount,
            meaning(
                "The effective length of the detection zone, if it differs from `loop_m`.", "m"
            ),
        ]
        | UnsetType
    ) = UNSET
    limit_kmh: (
        Annotated[Amount, meaning("The speed limit, where it is configured.", Quantity.SPEED)]
        | UnsetType
    ) = UNSET
    classes: (
        Annotated[
            list[ClassMeta],
            meaning("Length classes, the shortest first; only with a pair of loops."),
        ]
        | UnsetType
    ) = UNSET


class SignalMeta(WireStruct, kw_only=True):
    """The contacts that report the colour of a signal. A colour without a contact is inferred."""

    red: Annotated[str, meaning("The device that is on while the signal is red.")] | UnsetType = (
        UNSET
    )
    amber: (
        Annotated[str, meaning("The device that is on while the signal is amber.")] | UnsetType
    ) = UNSET
    green: (
        Annotated[str, meaning("The device that is on while the signal is green.")] | UnsetType
    ) = UNSET


Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
LATITUDE: Final = meaning(
    "WGS 84, north is positive. A key of its own: no list has an order.", "deg"
)
LONGITUDE: Final = meaning("WGS 84, east is positive.", "deg")


class ApproachMeta(WireStruct, kw_only=True):
    """An approach, or a station of a corridor."""

    name: Annotated[DisplayName, meaning("What people call it.")] | UnsetType = UNSET
    road: (
        Annotated[DisplayName, meaning("Number or name of the road, as on signs.")] | UnsetType
    ) = UNSET
    bearing_deg: (
        Annotated[
            float,
            Meta(ge=0, le=360),
            meaning("Direction in which its traffic travels, clockwise from north.", "deg"),
        ]
        | UnsetType
    ) = UNSET
    latitude: Annotated[Latitude, LATITUDE] | UnsetType = UNSET
    longitude: Annotated[Longitude, LONGITUDE] | UnsetType = UNSET
    downstream: Annotated[Name | None, meaning("The approach that its traffic reaches next.")]
    distance_m: Annotated[
        Amount | None, meaning("Distance from its loops to the loops of the next approach.", "m")
    ]
    signal: (
        Annotated[SignalMeta, meaning("Its signal, if contacts report the colour.")] | UnsetType
    ) = UNSET


class BoxMeta(WireStruct, kw_only=True):
    """What the box is made of. What it does not know is left out."""

    software: Annotated[str, meaning("Version of Kerbstone.")] | UnsetType = UNSET
    python: Annotated[str, meaning("Version of Python.")] | UnsetType = UNSET
    system: Annotated[str, meaning("The operating system, by its own name.")] | UnsetType = UNSET
    kernel: Annotated[str, meaning("Release of the kernel.")] | UnsetType = UNSET
    image: (
        Annotated[str, meaning("The card image that it was made from, with its version.")]
        | UnsetType
    ) = UNSET
    machine: Annotated[str, meaning("The processor, such as aarch64.")] | UnsetType = UNSET
    board: Annotated[str, meaning("Model of the board.")] | UnsetType = UNSET
    serial: Annotated[str, meaning("The board's serial number.")] | UnsetType = UNSET
    processors: Annotated[Count, meaning("Cores.")] | UnsetType = UNSET
    memory_bytes: Annotated[Count, meaning("Memory of the board.", "B")] | UnsetType = UNSET
    certificate_until: (
        Annotated[Time, meaning("End of the certificate with which it connects.")] | UnsetType
    ) = UNSET


class Description(Retained, kw_only=True):
    """What each number means: points with units and ranges, lanes, models."""

    site: Annotated[Name, meaning("The site.")]
    site_name: Annotated[DisplayName, meaning("What people call it.")] | UnsetType = UNSET
    latitude: Annotated[Latitude, LATITUDE] | UnsetType = UNSET
    longitude: Annotated[Longitude, LONGITUDE] | UnsetType = UNSET
    names: (
        Annotated[
            dict[Name, DisplayName],
            meaning(
                "Display names of lanes, bays and devices (also of contacts and pulse meters), by"
                " source. Text of the site file: keys of records stay the sources."
            ),
        ]
        | UnsetType
    ) = UNSET
    zone: Annotated[str, meaning("IANA time zone of the site. A day on the wire is a UTC day.")]
    period_s: Annotated[Amount, meaning("Length of a window.", "s")]
    units: Annotated[dict[QuantityName, Unit], meaning("One unit per quantity.")]
    devices: Annotated[dict[str, DeviceMeta], meaning("Devices that are polled, by source.")]
    lanes: Annotated[dict[str, LaneMeta], meaning("Lanes, by source.")]
    approaches: Annotated[
        dict[str, ApproachMeta],
        meaning("Approaches: what lies downstream of each, and its signal."),
    ]
    bays: Annotated[dict[str, BayMeta], meaning("Bays, by source.")]
    box: (
        Annotated[
            BoxMeta,
            meaning(
                "Software, image and hardware; published anew when the certificate or a model"
                " changes. Left out before version 0.3."
            ),
        ]
        | UnsetType
    ) = UNSET
    models: Annotated[Models, meaning("The models in use; null: switched off or not needed.")]
