"""A recording through the code of the daemon: the same records, bit for bit.

The pipeline is made of the site file and takes up the memory of the recording's begin; then the
segments of the stage are read as after a kill, and each window is closed as it was. Models on
another machine may round otherwise; one that was late on the box, or is another here, says
something else: `ReplayedWindow.models` names it.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import msgpack
import msgspec

import drivers
from edge.acquire.stage import open_segment
from edge.config import Site, load_site
from edge.core import Draft
from edge.gateway.flightrecorder import setup_digest
from edge.gateway.memoryimage import ImageError, put_image
from edge.gateway.pipeline import Pipeline
from edge.gateway.recordingfile import (
    RecordedWindow,
    RecordingError,
    RecordingHead,
    pack_drafts,
    read_recording,
)
from edge.gateway.recover import feed_entry
from edge.gateway.wiring import Wiring

OTHER_SITE: Final = (
    "the site file is not the one of the recording: it makes other lanes or devices. Use the file "
    "that the gateway had then"
)
SHOWN: Final = 60  # characters of a value
Unpacked = tuple[str, str, int, int, dict[str, Any]]
"""Stream, source, from, to (monotonic ns) and body."""


@dataclass(frozen=True, slots=True)
class ReplayedWindow:
    """`recorded` and `drafts` are of the same window: what the gateway made of it, packed by
    `pack_drafts`, and what is made of it here. `models` are those that do not answer as then."""

    from_ns: int
    to_ns: int
    recorded: tuple[bytes, ...]
    drafts: list[Draft]
    models: dict[str, str]

    def differences(self) -> list[str]:
        """In words, a sentence for each record that is not the same."""
        found = []
        for was, now in zip_longest(self.recorded, pack_drafts(self.drafts)):
            if was != now:
                try:
                    found.append(_difference(_unpacked(was), _unpacked(now)))
                except (msgspec.MsgspecError, RecursionError):
                    found.append("a record in the recording is damaged")
        if found and self.models:
            found.append("; ".join(f"{name}: {text}" for name, text in self.models.items()))
        return found


def replay_recording(site: Site, path: Path) -> Iterator[ReplayedWindow]:
    """Window by window. Raises ConfigError, OSError, or RecordingError for a recording that is
    damaged, of another site file, or of a program too different to go on from its memory."""
    head, windows = read_recording(path)
    pipeline = _pipeline(site, head, windows[0].state)
    from_ns = head.from_ns
    with tempfile.TemporaryDirectory() as folder:
        for window in windows:
            try:
                drafts = _played(pipeline, window, Path(folder) / "stage.1")
            except (OSError, RecordingError):
                raise
            except Exception as error:  # of a memory that fits nothing, whatever comes of it
                raise RecordingError(f"it cannot be played: {error!r:.200}") from error
            end = window.end
            yield ReplayedWindow(
                from_ns, end.end_ns, window.records, drafts, _others(window, pipeline)
            )
            from_ns = end.end_ns


def check_recording(site_file: Path, path: Path) -> list[str]:
    """What a replay says otherwise than the gateway did, in words; empty: nothing. Raises as
    `replay_recording`."""
    site = load_site(site_file, drivers.catalogue())
    start_ns = 0
    found: list[str] = []
    for window in replay_recording(site, path):
        start_ns = start_ns or window.from_ns
        at_s = (window.from_ns - start_ns) / 1e9
        found += (f"window at {at_s:g} s: {text}" for text in window.differences())
    return found


def _pipeline(site: Site, head: RecordingHead, state: bytes) -> Pipeline:
    made = Wiring.of(site).pipeline(hurry=False)
    if setup_digest(made.engine.setup) != head.setup:
        raise RecordingError(OTHER_SITE)
    made.load()
    try:
        put_image(msgpack.unpackb(state, strict_map_key=False), made.engine)
    except (ImageError, ValueError) as error:
        raise RecordingError(f"it was made by version {head.program}: {error}") from error
    return made


def _played(pipeline: Pipeline, window: RecordedWindow, place: Path) -> list[Draft]:
    end = window.end
    drafts = list(_fed(pipeline, window.segment, place))
    end.tell(pipeline.engine)
    return drafts + pipeline.engine.close(end.end_ns, partial=end.partial, wall_s=end.wall_s)


def _fed(pipeline: Pipeline, segment: bytes, place: Path) -> Iterator[Draft]:
    """What came in; what it repeats of the segment before is in the memory already."""
    place.write_bytes(segment)
    opened = open_segment(place)
    if opened is None:
        raise RecordingError("a segment of the stage in it is of another version")
    for entry, repeated in opened.read():
        if not repeated:
            yield from feed_entry(pipeline, entry)


def _others(window: RecordedWindow, pipeline: Pipeline) -> dict[str, str]:
    """Models that do not answer as they did on the gateway, and how."""
    found: dict[str, str] = {}
    for name, now in pipeline.judge.answering().items():
        was = window.models.get(name, "")
        if was == now:
            continue
        if not was:
            found[name] = "on the gateway its rule has answered, because the model was late or ill"
        elif not now:
            found[name] = "here its rule answers, because the model cannot be used"
        else:
            found[name] = f"here is another model ({now[:12]}; it was {was[:12]})"
    return found


def _unpacked(packed: bytes | None) -> Unpacked | None:
    """Raises msgspec.MsgspecError for what is no record."""
    return None if packed is None else msgspec.msgpack.decode(packed, type=Unpacked)


def _difference(was: Unpacked | None, now: Unpacked | None) -> str:
    if was is None or now is None:
        stream, source, _, _, body = now or was or ("", "", 0, 0, {})
        what = f"{stream} of {source or 'the gateway'} ({body.get('event', 'record')})"
        return f"{what} is new" if was is None else f"{what} is missing"
    if was[:4] != now[:4]:
        return f"{was[0]} of {was[1]} has become {now[0]} of {now[1]}, or its time is another"
    then, here = was[4], now[4]
    keys = [key for key in {**then, **here} if then.get(key) != here.get(key)]
    words = ", ".join(f"{k} was {_short(then.get(k))}, is {_short(here.get(k))}" for k in keys[:4])
    return f"{was[0]} of {was[1]}: {words or 'the bytes differ, the values do not'}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
