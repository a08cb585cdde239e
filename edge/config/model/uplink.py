"""The broker, and how it is spoken to."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.config.model.fieldtypes import Folder
from edge.core import TOPIC_PREFIX, Endpoint, endpoint


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
            "taken it, and may still lose it) or the platform (a receipt says that it is stored)."
        ),
    ] = "broker"
    receipt_s: Annotated[
        int,
        Meta(
            ge=5,
            le=3600,
            description="Seconds without a receipt after which a record is sent again, marked "
            '`redelivered`; then twice as long, up to an hour. Only with `confirm = "platform"`.',
        ),
    ] = 120
    fallback: (
        Annotated[
            tuple[str, ...],
            Meta(
                description="More brokers, tried in this order when `url` cannot be reached; with "
                "the same user, password and certificates."
            ),
        ]
        | None
    ) = None
    proxy: (
        Annotated[
            str,
            Meta(
                pattern=r"http://(\[[0-9a-f:.]+\]|[a-z0-9.-]+):[0-9]{1,5}/?",
                extra={"form": "a proxy of the form http://host:port, in lower case"},
                description="An HTTP proxy that is asked for the way to the brokers (CONNECT).",
            ),
        ]
        | None
    ) = None
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
    ] = TOPIC_PREFIX
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

    @property
    def urls(self) -> tuple[str, ...]:
        """All brokers, in the order in which they are tried."""
        return (self.url, *(self.fallback or ()))
