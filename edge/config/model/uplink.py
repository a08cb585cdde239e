"""The broker, and how to connect to it."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from edge.config.model.fieldtypes import Folder
from edge.core import TOPIC_PREFIX, Endpoint, endpoint


class Uplink(Struct, frozen=True, kw_only=True):
    """The broker, and how to connect to it."""

    url: Annotated[
        str,
        Meta(description="`mqtts://host:8883` (TLS) or `mqtt://host:1883` (in the clear)."),
    ]
    confirm: Annotated[
        Literal["broker", "platform"],
        Meta(
            description="Who must confirm a record before it is deleted here: the "
            "broker (it has accepted the record, and may still lose it) "
            "or the platform (a receipt says that the record is stored)."
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
                description="An HTTP proxy through which the brokers are reached (CONNECT).",
            ),
        ]
        | None
    ) = None
    last_s: Annotated[
        int,
        Meta(
            ge=0,
            le=86_400,
            description="At most once in so many seconds, the newest record of each source is "
            "retained under `up/last` as well, for programs that want the present values at once. "
            "0: never; it doubles the bytes.",
        ),
    ] = 0
    encoding: Annotated[
        Literal["msgpack", "json"],
        Meta(description="The encoding of records. `json` can be read by people, and is larger."),
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
            description="The beginning of all topics.",
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
            Meta(
                description="PEM file of the authority that signs the broker's "
                "certificate; if left out, the system's authorities."
            ),
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
        int,
        Meta(
            ge=5,
            le=3600,
            description="Seconds without traffic on the connection after which the "
            "broker is pinged.",
        ),
    ] = 30
    window: Annotated[
        int,
        Meta(
            ge=1,
            le=2000,
            description="The most records that may be sent and not yet answered; the "
            "broker may lower it.",
        ),
    ] = 200

    @property
    def endpoint(self) -> Endpoint:
        """Host, port and TLS of a url that has been checked."""
        return endpoint(self.url)

    @property
    def urls(self) -> tuple[str, ...]:
        """All brokers, in the order in which they are tried."""
        return (self.url, *(self.fallback or ()))
