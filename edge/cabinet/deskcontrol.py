"""Faults and drives by command from another terminal: what a running simulation answers on its
socket.

The socket lies in the desk's folder and is its owner's alone. The words on it are those of the
daemon's control socket (`edge/control/protocol.py`).
"""

from collections.abc import Mapping
from typing import Any, Final

from edge.cabinet.cabinet import Cabinet
from edge.cabinet.faulttargets import FaultTarget, shown_name
from edge.cabinet.playeddevice import NONE
from edge.control.protocol import ControlVerb, VerbError

WORD_MAX: Final = 128
SPEED_KMH: Final = (3.0, 200.0)
LENGTH_M: Final = (0.5, 30.0)


def fault_row(cabinet: Cabinet, one: FaultTarget) -> dict[str, object]:
    """One target for people and programs."""
    return {
        "name": shown_name(cabinet.targets, one),
        "what": one.what,
        "faults": [*one.faults],
        "offsets": one.offsets,
        "now": one.state(),
    }


def fault_rows(cabinet: Cabinet) -> list[dict[str, object]]:
    """Everything that can misbehave, and what of it does."""
    return [fault_row(cabinet, one) for one in cabinet.targets]


def cabinet_verbs(cabinet: Cabinet) -> dict[str, ControlVerb]:
    """What can be asked of a running simulation."""

    async def faults(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"site": cabinet.site.file, "targets": fault_rows(cabinet)}

    async def fault(request: Mapping[str, Any]) -> Mapping[str, Any]:
        target, wanted = (str(request.get(key, ""))[:WORD_MAX] for key in ("target", "fault"))
        try:
            before = {id(one) for one in cabinet.targets if one.state()}
            found = cabinet.misbehave(target, wanted)
        except ValueError as error:
            raise VerbError(str(error)) from error
        except OSError as error:
            text = error.strerror or str(error)
            raise VerbError(f"{target} cannot be plugged in again: {text}") from error
        if wanted == NONE:  # what had none has nothing to be told
            found = [one for one in found if id(one) in before]
        return {
            "names": [shown_name(cabinet.targets, one) for one in found],
            "what": [one.what for one in found],
            "fault": wanted,
            "target": target,
        }

    async def drive(request: Mapping[str, Any]) -> Mapping[str, Any]:
        lane = str(request.get("lane", ""))[:WORD_MAX]
        speed = drive_number(request, "speed_kmh", SPEED_KMH)
        length = drive_number(request, "length_m", LENGTH_M)
        try:
            cabinet.drive(lane, speed, length)
        except ValueError as error:
            raise VerbError(str(error)) from error
        return {"lane": lane, "speed_kmh": speed, "length_m": length}

    return {"faults": faults, "fault": fault, "drive": drive}


def drive_number(request: Mapping[str, Any], key: str, limits: tuple[float, float]) -> float:
    """Raises VerbError for one that no vehicle has."""
    value, (low, high) = request.get(key), limits
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise VerbError(f"{key} is a number from {low:g} to {high:g}")
    return float(value)
