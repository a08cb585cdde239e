"""The flight recorder: what came in lately, kept in memory, and frozen when something is wrong.

Nothing is added to the way of an edge: each window's input lies in its segment of the stage anyway.
When the window has ended, the segment is taken over here, with how the window was closed, what was
made of it and the bytes on the buses. So there is always a ring of the last windows, and of the
memory that the pipeline had at the begin of the oldest. A flag, a fault or a person freezes it: it
becomes a file in tmpfs once the window that is open then has ended, and is gone ten minutes later.

Raw edges are passages of people. They are nowhere else than here, they are never on the card, and
nothing sends them: `kerbstone recorder save`, on the box, takes a recording out.
"""

import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import compress, decompress

import msgpack

from edge.acquire.stage import Stage
from edge.core import Clock, Draft
from edge.core.frametap import TappedFrame
from edge.core.printable import printable
from edge.core.release import VERSION
from edge.durable.atomicwrite import NEW_SUFFIX, replace_file
from edge.gateway.flaglog import FLAGS
from edge.gateway.memoryimage import take_image
from edge.gateway.pipeline import Pipeline
from edge.gateway.recordingfile import (
    QUICK,
    RecordedWindow,
    RecordingError,
    RecordingHead,
    pack_drafts,
    pack_recording,
    pack_window,
    read_head,
)
from edge.gateway.windowend import WindowEnd
from edge.process.enginesetup import EngineSetup

LOG = logging.getLogger("kerbstone")

PREFIX: Final = "recording."
RING_NS: Final = 300_000_000_000  # windows that ended in this time are in the ring, if they fit
KEPT_NS: Final = 600_000_000_000  # a recording is gone so long after it was frozen
STATE_NS: Final = 60_000_000_000  # between two images of the memory: each costs some milliseconds
STATE_BYTES_A_S: Final = 25_000  # of a large site: with 64 lanes an image has 4 MB
REASONS: Final = 8  # of one recording; more is not told, but for persons who ask
PERSONS: Final = 8  # more who ask are not told of
REASON_CHARS: Final = 200
FAILURES: Final = 3  # in a row


@dataclass(frozen=True, slots=True)
class Recording:
    """A file that is there. Monotonic ns."""

    number: int
    size: int
    head: RecordingHead


@dataclass(slots=True)
class _RingWindow:
    """A window that has ended, packed; `state` is of before it, packed, if it may be the first."""

    from_ns: int
    end_ns: int
    packed: bytes
    state: bytes

    @property
    def size(self) -> int:
        return len(self.packed) + len(self.state)


