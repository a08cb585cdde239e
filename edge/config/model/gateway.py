"""The box itself, and what it may tell: the sections of which a site has one each."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from edge.config.model.fieldtypes import DisplayName, Folder, Latitude, Longitude, Name
from edge.config.model.link import Link
from edge.config.model.uplink import Uplink
from edge.config.model.web import Web


class SiteTable(Struct, frozen=True, kw_only=True):
    """Which gateway this is, and where. `id` and `gateway` are part of every topic."""

    id: Annotated[Name, Meta(description="The site: an intersection, a street, a district.")]
    gateway: Annotated[
        Name,
        Meta(
            description="This box. No two gateways may share a name. If it or the "
            "site is changed, records that wait under the old names are "
            "kept in `store.dir` and not sent."
        ),
    ]
    name: Annotated[DisplayName, Meta(description="What people call the site.")] | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    zone: Annotated[
        str,
        Meta(
            pattern=r"[A-Za-z0-9_+/-]{1,64}",
            extra={"form": 'a time zone such as "Europe/Berlin"'},
            description="The time zone of the site, for the platform. Records are in UTC.",
        ),
    ] = "UTC"
    period_s: Annotated[
        int,
        Meta(
            ge=1,
            le=900,
            description="Length of the window of one record, in seconds. An hour must "
            "be a whole number of windows.",
        ),
    ] = 60
    time: Annotated[
        Literal["ntp", "nts"],
        Meta(
            description="How far a synchronised clock can be trusted. `nts` states "
            "that the time service of this box uses servers with NTS "
            "only; the gateway cannot check this."
        ),
    ] = "ntp"

    @property
    def owner(self) -> str:
        """Whose records these are, as store, stage and journal name it."""
        return f"{self.id}/{self.gateway}"


class Store(Struct, frozen=True, kw_only=True):
    """Where records wait until the platform has them."""

    dir: Annotated[Folder, Meta(description="The outbox: on disk, kept through power cuts.")] = (
        "/var/lib/kerbstone"
    )
    run_dir: Annotated[
        Folder, Meta(description="The stage and the control socket: in memory (tmpfs).")
    ] = "/run/kerbstone"
    limit_mb: Annotated[
        int, Meta(ge=8, le=65536, description="The largest size of the outbox on disk, in MB.")
    ] = 256
    ballast_mb: Annotated[
        int,
        Meta(
            ge=0,
            le=1024,
            description="Reserve in MB in addition to `limit_mb`; released when "
            "something else fills the disk. 0: no reserve.",
        ),
    ] = 16
    recorder_mb: Annotated[
        int,
        Meta(
            ge=0,
            le=64,
            description="The most memory of the flight recorder, in MB. It keeps what came in "
            "lately, and keeps it for ten minutes more after a flag or a fault. 0: it is off.",
        ),
    ] = 4
    card_tb: Annotated[
        float,
        Meta(
            ge=0.001,
            le=10000.0,
            description="TB that can be written to the card before it is worn out, "
            "for the forecast of its life. Consumer cards: 0.4 to 1 (an "
            "assumption, because makers do not state it).",
        ),
    ] = 0.4


class Streams(Struct, frozen=True, kw_only=True):
    """What is sent in addition to the summaries."""

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
            description="Seconds of readings in one batch of `raw`. 0 commits at "
            "once: the shortest delay, but one write to the card for each "
            "batch.",
        ),
    ] = 10.0
    health_s: Annotated[
        int, Meta(ge=10, le=86400, description="Seconds between two records of stream `health`.")
    ] = 900
    manifest_s: Annotated[
        int,
        Meta(
            ge=5,
            le=86400,
            description="Seconds between two manifests, which list the records handed "
            "over since the last one.",
        ),
    ] = 900


class Privacy(Struct, frozen=True, kw_only=True):
    """What may be sent about single vehicles."""

    passages: Annotated[
        bool,
        Meta(
            description="Records of single vehicles may leave this box. Summaries "
            "hold only counts and sums. Exception: summaries of a bay "
            "show each stay."
        ),
    ] = False


class Models(Struct, frozen=True, kw_only=True):
    """Which models are used. Without a model its published rule decides; the flag says whether
    model or rule decided."""

    congestion: Annotated[
        bool,
        Meta(
            description="Let the congestion model flag each approach. `false`: the occupancy rule "
            "decides alone. Incidents between two stations are flagged by a rule in any case."
        ),
    ] = True
    anomaly: Annotated[bool, Meta(description="Flag anomalies in each series.")] = True
    loopfault: Annotated[
        bool,
        Meta(
            description="Judge the health of each loop; the congestion model does not "
            "use a faulty loop."
        ),
    ] = True
    dir: (
        Annotated[
            Folder,
            Meta(description="A folder with models to use instead of those that were shipped."),
        ]
        | None
    ) = None
    shadow: (
        Annotated[
            Folder,
            Meta(
                description="A folder of candidate models, with the same layout as `dir`. "
                "Each candidate runs beside the live model and is compared "
                "with it, and never raises a flag."
            ),
        ]
        | None
    ) = None


SECTIONS: Final[dict[str, type[Struct]]] = {
    "site": SiteTable,
    "store": Store,
    "uplink": Uplink,
    "streams": Streams,
    "privacy": Privacy,
    "models": Models,
    "link": Link,
    "web": Web,
}
