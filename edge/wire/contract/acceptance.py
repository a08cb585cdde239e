"""Commissioning, as the city hears of it: in the status, and in the event `acceptance`."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.wire.contract.terms import Positive, Sha256, Time, WireStruct, meaning

AcceptedState = Literal["accepted", "reservations"]
VerdictWord = Literal["passed", "unproven", "doubtful", "failed"]
StepName = Annotated[str, Meta(max_length=140, description="Such as `lane:north_1`.")]
SignerName = Annotated[str, Meta(min_length=1, max_length=64)]
"""As a person typed it: whoever minds writes initials."""


class AcceptanceStatus(WireStruct, kw_only=True):
    """How far the site is commissioned."""

    state: Annotated[
        Literal["none", "open", "accepted", "reservations", "stale"],
        meaning(
            "none: nobody has begun. open: somebody is at it, and no sheet was signed. accepted "
            "and reservations: as the last sheet. stale: devices or the site file have changed "
            "since."
        ),
    ]
    number: Annotated[Positive, meaning("Of the last sheet.")] | UnsetType = UNSET
    by: Annotated[SignerName, meaning("Who has signed it.")] | UnsetType = UNSET
    at: Annotated[Time, meaning("When; left out: the clock was not set.")] | UnsetType = UNSET
    sheet_sha256: Annotated[Sha256, meaning("SHA-256 of it.")] | UnsetType = UNSET
    stale: (
        Annotated[
            list[StepName],
            meaning("With stale: the steps that would be other ones now; at most 32."),
        ]
        | UnsetType
    ) = UNSET
