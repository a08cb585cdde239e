"""The retained status: birth, will and goodbye, and how the gateway fares."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from edge.core import Condition
from edge.core.reading import TimeQuality
from edge.uplink.wire.contract.health import CAUSE, BoardCondition, RebootCause
from edge.uplink.wire.contract.models import Models
from edge.uplink.wire.contract.terms import Amount, Count, Epoch, Name, WireStruct, meaning


class Retained(WireStruct, kw_only=True):
    """What the retained messages of the gateway itself begin with."""

    v: Annotated[Literal[1], meaning("Version of the wire format.")]
    gw: Annotated[Name, meaning("The gateway.")]


class DeviceStatus(WireStruct, kw_only=True):
    """A device that is polled."""

    reads: Annotated[Count, meaning("Answers since the start.")]
    errors: Annotated[Count, meaning("Failures since the start.")]
    missed: Annotated[Count, meaning("Polls that were due and not made.")]
    state: Annotated[str, meaning("ok, or a reason of the closed list.")]
    text: Annotated[str, meaning("What fails, for people.")] | UnsetType = UNSET
    serial: Annotated[str, meaning("Its serial number.")] | UnsetType = UNSET
    health: (
        Annotated[dict[Condition, str], meaning("What it says of itself, and a sentence each.")]
        | UnsetType
    ) = UNSET


class Beginning(WireStruct, kw_only=True):
    """Why the daemon was started."""

    cause: Annotated[RebootCause, meaning(CAUSE)]
    text: Annotated[str, meaning("The same for people.")]


class Box(WireStruct, kw_only=True):
    """How the box itself fares."""

    model: Annotated[str | None, meaning("The board; null: it does not tell.")]
    serial: Annotated[str | None, meaning("The board's serial number.")]
    start: Annotated[Beginning, meaning("Why the daemon was started.")]
    alarms: Annotated[
        dict[BoardCondition, str],
        meaning("Conditions of the box that are on, each with what to do."),
    ]
    health: Annotated[dict[str, Any], meaning("What a health record says, as of now.")]


class Sparing(WireStruct, kw_only=True):
    """How far bytes are spared, and what this month has cost."""

    level: Annotated[
        Literal[0, 1, 2],
        meaning(
            "0: as usual. 1: records go together each quarter of an hour. 2: minutes merge into"
            " quarter hours before."
        ),
    ]
    used: Annotated[Count, meaning("Of this month, in and out.", "B")]
    budget: Annotated[Count, meaning("Of a month; 0: none.", "B")]
    month: Annotated[str | None, meaning("The month of account, such as 2026-11; null: not known.")]


class Online(Retained, tag_field="state", tag="online", kw_only=True):
    """The gateway is connected. Published at each connection, and when problems change."""

    boot: Annotated[Count, meaning("Number of the boot.")]
    epoch: Annotated[Epoch, meaning("The epoch that runs: commands have to name it.")]
    tq: Annotated[TimeQuality, meaning("How far its wall clock can be trusted.")]
    uptime_s: Annotated[Amount, meaning("Since the daemon's start.", "s")]
    problems: Annotated[dict[str, str], meaning("What is broken now, by device or line.")]
    box: Annotated[Box, meaning("How the box itself fares.")]
    devices: Annotated[dict[str, DeviceStatus], meaning("Devices that are polled.")]
    dropped: Annotated[Count, meaning("What came in and was dropped: the loop was too busy.")]
    unmatched_edges: Annotated[Count, meaning("Edges of lines that nobody claims.")]
    unmatched_inputs: Annotated[Count, meaning("Contacts and sweeps of unknown sources.")]
    stage_overflow: Annotated[Count, meaning("Entries that the stage had no room for.")]
    models: Annotated[Models, meaning("Who judges; null: not asked for.")]
    data_saver: Annotated[Sparing, meaning("How far bytes are spared.")] | UnsetType = UNSET
    rss_kib: Annotated[Count, meaning("Most memory that the daemon has taken.", "KiB")]


class Offline(Retained, tag_field="state", tag="offline", kw_only=True):
    """The gateway is not connected: its goodbye, or the broker's word (the will)."""

    why: Annotated[
        Literal["lost", "stopped"],
        meaning("lost: the connection broke. stopped: the daemon was stopped."),
    ]
