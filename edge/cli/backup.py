"""`kerbstone backup FILE`: all that another box needs to go on in this one's place, in one file.

In it are the outbox with the records that were not sent yet, the numbers and totals, what models
and sensors have learnt, what was commissioned, the site file with its calibrations, and the
technician's own tables of meters, and what the label inside the door opens (--without-access leaves
that out). Private keys and certificates are not: the new box enrols for itself. FILE is - for
stdout.

For a swap stop the gateway and use --last: then this box counts nothing more, and totals go on in
the new one. Without it the gateway may run, and the file is a copy: where it is restored totals
begin anew. --root names where the card of a dead box is mounted; it is its last act, except with
--copy.

Exit codes: 0 written, 1 written, but something was damaged or could not be marked, 2 wrong use, 3
it cannot be read or written.
"""

import argparse
import contextlib
import getpass
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from edge.acquire.clock import SystemClock
from edge.cli.site_options import CONFIG_HELP
from edge.diagnose.backupfile import BackupFileError, Shown
from edge.diagnose.boxplaces import THIS_BOX, BackupPlaces, backup_places
from edge.diagnose.steadywork import STALL_S, StalledError, look_at_disks, steady
from edge.diagnose.takingbackup import (
    BackupError,
    BackupWish,
    TakenBackup,
    take_backup,
    undo_hand_over,
)
from edge.durable.atomicwrite import replacing_for_good
from edge.durable.timelimit import GLANCE_S, within
from edge.outbox.database import DATABASE_NAME
from edge.terminal import echo, echo_json, is_terminal, progress

STDOUT: Final = 1
HANGS_HINT: Final = (
    "If it is the card of this box: switch the box off, and use --root with its card in a reader. "
    "If it is where the backup goes: use another stick. Then run the command again"
)


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "backup", help="put all that another box needs to go on in this one's place into a file",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("file", metavar="FILE", nargs="?", help="where to; - for stdout")
    add("--last", action="store_true", help="this box does not go on: the last act before a swap")
    add("--copy", action="store_true", help="with --root: the box goes on with its card")
    add("--undo", action="store_true", help="after --last: this box goes on after all")
    add("--without-access", action="store_true",
        help="leave out the page's secret and the Wi-Fi key: the label inside the door "
        "becomes void")  # fmt: skip
    add("--by", default=who(), metavar="NAME", help="who does it, for the city (default: the user)")
    add("--root", type=Path, default=THIS_BOX, metavar="DIR",
        help="where the card of another box is mounted")  # fmt: skip
    add("--config", type=Path, default=None, metavar="SITE", help=CONFIG_HELP)
    add("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def who() -> str:
    """The person, also behind sudo."""
    with contextlib.suppress(OSError, KeyError):
        return os.environ.get("SUDO_USER") or getpass.getuser()
    return "unknown"


def run(args: argparse.Namespace) -> int:
    """The work, as long as it gets on: a card that is backed up may be a card that hangs."""
    try:
        places = within(GLANCE_S, lambda: backup_places(args.root, args.config))
        look_at_disks(places.store, places.store / DATABASE_NAME, *_target(args.file))
        limit_s = math.inf if args.file == "-" else STALL_S  # who reads it may take his time
        return steady(lambda shown: _backup(args, places, shown), str(places.store), _show, limit_s)
    except TimeoutError as error:
        return _fail(f"the site file: {error}: its disk is slow or hangs. {HANGS_HINT}", 3)
    except StalledError as error:
        return _fail(f"{error}. {HANGS_HINT}", 3)


def _target(file: str | None) -> list[Path]:
    return [] if file is None or file == "-" else [Path(file).absolute().parent]


def _backup(args: argparse.Namespace, places: BackupPlaces, shown: Shown) -> int:
    try:
        if args.undo:
            return _undo(args, places)
        if wrong := _wrong_use(args, places):
            return _fail(wrong, 2)
        last = args.last or (not places.is_this_box and not args.copy)
        wish = BackupWish(
            last, args.by, SystemClock().now().wall_ns, access=not args.without_access
        )
        taken = take_backup(places, wish, lambda: _opened(args.file, shown), shown)
    except BackupError as error:
        return _fail(str(error), 2)
    except BackupFileError as error:
        return _fail(str(error), 3)
    except OSError as error:
        return _fail(error_words(error), 3)
    finally:
        progress("")
    return _report(args, taken, places.store)


def _wrong_use(args: argparse.Namespace, places: BackupPlaces) -> str:
    if args.file is None:
        return "name a file, or - for stdout"
    if args.file == "-" and is_terminal():
        return "a backup is nothing to look at: send it to a file"
    if args.file != "-" and Path(args.file).exists():
        return f"{args.file} is there already: choose another name"
    if args.copy and (args.last or places.is_this_box):
        return "--copy goes with --root, and not with --last"
    return ""


def _undo(args: argparse.Namespace, places: BackupPlaces) -> int:
    if args.last or args.copy or args.file is not None:
        return _fail("--undo goes alone", 2)
    if not undo_hand_over(places):
        return _fail(f"{places.store} was not handed over: there is nothing to undo", 2)
    echo(
        f"{places.store} is this box's again; its totals begin anew with the next start: "
        "`sudo systemctl start kerbstone`",
        "do not restore that backup on another box: both would count the same meters",
    )
    return 0


@contextlib.contextmanager
def _opened(target: str, shown: Shown) -> Iterator[IO[bytes]]:
    """Only its owner may read it; a part of one never has its name, and it is on the stick."""
    if target == "-":
        with open(STDOUT, "wb", closefd=False) as out:
            yield out
        return
    with replacing_for_good(Path(target)) as out:
        yield out
        shown(target, out.tell())  # from here on its disk has to take it


def _on_this_card(target: str, store: Path) -> list[str]:
    """Where a stick is not mounted, its folder lies on the card."""
    with contextlib.suppress(OSError):
        if target != "-" and Path(target).stat().st_dev == store.stat().st_dev:
            return [f"{target} lies on the card of this box itself: copy it to another place"]
    return []


def _report(args: argparse.Namespace, taken: TakenBackup, store: Path) -> int:
    head, err = taken.head, args.file == "-"
    finding = (head.last and not head.marked) or head.records is None
    if args.json and not err:
        echo_json({
            "file": args.file, "backup": head.backup, "gateway": head.owner, "last": head.last,
            "marked": head.marked, "records": head.records, "epoch": head.epoch,
            "bytes": head.bytes, "left_out": head.left_out, "notes": taken.notes,
        })  # fmt: skip
        return int(finding)
    waiting = "an unknown number of" if head.records is None else str(head.records)
    echo(
        f"{args.file}: backup {head.backup} of {head.owner}, {head.bytes >> 10} kB",
        f"{waiting} records in it wait for the city",
        *taken.notes,
        *(f"left out: {name}" for name in head.left_out),
        *_on_this_card(args.file, store),
        "private keys and certificates are not in it: the new box enrols for itself",
        err=err,
    )
    if head.last:
        text = "the gateway does not start here any more" if head.marked else "never use it again"
        echo(f"this card has been handed over: {text}", err=err)
    return int(finding)


def _show(name: str, done: int) -> None:
    progress(f"{name}: {done >> 20} MB")


def error_words(error: OSError) -> str:
    """Which file, what, and whether root is needed."""
    place = f"{error.filename}: " if error.filename else ""
    hint = "; use sudo" if isinstance(error, PermissionError) and os.geteuid() else ""
    return f"{place}{error.strerror or error}{hint}"


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone backup: {text}", err=True)
    return code