class FlightRecorder:
    """Belongs to the main loop. Ring and files together never have more than `limit_bytes`: half of
    it each. `frames` gives what has gone over the buses since it was asked last."""

    def __init__(
        self,
        folder: Path,
        place: tuple[str, str],
        boot: str,
        clock: Clock,
        limit_bytes: int,
        frames: Callable[[], Mapping[str, Sequence[TappedFrame]]] = dict,
    ) -> None:
        self._folder, self._place, self._boot, self._clock = folder, place, boot, clock
        self._half, self._frames = limit_bytes // 2, frames
        self._ring: deque[_RingWindow] = deque()
        self._state = b""  # of now: the next window may be the first
        self._state_due_ns = self._from_ns = 0
        self._overflow: int | None = None  # of the stage, when the open window began; None: no one
        self._setup: EngineSetup | None = None
        self._reasons: dict[str, str] = {}  # why the ring is to be frozen, by what it is about
        self._files: list[Recording] = []  # the oldest first
        self._number = 0
        self._failures = 0
        self._find_files()

    @property
    def recordings(self) -> Sequence[Recording]:
        """The files that are there, the oldest first."""
        return self._files

    @property
    def ring_bytes(self) -> int:
        return sum(each.size for each in self._ring)

    @property
    def ring_from_ns(self) -> int | None:
        """Since when the ring knows all; None: it is empty."""
        return self._ring[0].from_ns if self._ring else None

    @property
    def freezing(self) -> bool:
        """A recording begins, and is there when the open window has ended."""
        return bool(self._reasons)

    def path(self, recording: Recording) -> Path:
        return self._folder / f"{PREFIX}{recording.number:08d}"

    # -- as windows end ----------------------------------------------------------------------------

    def window_ended(
        self, pipeline: Pipeline, stage: Stage, number: int, end: WindowEnd, drafts: Sequence[Draft]
    ) -> None:
        """Segment `number` of the stage is that window's, and still there; `drafts` is all that the
        pipeline made of it. The next segment has begun.

        Whatever fails here costs recordings, and never a record: the ring begins anew, and after
        FAILURES in a row the recorder is off until the next start.
        """
        if self._failures >= FAILURES:
            return
        try:
            self._window_ended(pipeline, stage, number, end, drafts)
            self._failures = 0
        except Exception:  # whatever it is: the window has to be committed
            self._failures += 1
            off = ", and is off until the next start" if self._failures >= FAILURES else ""
            LOG.exception("the flight recorder has failed%s: records are not touched by it", off)
            self._reasons.clear()
            self._ring.clear()
            self._state = b""

    def _window_ended(
        self, pipeline: Pipeline, stage: Stage, number: int, end: WindowEnd, drafts: Sequence[Draft]
    ) -> None:
        frames = self._frames()
        said = pack_drafts([*pipeline.engine.plain.take_said(), *drafts])
        if self._overflow is not None and stage.overflow > self._overflow and self._files:
            LOG.warning("the stage has no room: recordings give way to it")
            self._forget_all()
        if self._overflow == stage.overflow and (self._ring or self._state):
            self._take(pipeline, stage, number, end, said, frames)
        else:  # the ring begins with the next window
            self.begin_anew()
        self._overflow, self._from_ns = stage.overflow, end.end_ns
        if not pipeline.loaded:  # a replay has its models from the start
            self.begin_anew()
        elif not self._ring or end.end_ns >= self._state_due_ns:
            image = msgpack.packb(take_image(pipeline.engine))
            self._state = compress(image, QUICK)
            lasts_ns = len(image) * 1_000_000_000 // STATE_BYTES_A_S
            self._state_due_ns = end.end_ns + max(STATE_NS, lasts_ns)
        self._setup = pipeline.engine.setup

    def _take(
        self, pipeline: Pipeline, stage: Stage, number: int, end: WindowEnd, said: Sequence[bytes],
        frames: Mapping[str, Sequence[TappedFrame]],
    ) -> None:  # fmt: skip
        try:
            segment = stage.read_ended(number)
        except OSError as error:
            LOG.warning("the recorder cannot read the stage: %s", error)
            self.begin_anew()
            return
        window = RecordedWindow(
            end,
            segment,
            tuple(said),
            models={str(name): who for name, who in pipeline.judge.answering().items()},
            frames={
                bus: [(f.at_ns, f.way, f.data, f.size, f.note) for f in each]
                for bus, each in frames.items()
            },
        )
        self._ring.append(_RingWindow(self._from_ns, end.end_ns, pack_window(window), self._state))
        self._state = b""
        self._make_room(0)
        if self._reasons:
            self._freeze()
        self._make_room(end.end_ns - RING_NS)

    def _make_room(self, since_ns: int) -> None:
        """Drop what does not fit, and what is not needed to know all since then. The ring begins
        with a window that has a state, so several go at a time."""
        size = self.ring_bytes
        while self._ring:
            later = (n for n, each in enumerate(self._ring) if n and each.state)
            count = next(later, len(self._ring))
            enough = count < len(self._ring) and self._ring[count].from_ns <= since_ns
            if size <= self._half and not enough:
                return
            size -= sum(self._ring.popleft().size for _ in range(count))

    def begin_anew(self) -> None:
        """What comes next has nothing to do with what is in the ring: other devices, a gap."""
        if self._reasons and self._ring:
            self._freeze()
        self._ring.clear()
        self._state = b""

    # -- freezing ----------------------------------------------------------------------------------

    def see_events(self, drafts: Iterable[Draft]) -> None:
        """What goes to the city: a flag or a fault freezes what led to it."""
        for draft in drafts:
            body = draft.body
            if isinstance(body, FLAGS) and body.state == "on":
                what = f"{type(body).__struct_config__.tag} {draft.source}"
                if len(self._reasons) < REASONS:  # of one device all points may be odd at once
                    self.freeze(what, body.text)

    def freeze(self, what: str, text: str = "") -> bool:
        """Keep the ring, and the window that is open now. False: nothing is recorded yet."""
        if not self._ring and not self._state:
            return False
        what = printable(what, REASON_CHARS)
        if len(self._reasons) < REASONS + PERSONS:
            said = f"{what}: {text}" if text else what
            self._reasons.setdefault(what, printable(said, REASON_CHARS))
        return True

    def _freeze(self) -> None:
        reasons, self._reasons = tuple(self._reasons.values()), {}
        if not self._ring or self._setup is None:
            return
        now, (site, gateway) = self._clock.now(), self._place
        head = RecordingHead(
            site, gateway, self._boot, VERSION, setup_digest(self._setup),
            self._ring[0].from_ns, self._ring[-1].end_ns, now.mono_ns,
            now.offset_ns if now.tq.is_synchronised else None, reasons,
        )  # fmt: skip
        state = decompress(self._ring[0].state)
        data = pack_recording(head, state, (each.packed for each in self._ring))
        self.look(now.mono_ns)
        while self._files and self._file_bytes() + len(data) > self._half:
            self._forget(self._files[0])
        self._number += 1
        recording = Recording(self._number, len(data), head)
        try:
            replace_file(self.path(recording), data, sync=False)
        except OSError as error:
            LOG.warning("a recording cannot be kept: %s", error)
            return
        self._files.append(recording)
        LOG.info("recording %d is kept for ten minutes: %s", recording.number, "; ".join(reasons))

    def look(self, now_ns: int) -> None:
        """Time passes: recordings go."""
        while self._files and now_ns - self._files[0].head.frozen_ns >= KEPT_NS:
            self._forget(self._files[0])

    def close(self, *, again: bool) -> None:
        """The daemon stops. `again`: the next one goes on at once, and lets recordings go in their
        time; else nobody would."""
        self.begin_anew()
        if not again:
            self._forget_all()

    def _file_bytes(self) -> int:
        return sum(each.size for each in self._files)

    def _forget_all(self) -> None:
        for each in [*self._files]:
            self._forget(each)

    def _forget(self, recording: Recording) -> None:
        self._files.remove(recording)
        with suppress(OSError):
            self.path(recording).unlink(missing_ok=True)

    def _find_files(self) -> None:
        """What a process that was killed has left."""
        for path in sorted(self._folder.glob(f"{PREFIX}*")):
            digits = path.name.removeprefix(PREFIX).removesuffix(NEW_SUFFIX)
            if not digits.isdecimal() or not path.is_file():
                continue
            self._number = max(self._number, int(digits))
            try:
                head, size = read_head(path), path.stat().st_size
            except (OSError, RecordingError):
                head, size = None, 0
            mine = head is not None and (head.boot, head.site, head.gateway) == (
                self._boot, *self._place,
            )  # fmt: skip
            if head is None or not mine or path.name.endswith(NEW_SUFFIX):
                with suppress(OSError):
                    path.unlink()
            else:
                self._files.append(Recording(int(digits), size, head))
        self.look(self._clock.now().mono_ns)


def forget_recordings(folder: Path) -> None:
    """All that are there: the recorder is off now, and nobody would let them go in their time."""
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            path.unlink()


def setup_digest(setup: EngineSetup) -> str:
    """What an engine is made of, in a few letters: a replay needs the same."""
    return hashlib.sha256(repr(setup).encode()).hexdigest()[:16]
