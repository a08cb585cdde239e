"""What comes down to a gateway, and what it answers. Decisions 12 and 14; strict JSON, 64 KiB."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.uplink.wire.contract.boxevent import StreamName
from edge.uplink.wire.contract.status import Retained
from edge.uplink.wire.contract.terms import Count, Epoch, Name, Seq, WireStruct, meaning
from edge.uplink.wire.down import ID_LIMIT, LONGEST_SPREAD_S

Id = Annotated[str, Meta(min_length=1, max_length=ID_LIMIT)]
ID = "Chosen by the sender; the same again in an epoch gets the same answer and does nothing."


class Ranges(WireStruct, kw_only=True):
    """Numbers of one epoch and stream."""

    epoch: Annotated[Epoch, meaning("The epoch.")]
    stream: Annotated[StreamName, meaning("The stream.")]
    ranges: Annotated[
        list[tuple[Seq, Seq]], meaning("First and last number of each range, both included.")
    ]


class Receipt(Retained, kw_only=True):
    """Numbers that the platform has stored durably: only then rows leave the outbox."""

    receipts: Annotated[
        list[Ranges],
        meaning("What is stored. Ranges and entries together are at most 2,000."),
    ]


class Command(Retained, kw_only=True):
    """A command. Retained ones are refused; another epoch than the running one is stale."""

    epoch: Annotated[Epoch, meaning("The epoch that runs, as the retained status tells it.")]
    id: Annotated[Id, meaning(ID)]


class Resend(Command, kw_only=True):
    """Send these numbers again, as far as they are still here."""

    ranges: Annotated[
        list[Ranges], meaning("What is missing. Ranges and entries together are at most 2,000.")
    ]


class AskStatus(Command, kw_only=True):
    """Publish the retained status anew."""


class ReconnectSpread(WireStruct, kw_only=True):
    """How long reconnections spread after a loss. Retained; an empty payload takes it back."""

    v: Annotated[Literal[1], meaning("Version of the wire format.")]
    spread_s: Annotated[
        Annotated[float, Meta(ge=0, le=LONGEST_SPREAD_S)], meaning("Longest wait.", "s")
    ]


class Answer(Retained, kw_only=True):
    """The answer to a command: JSON, not retained."""

    id: Annotated[Id, meaning("That of the command.")]
    verb: Annotated[Name, meaning("That of the command.")]
    ok: Annotated[bool, meaning("Whether it was done.")]
    error: Annotated[str, meaning("When it was not: why, for people.")] | UnsetType = UNSET
    resent: Annotated[Count, meaning("resend: how many rows go out again.")] | UnsetType = UNSET
    gone: (
        Annotated[Count, meaning("resend: how many numbers are not here any more.")] | UnsetType
    ) = UNSET
    left: (
        Annotated[Count, meaning("resend: how many numbers were not looked for yet; ask again.")]
        | UnsetType
    ) = UNSET
