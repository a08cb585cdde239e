"""The model of site.toml: every key with its type, its bounds, its default and what it means.

The reference in docs/configuration.md is generated from here.
"""

import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from msgspec import Meta, Struct, field

from edge.core import Endpoint, endpoint
from edge.core.driver import FACTORY, SerialLine

VERSION: Final = 1  # of the file's format; a file of another version is refused

Name = Annotated[
    str,
    Meta(
        pattern=r"[a-z0-9_-]{1,64}",
        extra={"form": "1 to 64 of a-z, 0-9, _ and -"},  # it becomes part of a topic
    ),
]
Folder = Annotated[str, Meta(pattern=r"/.*", extra={"form": "a path that begins with /"})]
Wire = Annotated[
    str,
    Meta(
        pattern=r"(sim:)?/.*",
        extra={"form": "a path that begins with /, or sim:/path of a simulator's socket"},
    ),
]
Port = Annotated[
    str, Meta(pattern=r"/.*", extra={"form": 'a port such as "/dev/serial/by-id/..."'})
]
Line = Annotated[
    str,
    Meta(
        pattern=r"[A-Za-z0-9_.:/-]{1,64}",
        extra={"form": 'a GPIO line: "GPIO17", an offset in quotes, or a name'},
    ),
]
Baud = Literal[300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200]
Parity = Literal["N", "E", "O"]
Bits = Literal[7, 8]
Stop = Literal[1, 2]
Millivolt = Annotated[
    float, Meta(ge=-2000.0, le=2000.0, description="From the certificate, in mV.")
]
Timeout = Annotated[
    float, Meta(ge=0.05, le=30.0, description="Seconds to wait for an answer before giving up.")
]


class Place(Struct, frozen=True, kw_only=True):
    """Which gateway this is. The two names are part of every topic."""

    id: Annotated[Name, Meta(description="The site: an intersection, a street, a district.")]
    gateway: Annotated[Name, Meta(description="This box. No two gateways may share a name.")]
    zone: Annotated[
        str,
        Meta(
            pattern=r"[A-Za-z0-9_+/-]{1,64}",
            extra={"form": 'a time zone such as "Europe/Berlin"'},
            description="The time zone, told to the platform. Records are in UTC.",
        ),
    ] = "UTC"
    period_s: Annotated[
        int,
        Meta(
            ge=1,
            le=900,
            description="Seconds of one record; a whole number of them makes an hour.",
        ),
    ] = 60


class Store(Struct, frozen=True, kw_only=True):
    """Where records wait until the platform has them."""

    dir: Annotated[Folder, Meta(description="The outbox: on disk, kept through power cuts.")] = (
        "/var/lib/kerbstone"
    )
    run_dir: Annotated[
        Folder, Meta(description="The stage and the control socket: in memory (tmpfs).")
    ] = "/run/kerbstone"
    limit_mb: Annotated[
        int, Meta(ge=8, le=65536, description="The most the outbox may take on disk, in MB.")
    ] = 256


