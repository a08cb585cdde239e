"""The retained status: birth, will and last message, and the state of the gateway."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from edge.core import Condition, TimeQuality
from edge.wire.contract.acceptance import AcceptanceStatus
from edge.wire.contract.health import CAUSE, BoardCondition, RebootCause
from edge.wire.contract.issues import OpenIssueStatus
from edge.wire.contract.models import Models
from edge.wire.contract.terms import Amount, Count, Epoch, Name, WireStruct, meaning


class Retained(WireStruct, kw_only=True):
    """The first fields of the gateway's own retained messages."""

    v: Annotated[Literal[1], meaning("Version of the wire format.")]
    gw: Annotated[Name, meaning("The gateway.")]


class DeviceStatus(WireStruct, kw_only=True):
    """A device that is polled."""

    reads: Annotated[Count, meaning("Answers since the start.")]
    errors: Annotated[Count, meaning("Failures since the start.")]
    missed: Annotated[Count, meaning("Polls that were due and not made.")]
    state: Annotated[str, meaning("ok, or a reason of the closed list.")]
    text: Annotated[str, meaning("The failure, for people.")] | UnsetType = UNSET
    serial: Annotated[str, meaning("Its serial number.")] | UnsetType = UNSET
    health: (
        Annotated[
            dict[Condition, str], meaning("Conditions that it reports, each with a sentence.")
        ]
        | UnsetType
    ) = UNSET


class StartReason(WireStruct, kw_only=True):
    """Why the daemon was started."""

    cause: Annotated[RebootCause, meaning(CAUSE)]
    text: Annotated[str, meaning("The same for people.")]


class Box(WireStruct, kw_only=True):
    """The state of the box itself."""

    model: Annotated[str | None, meaning("The board; null: not known.")]
    serial: Annotated[str | None, meaning("The board's serial number.")]
    start: Annotated[StartReason, meaning("Why the daemon was started.")]
    alarms: Annotated[
        dict[BoardCondition, str],
        meaning("Conditions of the box that are on, each with what to do."),
    ]
    health: Annotated[dict[str, Any], meaning("The present values of a health record.")]


class DataSaverStatus(WireStruct, kw_only=True):
    """The level of data saving, and the data used this month."""

    level: Annotated[
        Literal[0, 1, 2],
        meaning(
            "0: normal. 1: records are sent together every quarter of an hour. 2: as 1, and minutes"
            " are merged into quarter hours first."
        ),
    ]
    used: Annotated[Count, meaning("Used this month, in and out.", "B")]
    budget: Annotated[Count, meaning("Budget of a month; 0: no limit.", "B")]
    month: Annotated[str | None, meaning("The billing month, such as 2026-11; null: not known.")]


class Online(Retained, tag_field="state", tag="online", kw_only=True):
    """The gateway is connected. Published at each connection, and when problems change."""

    boot: Annotated[Count, meaning("Number of the boot.")]
    epoch: Annotated[Epoch, meaning("The current epoch: commands must name it.")]
    tq: Annotated[TimeQuality, meaning("How far its wall clock can be trusted.")]
    uptime_s: Annotated[Amount, meaning("Since the daemon's start.", "s")]
    problems: Annotated[dict[str, str], meaning("Present problems, by device or line.")]
    issues: (
        Annotated[
            list[OpenIssueStatus],
            meaning("What needs a person, what loses data first; left out before version 0.3."),
        ]
        | UnsetType
    ) = UNSET
    acceptance: (
        Annotated[
            AcceptanceStatus,
            meaning("How far this site is commissioned; left out before version 0.3."),
        ]
        | UnsetType
    ) = UNSET
    box: Annotated[Box, meaning("The state of the box itself.")]
    devices: Annotated[dict[str, DeviceStatus], meaning("Devices that are polled.")]
    dropped: Annotated[Count, meaning("Input dropped because the main loop was too busy.")]
    unmatched_edges: Annotated[
        Count, meaning("Edges on lines that the configuration does not use.")
    ]
    unmatched_inputs: Annotated[Count, meaning("Contacts and sweeps from unknown sources.")]
    stage_overflow: Annotated[Count, meaning("Entries for which the stage had no room.")]
    models: Annotated[Models, meaning("The models in use; null: switched off or not needed.")]
    data_saver: Annotated[DataSaverStatus, meaning("The level of data saving.")] | UnsetType = UNSET
    rss_kib: Annotated[Count, meaning("Highest memory use of the daemon.", "KiB")]


class Offline(Retained, tag_field="state", tag="offline", kw_only=True):
    """The gateway is not connected: its own last message, or the will that the broker published."""

    why: Annotated[
        Literal["lost", "stopped"],
        meaning("lost: the connection broke. stopped: the daemon was stopped."),
    ]
