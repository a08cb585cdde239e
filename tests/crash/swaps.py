"""What a swap of boxes does to a folder, to be killed at each system call, and what must be there.

made = prepared_swap(folder)  # an old box with records, its backup, and a new box
SWAPPED["restore"](folder)
found = what_is_there(folder / "new")
"""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from edge.control.handover import read_hand_over
from edge.core import Draft, Stream
from edge.diagnose.boxplaces import BackupPlaces
from edge.diagnose.restoring import RestoreWish, restore_backup
from edge.diagnose.takingbackup import BackupWish, take_backup
from edge.gateway.boxswap import read_swap_note, take_over
from edge.outbox import Outbox
from edge.outbox.outboxglance import glance
from tests.kit.promises import everything

S: Final = 1_000_000_000
OWNER: Final = "town/gw-1"
LIMIT: Final = 1 << 20
SITE: Final = b'[site]\nid = "town"\ngateway = "gw-1"\n'
WALL_NS: Final = 1_790_000_000 * S


class WhatIsThere(NamedTuple):
    """After a kill and the start behind it: bodies that wait, and what the folder says."""

    waiting: tuple[int, ...]
    kept_aside: int | None  # rows of the store that made room
    told: bool  # there is something to tell the city
    succeeds: int | None  # the start whose epoch this one goes on from


def places(box: Path) -> BackupPlaces:
    """Of a box that lies in a folder."""
    return BackupPlaces(box, box / "store", box / "run", box / "etc/kerbstone/site.toml")


def opened(box: Path, boot: str) -> Outbox:
    return Outbox.open(
        box / "store", limit_bytes=LIMIT, boot_id=boot, run_dir=box / "run", ballast_bytes=8192,
        owner=OWNER, copied=read_swap_note(box / "store") is not None,
    )  # fmt: skip


def drafts(first: int, count: int) -> list[Draft]:
    return [
        Draft(Stream.AIR, "hut", n * S, (n + 1) * S, {"n": n, "x": b"y" * 300})
        for n in range(first, first + count)
    ]


def numbered(box: Path, boot: str, starts: int, first: int) -> None:
    """So many starts with four records each."""
    (box / "run").mkdir(parents=True, exist_ok=True)
    for start in range(starts):
        outbox = opened(box, boot)
        outbox.begin()
        outbox.commit(drafts(first + 4 * start, 4), {"engine": (1, b"e" * 200)})
        outbox.close()


def prepared_swap(folder: Path) -> None:
    """`old` with 12 records in its third start, its backup, and `new` with 4 of its own."""
    old, new = folder / "old", folder / "new"
    numbered(old, "boot-old", 3, 100)
    numbered(new, "boot-new", 1, 900)
    for box in (old, new):
        places(box).site_file.parent.mkdir(parents=True)
    places(old).site_file.write_bytes(SITE)
    back_up(folder)
    (old / "store" / "handed_over.json").unlink()


def back_up(folder: Path) -> None:
    """The last act of the old one."""
    out = io.BytesIO()
    take_backup(
        places(folder / "old"), BackupWish(True, "anna", WALL_NS),
        lambda: contextlib.nullcontext(out), lambda name, done: None,
    )  # fmt: skip
    (folder / "swap.kerbstone").write_bytes(out.getvalue())


def restore(folder: Path) -> None:
    """On the new one, whose own records make room."""
    with (folder / "swap.kerbstone").open("rb") as file:
        restore_backup(
            file, places(folder / "new"), RestoreWish(True, "ben", WALL_NS), lambda name, done: None
        )


def what_is_there(box: Path) -> WhatIsThere:
    """What the next start of a gateway finds, as its daemon does it."""
    take_over(box / "store", box / "run")
    outbox = opened(box, "boot-new")
    try:
        epoch = outbox.begin()
        assert outbox.opened.damage is None
        assert outbox.opened.in_memory is None
        assert epoch.past == "known"
        waiting = tuple(stored.record.body["n"] for stored in everything(outbox))
        state = outbox.state("engine")
        assert state == (1, b"e" * 200)
    finally:
        outbox.close()
    told = read_swap_note(box / "store") is not None
    before = epoch.former.epoch >> 32 if epoch.former else None
    return WhatIsThere(waiting, kept_aside(box), told, before)


def kept_aside(box: Path) -> int | None:
    path = box / "store" / "outbox.before.restore.db"
    if not path.exists():
        return None
    look = box / "look"
    look.mkdir(exist_ok=True)
    for end in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            (look / f"outbox.db{end}").write_bytes(Path(f"{path}{end}").read_bytes())
    return glance(look).rows


def is_marked(folder: Path) -> bool:
    return read_hand_over(folder / "old" / "store") is not None


SWAPPED: Final[dict[str, Callable[[Path], None]]] = {"restore": restore, "backup": back_up}