class Uplink(Struct, frozen=True, kw_only=True):
    """The broker, and how it is spoken to."""

    url: Annotated[
        str,
        Meta(description="`mqtts://host:8883` (TLS) or `mqtt://host:1883` (in the clear)."),
    ]
    confirm: Annotated[
        Literal["broker", "platform"],
        Meta(
            description="Who must confirm a record before it is forgotten: the broker (it has "
            "taken it) or the platform (a receipt says that it is stored; not in this version)."
        ),
    ] = "broker"
    encoding: Annotated[
        Literal["msgpack", "json"],
        Meta(description="How records are written. `json` can be read as it is, and is larger."),
    ] = "msgpack"
    protocol: Annotated[
        Literal["5", "3.1.1"],
        Meta(description="The version of MQTT. In 3.1.1 a refused record looks like a success."),
    ] = "5"
    prefix: Annotated[
        str,
        Meta(
            pattern=r"(?=.{1,128}$)[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*",
            extra={"form": 'words with / between them, such as "kerbstone/v1"'},
            description="What all topics begin with.",
        ),
    ] = "kerbstone/v1"
    username: Annotated[str, Meta(description="The user's name at the broker.")] | None = None
    password_file: (
        Annotated[
            Folder,
            Meta(
                description="A file that holds the password, in one line. Others may not read it."
            ),
        ]
        | None
    ) = None
    ca: (
        Annotated[
            Folder,
            Meta(description="PEM file of who signs the broker's certificate; else the system's."),
        ]
        | None
    ) = None
    cert: (
        Annotated[Folder, Meta(description="PEM file of this gateway's own certificate.")] | None
    ) = None
    key: (
        Annotated[Folder, Meta(description="PEM file of its private key. Others may not read it.")]
        | None
    ) = None
    keepalive_s: Annotated[
        int, Meta(ge=5, le=3600, description="Seconds of silence after which the broker is asked.")
    ] = 30
    window: Annotated[
        int, Meta(ge=1, le=2000, description="Records under way at once; the broker may lower it.")
    ] = 200

    @property
    def endpoint(self) -> Endpoint:
        """Host, port and TLS of a url that has been checked."""
        return endpoint(self.url)


class Streams(Struct, frozen=True, kw_only=True):
    """What is sent beside the summaries."""

    raw: Annotated[
        bool,
        Meta(
            description="Send every single reading. For test rigs: it needs "
            "`privacy.passages = true`."
        ),
    ] = False
    raw_commit_s: Annotated[
        float,
        Meta(
            ge=0.0,
            le=60.0,
            description="Seconds of readings in one batch of `raw`. 0 commits at once: the "
            "shortest delay, and a write to the card for each batch.",
        ),
    ] = 10.0


class Privacy(Struct, frozen=True, kw_only=True):
    """What may be told about single vehicles."""

    passages: Annotated[
        bool, Meta(description="Single passages may leave this box. Summaries never show them.")
    ] = False


class Models(Struct, frozen=True, kw_only=True):
    """Which models judge. Without one, its published rule does; the flag says who did."""

    congestion: Annotated[bool, Meta(description="Flag congestion for each approach.")] = True
    anomaly: Annotated[bool, Meta(description="Flag odd behaviour in each series.")] = True
    dir: (
        Annotated[
            Folder, Meta(description="Models from this folder instead of those that were shipped.")
        ]
        | None
    ) = None


class GpioBus(Struct, frozen=True, kw_only=True):
    """A GPIO chip: loops, S0 outputs, contacts."""

    kind: ClassVar[str] = "gpio"
    chip: Annotated[Wire, Meta(description="The chip.")] = "/dev/gpiochip0"


class I2cBus(Struct, frozen=True, kw_only=True):
    """An I2C bus: air sensors."""

    kind: ClassVar[str] = "i2c"
    path: Annotated[Wire, Meta(description="The bus.")] = "/dev/i2c-1"


class SerialBus(Struct, frozen=True, kw_only=True):
    """A serial port with a device that talks in frames, or with several that have addresses.

    What is left out is as its device leaves the factory.
    """

    kind: ClassVar[str] = "serial"
    port: Annotated[Port, Meta(description="The port.")]
    baud: Annotated[Baud, Meta(description="Bits per second.")] | None = None
    parity: Annotated[Parity, Meta(description="None, even or odd.")] | None = None
    bits: Annotated[Bits, Meta(description="Data bits.")] | None = None
    stop: Annotated[Stop, Meta(description="Stop bits.")] | None = None

    def line(self, factory: SerialLine = FACTORY) -> SerialLine:
        """How the port is set, where its device leaves the factory like this."""
        return SerialLine(
            self.baud or factory.baud,
            self.bits or factory.bits,
            self.parity or factory.parity,
            self.stop or factory.stop,
        )


class ModbusRtuBus(Struct, frozen=True, kw_only=True):
    """An RS-485 line with Modbus devices on it. The gateway is its only master."""

    kind: ClassVar[str] = "modbus-rtu"
    port: Annotated[Port, Meta(description="The port of the RS-485 adapter.")]
    baud: Annotated[Baud, Meta(description="Bits per second, as set in all its devices.")] = 9600
    parity: Annotated[Parity, Meta(description="None, even or odd.")] = "N"
    stop: Annotated[Stop, Meta(description="Stop bits.")] = 1
    timeout_s: Timeout = 0.5


