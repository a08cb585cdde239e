"""`python -m tests.frames.run [--frames DIR] [--write]`: frames of others, value by value.

Ends with 1 if a value differs without a reason, if a file is damaged, if a set has fewer frames
than it must, if a reason is needed by nothing, or if nothing of a source package or folder was
compared. A set that is not here is named. --write makes docs/frames.md, if every set was.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.frames import report, sources
from tests.frames.outcome import FrameTally, Outcome
from tests.frames.reasons import Reason, reasons
from tests.frames.sets import FOLDER, HERE, SETS, Files, Set

DOCUMENT: Final = sources.ROOT / "docs" / "frames.md"


class Shelf:
    """What can be had: packages are fetched when first asked for, and once."""

    def __init__(self, folder: Files | None, cache: Path = sources.CACHE) -> None:
        self.folder, self.cache = folder, cache
        self.known = sources.packages()
        self._had: dict[str, Files | str] = {}

    def files(self, one: Set) -> Files:
        """All that a set needs. Raises MissingError, DamagedError."""
        found: dict[str, bytes] = {}
        for name in filter(None, (one.parser, one.origin)):
            if name == FOLDER:
                if self.folder is None:
                    raise sources.MissingError("give a folder with frames: FRAMES=DIR")
                found |= self.folder
            elif name != HERE:
                found |= self._package(name)
        return found

    def _package(self, name: str) -> Files:
        if name not in self._had:
            try:
                self._had[name] = sources.package(self.known[name], self.cache)
            except sources.MissingError as missing:
                self._had[name] = str(missing)
        had = self._had[name]
        if isinstance(had, str):
            raise sources.MissingError(had)
        return had


def compared(shelf: Shelf, why: Sequence[Reason], sets: Sequence[Set]) -> dict[Set, FrameTally]:
    """Every set that is here; says of each what came of it. Raises DamagedError."""
    found: dict[Set, FrameTally] = {}
    for one in sets:
        try:
            files = shelf.files(one)
        except sources.MissingError as missing:
            print(f"{one.protocol:13} {one.name:24} not here: {missing}", flush=True)
            continue
        found[one] = tally = FrameTally(one.name)
        try:
            for case in one.cases(files):
                tally.add(case, why)
        except Exception as error:
            traceback.print_exc()  # it may be a fault of ours as well
            raise sources.DamagedError(
                f"{one.name}: after {tally.frames} frames: {type(error).__name__}: {error};"
                f" are these frames of {one.protocol}?"
            ) from error
        print(report.line(one, tally), flush=True)
    return found


def faults(
    tallies: Mapping[Set, FrameTally], why: Sequence[Reason], sets: Sequence[Set]
) -> Iterator[str]:
    """All that makes a run fail."""
    for one, tally in tallies.items():
        if tally.frames < one.floor:
            yield f"{one.name}: {tally.frames} frames, at least {one.floor} are wanted"
        if not any(value.outcome is Outcome.SAME for value in tally.values):
            yield f"{one.name}: nothing in it is the same: was anything compared?"
        if tally.decoded:
            yield f"{one.name}: {len(tally.decoded)} frames that were cut give a number"
            yield from (f"    {text}" for text in tally.decoded[: report.SHOWN])
        if count := tally.count(Outcome.WRONG):
            yield f"{one.name}: {count} values differ without a reason"
            yield from (f"    {text}" for text in report.wrong(tally))
    if all(one.origin == HERE for one in tallies):
        yield "no set of a source package or folder was compared: is the package registry reached?"
    here = {one.name for one in tallies}
    needed = {value.reason for tally in tallies.values() for value in tally.values}
    for reason in why:
        if here.issuperset(reason.sets) and reason.name not in needed:
            yield f"the reason {reason.name!r} explains nothing any more: take it out"
    known = {one.name for one in sets}
    for reason in why:
        if strange := set(reason.sets) - known:
            yield f"the reason {reason.name!r} is of {', '.join(strange)}, which is no set"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.frames.run", description=__doc__)
    parser.add_argument("--frames", type=Path, help="a folder with frames and their SHA256SUMS")
    parser.add_argument("--write", action="store_true", help="make docs/frames.md; needs --frames")
    options = parser.parse_args(arguments)
    if options.write and options.frames is None:
        parser.error("--write publishes the counts of all sets: give --frames DIR")
    started, why = time.monotonic(), reasons()
    try:
        shelf = Shelf(sources.folder(options.frames) if options.frames else None)
        tallies = compared(shelf, why, SETS)
    except (sources.DamagedError, sources.MissingError) as error:
        print(error, file=sys.stderr)
        return 1
    found = list(faults(tallies, why, SETS))
    print(
        f"{sum(t.frames for t in tallies.values())} frames,"
        f" {sum(len(t.values) for t in tallies.values())} values of {len(tallies)} sets,"
        f" {sum(t.cuts for t in tallies.values())} frames cut short"
        f" in {time.monotonic() - started:.0f} s"
    )
    if found:
        print("\n".join(found), file=sys.stderr)
        return 1
    if options.write:
        return _write(options.frames / sources.MANIFEST, tallies, why)
    return 0


def _write(manifest: Path, tallies: Mapping[Set, FrameTally], why: Sequence[Reason]) -> int:
    if missing := [one.name for one in SETS if one not in tallies]:
        print(f"docs/frames.md is not written: {', '.join(missing)} not here", file=sys.stderr)
        return 1
    DOCUMENT.write_text(report.document(tallies, why, manifest), encoding="utf-8")
    print(f"{DOCUMENT.relative_to(sources.ROOT)}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
