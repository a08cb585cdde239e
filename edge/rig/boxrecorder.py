"""Records a running gateway for some minutes: its flight recorder is frozen again and again, and
what it has is put together.

The ring knows some five minutes; each freeze makes a recording of all of it, of which only what is
new is taken. A ring that began anew meanwhile (a restart, other devices) ends the recording: what
was in between nobody knows.
"""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from edge.control.protocol import VerbError
from edge.control.recordings import Ask, fetch_recording
from edge.core import ConfigError
from edge.gateway.recordingfile import RecordedWindow, RecordingHead
from edge.rig.recordedinput import RecordedInput, read_input

WHY: Final = "kerbstone rig record"
STEP_S: Final = 2.0
LONGEST_S: Final = 200.0  # between two freezes: the ring knows 300 s
SHARE: Final = 0.6  # of what the ring knows, where that is less
LATE_S: Final = 30.0  # a window's end on a busy box
ANEW: Final = "the flight recorder began anew: a restart, other devices, or too little room"
Progress = Callable[[float, str], None]
"""Seconds that are recorded, and what happens now."""


class BoxRecorder:
    """One recording. `ask` asks the verb `recorder`; `sleep` and `clock_s` are of this process."""

    def __init__(
        self,
        ask: Ask,
        progress: Progress,
        sleep: Callable[[float], None] = time.sleep,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._progress, self._sleep, self._clock_s = ask, progress, sleep, clock_s
        self._windows: list[RecordedWindow] = []
        self._head: RecordingHead | None = None
        self._from_ns = 0
        self._ended_s = 0.0  # when the last window ended, by the clock of this process
        self.ending = ""
        """Why it ended sooner than it was to; "": it has not."""

    def record(self, seconds: float) -> RecordedInput:
        """From the begin of the window that is open now, for so long at least. Ctrl-C, and a
        daemon that is gone, end it with what there is. Raises VerbError if there is nothing."""
        try:
            self._progress(0.0, "waits for the end of the window that is open")
            self._take()
            while self._recorded_s() < seconds and not self.ending:
                self._wait(seconds)
                self._take()
        except KeyboardInterrupt:
            self.ending = "it was broken off"
            self._take_last()
        except VerbError as error:
            if not self._windows:
                raise
            self.ending = str(error)
        if self._head is None or not self._windows:
            raise VerbError(self.ending or "nothing was recorded")
        head = replace(self._head, from_ns=self._from_ns, to_ns=self._windows[-1].end.end_ns)
        return RecordedInput(head, self._windows, "what was recorded")

    def _recorded_s(self) -> float:
        return (self._windows[-1].end.end_ns - self._from_ns) / 1e9 if self._windows else 0.0

    def _wait(self, seconds: float) -> None:
        """Until enough is there, or the ring may soon forget the last window that was taken."""
        while True:
            since_s = self._clock_s() - self._ended_s
            known_s = float(self._listed()["ring_s"])
            recorded_s = self._recorded_s() + since_s
            self._progress(recorded_s, f"{max(0.0, seconds - recorded_s):.0f} s to go")
            if recorded_s >= seconds or since_s >= min(LONGEST_S, SHARE * known_s):
                return
            self._sleep(min(STEP_S, max(0.1, seconds - recorded_s)))

    def _take(self) -> None:
        """Freeze, wait for the recording, and take what is new in it."""
        before = _newest(self._listed())
        self._ask(act="freeze", why=WHY)
        end_s = None
        while _newest(answer := self._listed()) <= before:
            ready_s = float(answer["ready_s"] or 0.0)
            now_s = self._clock_s()
            end_s = now_s + ready_s + LATE_S if end_s is None else end_s
            if now_s > end_s:
                raise VerbError("the recording that was asked for does not come")
            self._sleep(min(STEP_S, max(0.1, ready_s)))
        newest = max(answer["recordings"], key=lambda each: int(each["number"]))
        self._ended_s = self._clock_s() - float(newest["to_s"])
        self._join(fetch_recording(self._ask, int(newest["number"])))

    def _take_last(self) -> None:
        """After Ctrl-C. Another one does not wait for the end of the open window."""
        try:
            self._progress(self._recorded_s(), "broken off: waits for the end of the open window; "
                           "Ctrl-C once more does not")  # fmt: skip
            self._take()
        except (KeyboardInterrupt, VerbError):
            pass

    def _join(self, data: bytes) -> None:
        found = _parsed(data)
        if not self._windows:
            *before, last = found.windows
            self._head, self._windows = found.head, [last]
            self._from_ns = before[-1].end.end_ns if before else found.head.from_ns
            return
        last_ns = self._windows[-1].end.end_ns
        ends = {each.end.end_ns for each in found.windows}
        if found.head.from_ns != last_ns and last_ns not in ends:
            self.ending = ANEW
            return
        self._windows += [each for each in found.windows if each.end.end_ns > last_ns]

    def _listed(self) -> Mapping[str, Any]:
        return self._ask(act="list")


def _newest(answer: Mapping[str, Any]) -> int:
    """Its number; 0 where there is none."""
    return max((int(each["number"]) for each in answer["recordings"]), default=0)


def _parsed(data: bytes) -> RecordedInput:
    """Raises VerbError for what is no recording."""
    with tempfile.TemporaryDirectory(prefix="kerbstone-rig-") as folder:
        path = Path(folder) / "part.rec"
        path.write_bytes(data)
        try:
            return read_input(path)
        except ConfigError as error:
            raise VerbError(f"the daemon's recording cannot be read: {error}") from error
