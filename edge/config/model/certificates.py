"""What a certificate says: the correction of a point, or the numbers of a gas cell."""

import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

Where = Annotated[
    str,
    Meta(
        pattern=r"[a-z0-9_-]{1,64}\.[a-z][a-z0-9_]*",
        extra={"form": 'a device and a point of it, such as "hut_air.humidity"'},
    ),
]
Note = Annotated[str, Meta(pattern=r".{1,120}", extra={"form": "1 to 120 characters"})]
Millivolt = Annotated[
    float, Meta(ge=-2000.0, le=2000.0, description="From the certificate, in mV.")
]


class Certificate(Struct, frozen=True, kw_only=True):
    """Who calibrated what, when, and until when it counts."""

    by: Annotated[Note, Meta(description="Who calibrated it.")]
    on: Annotated[datetime.date, Meta(description="The date of the calibration.")]
    certificate: Annotated[Note, Meta(description="The certificate's number.")] | None = None
    until: (
        Annotated[
            datetime.date,
            Meta(
                description="The last day (UTC) on which it is valid. After that, values "
                "are `uncertain:calibration`."
            ),
        ]
        | None
    ) = None


class Calibration(Certificate, frozen=True, kw_only=True):
    """A correction of one point: for humidity, then by offset and gain or by a polynomial.

    corrected = offset + gain * measured. If `kappa` is given, `measured` is first divided by the
    growth of particles in humid air (kappa-Koehler).
    """

    device: Annotated[str, Meta(description="The device.")]
    point: Annotated[str, Meta(description="Its point.")]
    offset: (
        Annotated[float, Meta(ge=-1e6, le=1e6, description="Added last, in the unit of the point.")]
        | None
    ) = None
    gain: (
        Annotated[
            float, Meta(ge=-1e6, le=1e6, description="The measured value is multiplied by this.")
        ]
        | None
    ) = None
    polynomial: (
        Annotated[
            tuple[float, ...],
            Meta(description="In place of offset and gain: c0, c1, c2 ... of c0 + c1 x + c2 x^2."),
        ]
        | None
    ) = None
    kappa: (
        Annotated[
            float,
            Meta(
                ge=0.01,
                le=1.5,
                description="How hygroscopic the particles are; 0.3 to 0.4 in cities.",
            ),
        ]
        | None
    ) = None
    humidity: (
        Annotated[Where, Meta(description="Where the humidity is measured. Required with `kappa`.")]
        | None
    ) = None
    publish: Annotated[
        Literal["corrected", "both"],
        Meta(
            description="`both` sends the measured value as well, as a point that ends with _raw."
        ),
    ] = "corrected"


class Cell(Certificate, frozen=True, kw_only=True):
    """An Alphasense gas cell on an ADC: its two voltages become a new point in ppb (AAN 803).

    The name of the table is the key of the new point. All numbers are on the cell's certificate.
    """

    device: Annotated[str, Meta(description="The device that measures the voltages.")]
    type: Annotated[
        Literal[
            "CO-A4", "CO-B4", "H2S-A4", "H2S-B4", "NO-A4", "NO-B4", "NO2-A43F", "NO2-B43F",
            "OX-A431", "OX-B431", "SO2-A4", "SO2-B4",
        ],
        Meta(description="The type of the cell."),
    ]  # fmt: skip
    working: Annotated[str, Meta(description="The point that is the working electrode's voltage.")]
    auxiliary: Annotated[
        str, Meta(description="The point that is the auxiliary electrode's voltage.")
    ]
    we_electronic_mv: Millivolt
    ae_electronic_mv: Millivolt
    we_zero_mv: Millivolt
    ae_zero_mv: Millivolt
    sensitivity_mv_ppb: Annotated[
        float, Meta(ge=0.001, le=100.0, description="Millivolts for one ppb of its gas.")
    ]
    algorithm: Annotated[
        int,
        Meta(
            ge=0,
            le=4,
            description="The algorithm of the application note; 0 is the one that the "
            "note prefers.",
        ),
    ] = 0
    temperature: Annotated[Where, Meta(description="Where the temperature is measured.")]
    no2: (
        Annotated[
            Where,
            Meta(description="For an OX cell, which also reacts to NO2: where NO2 is measured."),
        ]
        | None
    ) = None
    no2_mv_ppb: (
        Annotated[
            float,
            Meta(
                ge=0.001,
                le=100.0,
                description="Millivolts for one ppb of NO2. Required with `no2`.",
            ),
        ]
        | None
    ) = None
