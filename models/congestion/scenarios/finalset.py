"""The final set of streets: drawn once, opened by the final evaluation alone, each opening counted.

Its folder has a file `drawn.json`: when it was drawn, from which seed, and who opened it when, with
which models. Whatever looks for streets (`simstreet.find_streets`) refuses such a folder; so no
training and no choice can see it, not even by a folder above it or a copy of a street.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

RECORD: Final = "drawn.json"
FINAL: Final = "final"
_HEAD: Final = 400  # characters of a street's meta.json in which its set is named


class FinalSetError(Exception):
    """Somebody who is not the final evaluation wants to see a final set."""


@dataclass(frozen=True)
class Opening:
    """One look at a set: when, and at the models of which digests."""

    at: str
    models: Mapping[str, str]


@dataclass(frozen=True)
class SetRecord:
    """How a set was drawn."""

    name: str
    seed: int
    drawn: str
    opened: tuple[Opening, ...] = ()


def read_record(folder: Path) -> SetRecord | None:
    """How the set in `folder` was drawn. None if it is no set."""
    path = folder / RECORD
    if not path.is_file():
        return None
    fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    opened = tuple(Opening(**each) for each in fields.pop("opened"))
    return SetRecord(**fields, opened=opened)


def write_record(folder: Path, record: SetRecord) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(record), indent=1) + "\n"
    hidden = folder / f".{RECORD}"
    hidden.write_text(text, encoding="utf-8")
    hidden.replace(folder / RECORD)


def refuse_final(folder: Path, metas: Iterable[Path]) -> None:
    """FinalSetError if `folder` is, is in, or holds a final set, or if a street is of one."""
    above = [each / RECORD for each in (folder, *folder.resolve().parents)]
    for path in (*above, *folder.glob(f"**/{RECORD}")):
        record = read_record(path.parent) if path.is_file() else None
        if record is not None and record.name == FINAL:
            raise FinalSetError(f"{path.parent} is a final set: only the final evaluation opens it")
    for path in metas:
        with path.open(encoding="utf-8") as file:
            if f'"split": "{FINAL}"' in file.read(_HEAD):
                raise FinalSetError(
                    f"{path.parent} is of a final set: only the final evaluation opens it"
                )


def open_final(folder: Path, models: Mapping[str, str], at: str) -> list[str]:
    """Count an opening, and say so in words for the card. `models` are digests by their names."""
    record = read_record(folder)
    if record is None or record.name != FINAL:
        raise FinalSetError(f"{folder} is no final set: `generate --set final` draws one")
    other = [
        each
        for each in record.opened
        if any(models.get(name, digest) != digest for name, digest in each.models.items())
    ]
    record = replace(record, opened=(*record.opened, Opening(at, dict(models))))
    write_record(folder, record)
    lines = [
        f"Final set, drawn {record.drawn} from seed {record.seed}; opened {len(record.opened)} "
        f"times, now {at}."
    ]
    if other:
        lines.append(
            f"It was opened {len(other)} times with other models: if anything was chosen since, "
            "these scores are not independent, and a new set must be drawn."
        )
    return lines
