"""Reading a stage back, when the configuration may be another one than that which filled it.

Names are what a configuration makes of them: `main_meter` may be another meter now, with other
points, and `heat` a door. What a source has seen is fed to it only if it means the same still. Raw
sweeps need nobody to mean anything by them: they go out as the process that took them named them.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from edge.acquire.stage import Entry, StageSegment
from edge.core import Contact, Sweep
from edge.gateway.rawdrafts import RawSweeps
from edge.process.inputmeanings import InputMeanings, point_keys, record_source

RawBySetup = list[tuple[Mapping[str, tuple[str, ...]], RawSweeps]]
"""Sweeps, with the keys of the points of each source in them; no more than memory allows."""

NOTHING: Final = 0  # as an entry: a mark that proves nothing


class StageReadback:
    """What is in the segments of a process before this one. `mine` are the meanings of today;
    `position` are the segment and the number of its sweeps that are in raw records already."""

    def __init__(self, mine: InputMeanings, position: tuple[int, int]) -> None:
        self._mine, self._position = mine, position
        self.raw: RawBySetup = []  # in no raw record yet
        self.count = 0  # sweeps that are in the segment that was read last
        self.gone: dict[str, int] = {}  # sources that are no more: begin of the first window lost
        self.new: set[str] = set()  # sources that the last process did not have

    def entries(self, segment: StageSegment, *, again: bool) -> Iterator[tuple[Entry, Entry]]:
        """Each entry, and what of it is for a source that is here. `again`: there was a segment
        before this one, and what this one repeats of it is left out."""
        self.count = 0
        self._miss(segment)
        staged = segment.staged
        for entry, repeated in segment.read():
            if segment.staged is not staged:  # another process went on in it
                staged = segment.staged
                self._miss(segment)
            first = not (repeated and again)
            sweeps = _sweeps(entry)
            if first and staged.raw:
                self._take(segment, sweeps)
            self.count += len(sweeps)
            if first:
                yield entry, self._still(segment, entry)
        if segment.staged is not staged:
            self._miss(segment)

    def _take(self, segment: StageSegment, sweeps: list[Sweep]) -> None:
        """Of an entry what no raw record holds yet."""
        number, taken = self._position
        if segment.number < number:
            return
        skip = taken - self.count if segment.number == number else 0
        left, keys = sweeps[max(0, skip) :], point_keys(segment.staged.sources)
        if left and not (self.raw and self.raw[-1][0] == keys):
            self.raw.append((keys, RawSweeps()))
        if left:
            self.raw[-1][1].add(left)

    def _miss(self, segment: StageSegment) -> None:
        """Whose windows nobody can close any more, and who was not there."""
        was, mine = segment.staged.sources, self._mine
        for source, means in was.items():
            if mine.get(source) != means:
                self.gone.setdefault(record_source(source), segment.start_ns)
        self.new = {
            record_source(source) for source, means in mine.items() if was.get(source) != means
        }

    def _still(self, segment: StageSegment, entry: Entry) -> Entry:
        was, mine = segment.staged.sources, self._mine

        def same(source: str) -> bool:
            return source in mine and mine[source] == was.get(source)

        if isinstance(entry, list):
            return [item for item in entry if same(item.source)]  # type: ignore[return-value]
        if isinstance(entry, tuple) and isinstance(entry[0], str):
            return entry if same(entry[0]) else NOTHING
        return entry


def watched_until_ns(entry: Entry) -> int:
    """The last moment of which an entry proves that somebody listened; 0: of none."""
    match entry:
        case int(until_ns):
            return until_ns
        case (_, int(at_ns)):  # a gap that ends then, or a line that was closed then
            return at_ns
        case [Contact(), *_]:
            return int(max(item.mono_ns for item in entry))
    return 0  # of sweeps: an edge that is older may have been under way, on another bus


def entry_contacts(entry: Entry) -> list[Contact]:
    """What of it is about contacts."""
    if not isinstance(entry, list):
        return []
    return [item for item in entry if isinstance(item, Contact)]


def _sweeps(entry: Entry) -> list[Sweep]:
    if not isinstance(entry, list):
        return []
    return [item for item in entry if isinstance(item, Sweep)]