class ModbusTcpBus(Struct, frozen=True, kw_only=True):
    """A Modbus TCP device, or a converter with an RS-485 line behind it."""

    kind: ClassVar[str] = "modbus-tcp"
    host: Annotated[
        str,
        Meta(
            pattern=r"[A-Za-z0-9_.:-]{1,253}",
            extra={"form": "a name or an address of a host"},
            description="Its name or address.",
        ),
    ]
    port: Annotated[int, Meta(ge=1, le=65535, description="Its TCP port.")] = 502
    timeout_s: Timeout = 1.0


Bus = GpioBus | I2cBus | SerialBus | ModbusRtuBus | ModbusTcpBus
BUSES: Final[dict[str, type[Bus]]] = {
    model.kind: model for model in (GpioBus, I2cBus, SerialBus, ModbusRtuBus, ModbusTcpBus)
}


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


Where = Annotated[
    str,
    Meta(
        pattern=r"[a-z0-9_-]{1,64}\.[a-z][a-z0-9_]*",
        extra={"form": 'a device and a point of it, such as "hut_air.humidity"'},
    ),
]
Note = Annotated[str, Meta(pattern=r".{1,120}", extra={"form": "1 to 120 characters"})]


class Certificate(Struct, frozen=True, kw_only=True):
    """Who calibrated what, when, and until when it counts."""

    by: Annotated[Note, Meta(description="Who calibrated it.")]
    on: Annotated[datetime.date, Meta(description="When.")]
    certificate: Annotated[Note, Meta(description="The certificate's number.")] | None = None
    until: (
        Annotated[
            datetime.date,
            Meta(
                description="The last day (UTC) on which it counts. Later, values are "
                "`uncertain:calibration`."
            ),
        ]
        | None
    ) = None


class Calibration(Certificate, frozen=True, kw_only=True):
    """A correction of one point: for humidity, then by offset and gain or by a polynomial.

    corrected = offset + gain * measured, where `measured` is divided by the growth of particles in
    humid air (kappa-Koehler) before, if `kappa` is given.
    """

    device: Annotated[str, Meta(description="The device.")]
    point: Annotated[str, Meta(description="Its point.")]
    offset: (
        Annotated[float, Meta(ge=-1e6, le=1e6, description="Added last, in the unit of the point.")]
        | None
    ) = None
    gain: (
        Annotated[float, Meta(ge=-1e6, le=1e6, description="What is measured is times this.")]
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
                description="How hygroscopic the particles are; in cities 0.3 to 0.4.",
            ),
        ]
        | None
    ) = None
    humidity: (
        Annotated[Where, Meta(description="Where the humidity is measured. kappa needs it.")] | None
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
        int, Meta(ge=0, le=4, description="Of the application note; 0 is the one it prefers.")
    ] = 0
    temperature: Annotated[Where, Meta(description="Where the temperature is measured.")]
    no2: (
        Annotated[Where, Meta(description="For an OX cell, which sees NO2 too: where it is.")]
        | None
    ) = None
    no2_mv_ppb: (
        Annotated[
            float,
            Meta(ge=0.001, le=100.0, description="Millivolts for one ppb of NO2. no2 needs it."),
        ]
        | None
    ) = None


SECTIONS: Final[dict[str, type[Struct]]] = {
    "site": Place,
    "store": Store,
    "uplink": Uplink,
    "streams": Streams,
    "privacy": Privacy,
    "models": Models,
}
TABLES: Final = ("bus", "device", "lane", "calibration", "cell")  # tables of named tables
WIRINGS: Final[dict[str, tuple[str, ...]]] = {
    "i2c": ("i2c",),
    "serial": ("serial",),
    "modbus": ("modbus-rtu", "modbus-tcp"),
    "gpio": ("gpio",),
}  # how a driver is wired -> the kinds of bus that carry it
