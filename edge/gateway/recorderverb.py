"""The verb `recorder`: what the flight recorder has, and a recording, piece by piece.

Request: `{"act": "list"}`, `{"act": "freeze", "why": "..."}`, or `{"act": "read", "number": 3,
"at": 0}`. Whoever may ask is on the box and of the group kerbstone; the page may not ask.
"""

import base64
from collections.abc import Mapping
from typing import Any, Final, Protocol

from edge.control.protocol import VerbError
from edge.core import Clock
from edge.gateway.flightrecorder import KEPT_NS, FlightRecorder, Recording

PIECE: Final = 1 << 20  # bytes of a recording in one answer
OFF: Final = "the flight recorder is off: store.recorder_mb is 0 in the site file"
EMPTY: Final = (
    "nothing is recorded yet: the recorder begins when the models are loaded and a window has ended"
)


class OpenWindow(Protocol):
    """Who knows the window that is open."""

    @property
    def next_ns(self) -> int: ...  # when it can be closed


class RecorderVerb:
    """For the control server. `recorder` None: it is off."""

    def __init__(self, recorder: FlightRecorder | None, window: OpenWindow, clock: Clock) -> None:
        self._recorder, self._window, self._clock = recorder, window, clock

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of `list` and `freeze`: `recordings`, the oldest first, `ring_s` seconds that are in the
        ring, its `ring_bytes`, and `ready_s` until what is frozen now is a recording (null:
        nothing). Of `read`: `data` (Base64) and `size` of the whole. Raises VerbError."""
        recorder, act = self._recorder, request.get("act", "list")
        if recorder is None:
            raise VerbError(OFF)
        match act:
            case "list":
                pass
            case "freeze":
                if not recorder.freeze(str(request.get("why") or "somebody asks")):
                    raise VerbError(EMPTY)
            case "read":
                return self._read(recorder, request)
            case _:
                raise VerbError("act is list, freeze or read")
        now_ns = self._clock.now().mono_ns
        ready_s = max(0.0, (self._window.next_ns - now_ns) / 1e9)
        return {
            **recorder_status(recorder, now_ns),
            "ready_s": round(ready_s, 1) if recorder.freezing else None,
        }

    @staticmethod
    def _read(recorder: FlightRecorder, request: Mapping[str, Any]) -> Mapping[str, Any]:
        number, at = request.get("number"), request.get("at", 0)
        found = next((each for each in recorder.recordings if each.number == number), None)
        if found is None or type(at) is not int or at < 0:
            raise VerbError(f"there is no recording {number!r:.20}; each is gone after ten minutes")
        try:
            with recorder.path(found).open("rb") as file:
                file.seek(min(at, found.size))
                data = file.read(PIECE)  # not all of it for each piece: the loop stands meanwhile
        except FileNotFoundError:
            raise VerbError("the recording is not there any more") from None
        except OSError as error:
            raise VerbError(f"the recording cannot be read: {error.strerror or error}") from error
        return {"data": base64.b64encode(data).decode(), "size": found.size}


def recorder_status(recorder: FlightRecorder, now_ns: int) -> dict[str, Any]:
    """What it has: for the verb, and in the status for people on the box."""
    from_ns = recorder.ring_from_ns
    return {
        "recordings": [_row(each, now_ns) for each in recorder.recordings],
        "ring_s": 0.0 if from_ns is None else round((now_ns - from_ns) / 1e9, 1),
        "ring_bytes": recorder.ring_bytes,
    }


def _row(recording: Recording, now_ns: int) -> dict[str, Any]:
    head = recording.head
    return {
        "number": recording.number,
        "size": recording.size,
        "age_s": round((now_ns - head.frozen_ns) / 1e9, 1),
        "left_s": round(max(0, head.frozen_ns + KEPT_NS - now_ns) / 1e9, 1),
        "from_s": round((now_ns - head.from_ns) / 1e9, 1),
        "to_s": round((now_ns - head.to_ns) / 1e9, 1),
        "reasons": list(head.reasons),
    }
