"""The box itself, its uplink, and what it may tell: the sections of which a site has one each."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from edge.config.model.words import Folder, Name
from edge.core import Endpoint, endpoint


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


SECTIONS: Final[dict[str, type[Struct]]] = {
    "site": Place,
    "store": Store,
    "uplink": Uplink,
    "streams": Streams,
    "privacy": Privacy,
    "models": Models,
}
