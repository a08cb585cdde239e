"""Holds the access point open until its time is over.

Times are CLOCK_BOOTTIME: no clock that is set makes it longer, and it counts while the box sleeps.

Killed, NetworkManager closes it; the process is started again, and goes on until the time that was
given. After a boot nothing is open.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edge.core.pageaddress import ACCESS_POINT_ADDRESS
from edge.link.accesspointfiles import (
    AccessPointRequest,
    AccessPointState,
    is_open,
    read_state,
    take_request,
    write_state,
)
from edge.link.pageunits import AccessPointError, Wait
from edge.link.wifiaccesspoint import WifiAccessPoint

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0
CHECK_LOOKS: Final = 5  # so many looks between two questions to NetworkManager

MakeAccessPoint = Callable[[], WifiAccessPoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderParts:
    """`make` raises AccessPointError where there is no key or no radio; `ended`: asked to stop."""

    spool: Path
    state: Path
    network: str
    make: MakeAccessPoint
    now_s: Callable[[], float]
    wait: Wait
    ended: Callable[[], bool]


class AccessPointHolder:
    """One process, from a request to the end of its time."""

    def __init__(self, parts: HolderParts) -> None:
        self._parts = parts
        self._state = read_state(parts.state) or AccessPointState(open=False)

    def run(self) -> None:
        """Raises OSError when a request cannot be removed, or the state not be written."""
        parts, now_s = self._parts, self._parts.now_s()
        goes_on = is_open(self._state, now_s)
        wanted = self._take(now_s)
        if wanted is not None and wanted.action == "close":
            self._say(open=False, text="closed: asked for")
            return
        if wanted is None and not goes_on:
            self._say(open=False, text=self._state.text or "nobody asks for it")
            return
        try:
            point = parts.make()
            # before it is open: the unit stops what is started for this interface
            self._say(open=False, text="being opened", interface=point.interface)
            point.open()
        except AccessPointError as error:
            log.error("the access point does not open: %s", error)
            self._say(open=False, text=str(error))
            return
        try:
            text = self._hold(point)
        finally:
            point.close()
        log.warning("the access point %s is closed: %s", parts.network, text)
        self._say(open=False, text=f"closed: {text}")

    def _hold(self, point: WifiAccessPoint) -> str:
        """Until it has to be closed: why."""
        parts, looks = self._parts, 0
        self._say(open=True, text="", network=parts.network, address=ACCESS_POINT_ADDRESS)
        log.warning(
            "the access point %s is open on %s for %.0f min, asked for by %s",
            parts.network, point.interface, (self._state.until_s - parts.now_s()) / 60,
            self._state.by,
        )  # fmt: skip
        while not parts.ended():
            parts.wait(LOOK_S)
            looks += 1
            now_s = parts.now_s()
            asked = self._take(now_s)
            if asked is not None:
                if asked.action == "close":
                    return "asked for"
                self._say(open=True, text="")
            if now_s >= self._state.until_s:
                return "its time is over"
            if looks % CHECK_LOOKS == 0 and not point.is_up():
                return "NetworkManager has ended it"
        return "the service was stopped"

    def _take(self, now_s: float) -> AccessPointRequest | None:
        found = take_request(self._parts.spool)
        if found is not None:
            until_s = now_s + found.minutes * 60 if found.action == "open" else now_s
            number = self._state.number + 1
            self._state = replace_state(self._state, until_s=until_s, by=found.by, number=number)
        return found

    def _say(self, **changed: object) -> None:
        self._state = replace_state(self._state, **changed)
        write_state(self._parts.state, self._state)


def replace_state(state: AccessPointState, **changed: object) -> AccessPointState:
    return msgspec.structs.replace(state, **changed)
