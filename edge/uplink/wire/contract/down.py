"""What comes down to a gateway, and what it answers. Decisions 12 and 14; strict JSON, 64 KiB."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.uplink.wire.contract.boxevent import StreamName
from edge.uplink.wire.contract.status import Retained
from edge.uplink.wire.contract.terms import Count, Epoch, Name, Part, Seq, told
from edge.uplink.wire.down import ID_LIMIT, LONGEST_SPREAD_S

Id = Annotated[str, Meta(min_length=1, max_length=ID_LIMIT)]
ID = "Chosen by the sender; the same again in an epoch gets the same answer and does nothing."


class Ranges(Part, kw_only=True):
    """Numbers of one epoch and stream."""

    epoch: Annotated[Epoch, told("The epoch.")]
    stream: Annotated[StreamName, told("The stream.")]
    ranges: Annotated[
        list[tuple[Seq, Seq]], told("First and last number of each range, both included.")
    ]


class Receipt(Retained, kw_only=True):
    """Numbers that the platform has stored durably: only then rows leave the outbox."""

    receipts: Annotated[
        list[Ranges],
        told("What is stored. Ranges and entries together are at most 2,000."),
    ]


class Command(Retained, kw_only=True):
    """A command. Retained ones are refused; another epoch than the running one is stale."""

    epoch: Annotated[Epoch, told("The epoch that runs, as the retained status tells it.")]
    id: Annotated[Id, told(ID)]


class Resend(Command, kw_only=True):
    """Send these numbers again, as far as they are still here."""

    ranges: Annotated[
        list[Ranges], told("What is missing. Ranges and entries together are at most 2,000.")
    ]


class AskStatus(Command, kw_only=True):
    """Publish the retained status anew."""


class Spread(Part, kw_only=True):
    """How long reconnections spread after a loss. Retained; an empty payload takes it back."""

    v: Annotated[Literal[1], told("Version of the wire format.")]
    spread_s: Annotated[
        Annotated[float, Meta(ge=0, le=LONGEST_SPREAD_S)], told("Longest wait.", "s")
    ]


class Answer(Retained, kw_only=True):
    """The answer to a command: JSON, not retained."""

    id: Annotated[Id, told("That of the command.")]
    verb: Annotated[Name, told("That of the command.")]
    ok: Annotated[bool, told("Whether it was done.")]
    error: Annotated[str, told("When it was not: why, for people.")] | UnsetType = UNSET
    again: Annotated[Count, told("resend: how many rows go out again.")] | UnsetType = UNSET
    gone: Annotated[Count, told("resend: how many numbers are not here any more.")] | UnsetType = (
        UNSET
    )
    left: (
        Annotated[Count, told("resend: how many numbers were not looked for yet; ask again.")]
        | UnsetType
    ) = UNSET
