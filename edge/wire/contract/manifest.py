"""Manifests: which records were sent, so that completeness is proved without asking.

Decision 13; `wire.seal` calculates the chain of digests on both sides.
"""

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from edge.core import TimeQuality
from edge.wire.contract.body import RecordBody
from edge.wire.contract.boxevent import PreviousEpoch, StreamName
from edge.wire.contract.terms import Algorithm, Count, Epoch, Seq, Sha256, Step, meaning

Moment = tuple[Count, Count, Count, TimeQuality, Count | None, Count | None]
Moments = Annotated[list[Moment], Meta(max_length=32)]
CLOCK = (
    "Each is `[boot, monotonic, wall, tq, before, after]` in microseconds; `wall` is Unix time. A"
    " record of that boot has the wall times `mono + wall - monotonic`. If the time is uncertain,"
    " `before` is the latest known moment of earlier boots, `after` the earliest known start of a"
    " later one."
)


class Manifest(RecordBody, kw_only=True):
    """A manifest seals one segment of a stream's numbers; one is sent every 15 min, after 2,000
    records and at a clean stop.
    """

    epoch_of: Annotated[Epoch, meaning("The epoch of the records that it seals.")]
    stream_of: Annotated[
        StreamName, meaning("The stream of these records; `source` has the same name.")
    ]
    first: Annotated[Seq, meaning("The first number.")]
    last: Annotated[Count, meaning("The last number; 0 when it seals nothing.")]
    count: Annotated[Count, meaning("How many records; 0 in the first manifest of an epoch.")]
    seqs: Annotated[list[Step], meaning("Numbers of the records, as steps [first, last, step].")]
    sha256: Annotated[Sha256, meaning("End of the digest chain over these records, in order.")]
    clock: Annotated[Moments, meaning(f"The moments with which the records were dated. {CLOCK}")]
    clock_redelivered: (
        Annotated[
            Moments, meaning("The same for records that were sent again since the last manifest.")
        ]
        | UnsetType
    ) = UNSET
    former: (
        Annotated[PreviousEpoch, meaning("In the first manifest of an epoch: the previous epoch.")]
        | UnsetType
    ) = UNSET
    alg: (
        Annotated[
            Algorithm,
            meaning("Signature algorithm of the device's key."),
        ]
        | UnsetType
    ) = UNSET
    cert_sha256: Annotated[Sha256, meaning("Digest of the device's certificate.")] | UnsetType = (
        UNSET
    )
    sig: (
        Annotated[
            Annotated[str, Meta(pattern="^[A-Za-z0-9+/]+={0,2}$")],
            meaning("Signature, Base64.", contentEncoding="base64"),
        ]
        | UnsetType
    ) = UNSET
