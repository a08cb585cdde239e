"""Messages to a gateway, and its answers. Decisions 12 and 14; strict JSON, 64 KiB."""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, UnsetType

from edge.wire.contract.boxevent import StreamName
from edge.wire.contract.status import Retained
from edge.wire.contract.terms import Count, Epoch, Name, Seq, WireStruct, meaning

ID_LIMIT: Final = 64  # characters of a command's id
LONGEST_SPREAD_S: Final = 3600
Id = Annotated[str, Meta(min_length=1, max_length=ID_LIMIT)]
ID = "Chosen by the sender. A repeated `id` in one epoch gets the same answer and nothing is done."


class Ranges(WireStruct, kw_only=True):
    """Numbers of one epoch and stream."""

    epoch: Annotated[Epoch, meaning("The epoch.")]
    stream: Annotated[StreamName, meaning("The stream.")]
    ranges: Annotated[
        list[tuple[Seq, Seq]], meaning("First and last number of each range, both included.")
    ]


class Receipt(Retained, kw_only=True):
    """Numbers that the platform has stored durably. The gateway then deletes these records."""

    receipts: Annotated[
        list[Ranges],
        meaning("What is stored. Ranges and entries together are at most 2,000."),
    ]


class Command(Retained, kw_only=True):
    """A command. A retained command is refused; one that names another epoch is stale."""

    epoch: Annotated[Epoch, meaning("The current epoch, as in the retained status.")]
    id: Annotated[Id, meaning(ID)]


class Resend(Command, kw_only=True):
    """Send these numbers again, as far as the gateway still has them."""

    ranges: Annotated[
        list[Ranges], meaning("What is missing. Ranges and entries together are at most 2,000.")
    ]


class AskStatus(Command, kw_only=True):
    """Publish the retained status again."""


class ReconnectSpread(WireStruct, kw_only=True):
    """The time over which gateways spread their reconnections after a loss. Retained; an empty
    payload deletes it."""

    v: Annotated[Literal[1], meaning("Version of the wire format.")]
    spread_s: Annotated[
        Annotated[float, Meta(ge=0, le=LONGEST_SPREAD_S)], meaning("Longest wait.", "s")
    ]


class Answer(Retained, kw_only=True):
    """The answer to a command: JSON, not retained. One with the verb `doctor` answers nobody:
    `kerbstone doctor` has looked whether the gateway may publish."""

    id: Annotated[Id, meaning("The command's `id`.")]
    verb: Annotated[Name, meaning("The command's verb.")]
    ok: Annotated[bool, meaning("Whether the command was carried out.")]
    error: (
        Annotated[str, meaning("If it was not carried out: the reason, for people.")] | UnsetType
    ) = UNSET
    resent: Annotated[Count, meaning("resend: how many rows are sent again.")] | UnsetType = UNSET
    gone: (
        Annotated[Count, meaning("resend: how many numbers the gateway no longer has.")] | UnsetType
    ) = UNSET
    left: (
        Annotated[Count, meaning("resend: how many numbers were not searched yet; ask again.")]
        | UnsetType
    ) = UNSET
