"""Reads `reasons.toml`: why ours differs from another implementation where it does."""

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("reasons.toml")
KEYS: Final = {"name", "sets", "frames", "points", "outcome", "ours", "theirs", "why", "source"}


@dataclass(frozen=True, slots=True)
class Reason:
    """One class of differences: where it may occur, and what may stand there on each side.

    Patterns are those of file names. A narrow one is better: what is allowed here is not seen.
    """

    name: str
    sets: tuple[str, ...]
    frames: tuple[str, ...]
    points: tuple[str, ...]
    outcome: str
    why: str
    source: str
    ours: tuple[str, ...] = ("*",)
    theirs: tuple[str, ...] = ("*",)

    def fits(self, frame: str, point: str, ours: str, theirs: str) -> bool:
        """Whether this value is one of the class."""
        pairs = (
            (self.frames, frame), (self.points, point), (self.ours, ours), (self.theirs, theirs),
        )  # fmt: skip
        return all(any(fnmatchcase(text, p) for p in patterns) for patterns, text in pairs)


def reasons(text: str | None = None) -> list[Reason]:
    """All of them. Raises ValueError for one that does not say what it should."""
    found = []
    for row in tomllib.loads(FILE.read_text("utf-8") if text is None else text)["reason"]:
        if unknown := row.keys() - KEYS:
            raise ValueError(f"{row.get('name')}: {', '.join(sorted(unknown))} mean nothing here")
        lists = {key: tuple(row[key]) for key in ("ours", "theirs") if key in row}
        one = Reason(
            row["name"], tuple(row["sets"]), tuple(row["frames"]), tuple(row["points"]),
            row["outcome"], row["why"], row["source"], **lists,
        )  # fmt: skip
        if one.outcome not in ("ours better", "refused") or not (one.why and one.source):
            raise ValueError(f"{one.name}: an outcome, a reason and a source are needed")
        found.append(one)
    if len({one.name for one in found}) < len(found):
        raise ValueError("two reasons have one name")
    return found
