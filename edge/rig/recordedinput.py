"""What came in while a recording of the flight recorder was made: contacts and sweeps, in order.

A window in it is a segment of the stage, byte by byte: it is read by the stage's own code.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.acquire.stage import Entry, open_segment
from edge.core import ConfigError, Contact
from edge.gateway.recordingfile import (
    RecordedWindow,
    RecordingError,
    RecordingHead,
    read_recording,
)
from edge.rig.recordedcontacts import EVERY_CONTACT, RecordedChange


@dataclass(frozen=True, slots=True)
class RecordedInput:
    """Windows follow each other: the first begins at `head.from_ns`, each ends at its end."""

    head: RecordingHead
    windows: Sequence[RecordedWindow]
    name: str
    """What it is called in an error."""

    @property
    def to_ns(self) -> int:
        return self.windows[-1].end.end_ns

    def entries(self) -> Iterator[Entry]:
        """What a segment repeats of one that is there comes once. Raises ConfigError for a segment
        that this program cannot read."""
        with tempfile.TemporaryDirectory(prefix="kerbstone-rig-") as folder:
            place = Path(folder) / "stage.1"
            for number, window in enumerate(self.windows):
                place.write_bytes(window.segment)
                opened = open_segment(place)
                if opened is None:
                    raise ConfigError(f"{self.name}: a segment in it is of another version")
                for entry, repeated in opened.read():
                    if not repeated or number == 0:
                        yield entry


def read_input(path: Path) -> RecordedInput:
    """Raises ConfigError for a file that is no recording, or that is damaged."""
    try:
        head, windows = read_recording(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except RecordingError as error:
        raise ConfigError(f"{path}: {error}") from error
    return RecordedInput(head, windows, str(path))


def recorded_changes(path: Path) -> Iterator[RecordedChange]:
    """Changes of all its contacts in the order of time, in seconds from its begin. Raises
    ConfigError."""
    found = read_input(path)
    zero_ns = found.head.from_ns
    changes = [change for entry in found.entries() for change in entry_changes(entry, zero_ns)]
    yield from sorted(changes, key=lambda change: change.t_s)


def entry_changes(entry: Entry, zero_ns: int) -> Iterator[RecordedChange]:
    """What an entry of the stage says of contacts: loops by `north_1.lead`, others by name."""
    match entry:
        case (str(source), int(at_ns)):
            yield RecordedChange(source, None, (at_ns - zero_ns) / 1e9)
        case (int(), int(to_ns)):  # nobody listened in between
            yield RecordedChange(EVERY_CONTACT, None, (to_ns - zero_ns) / 1e9)
        case list():
            for one in entry:
                if isinstance(one, Contact):
                    at_s = (one.mono_ns - zero_ns) / 1e9
                    yield RecordedChange(one.source, one.on, at_s, one.initial)
