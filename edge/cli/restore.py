"""`kerbstone restore FILE`: go on in the place of the box whose backup FILE is.

Run it on the new box before its gateway starts for the first time, or name with --root where its
card is mounted. A backup of another gateway, of a later version, or one that is damaged is refused,
and nothing has changed then. If the power goes meanwhile, all of it is done or nothing: run the
command again. The new box numbers its records under an epoch of its own, and tells the city that it
is another box. Private keys are in no backup: the box enrols for itself.

Exit codes: 0 restored (or whole, with --check), 2 refused or wrong use, 3 it cannot be read or
written.
"""

import argparse
import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from edge.acquire.clock import SystemClock
from edge.cli.backup import error_words, who
from edge.cli.site_options import CONFIG_HELP
from edge.diagnose.backupfile import BackupFileError, BackupHead, Shown
from edge.diagnose.boxplaces import THIS_BOX, BackupPlaces, backup_places
from edge.diagnose.restoring import (
    Restored,
    RestoreError,
    RestoreWish,
    check_backup,
    restore_backup,
)
from edge.diagnose.steadywork import STALL_S, StalledError, look_at_disks, steady
from edge.durable.timelimit import GLANCE_S, within
from edge.terminal import echo, echo_json, progress

STDIN: Final = 0
HANGS_HINT: Final = (
    "Use another card for this box, or copy the backup to another stick, and run the command "
    "again: a restore is whole, or nothing has changed"
)


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "restore", help="go on in the place of the box whose backup this is",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("file", metavar="FILE", help="of `kerbstone backup`; - for stdin")
    add("--check", action="store_true", help="only read it, and say whether it is whole")
    add("--set-aside", action="store_true",
        help="a gateway has run here already: keep what it recorded beside")  # fmt: skip
    add("--without-access", action="store_true",
        help="this box keeps the page's secret and the Wi-Fi key of its claim, and gets another "
        "label")  # fmt: skip
    add("--by", default=who(), metavar="NAME", help="who does it, for the city (default: the user)")
    add("--root", type=Path, default=THIS_BOX, metavar="DIR",
        help="where the card of the new box is mounted")  # fmt: skip
    add("--config", type=Path, default=None, metavar="SITE", help=CONFIG_HELP)
    add("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The work, as long as it gets on."""
    try:
        places = within(GLANCE_S, lambda: backup_places(args.root, args.config))
        look_at_disks(places.store, *([] if args.file == "-" else [Path(args.file)]))
        limit_s = math.inf if args.file == "-" else STALL_S  # who sends it may take his time
        return steady(
            lambda shown: _restore(args, places, shown), str(places.store), _show, limit_s
        )
    except TimeoutError as error:
        return _fail(f"the site file: {error}: its disk is slow or hangs. {HANGS_HINT}", 3)
    except StalledError as error:
        return _fail(f"{error}. {HANGS_HINT}", 3)


def _restore(args: argparse.Namespace, places: BackupPlaces, shown: Shown) -> int:
    try:
        with _opened(args.file) as file:
            if args.check:
                head = check_backup(file, shown)
                progress("")
                _tell(args, head, [f"{args.file} is whole: every part has its sum"])
                return 0
            wish = RestoreWish(
                args.set_aside, args.by, SystemClock().now().wall_ns,
                access=not args.without_access,
            )  # fmt: skip
            done = restore_backup(file, places, wish, shown)
    except RestoreError as error:
        return _fail(str(error), 2)
    except BackupFileError as error:
        return _fail(f"{args.file}: {error}", 2)
    except OSError as error:
        return _fail(error_words(error), 3)
    finally:
        progress("")
    _report(args, done)
    return 0


@contextlib.contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        with open(STDIN, "rb", closefd=False) as file:
            yield file
        return
    with Path(name).open("rb") as file:
        yield file


def _report(args: argparse.Namespace, done: Restored) -> None:
    first = "was restored here before: nothing had to be done" if done.already else "is restored"
    lines = [f"{done.head.owner} {first}", *done.notes]
    if not done.head.last:
        lines.append(
            "it is a copy of a box that went on: totals begin anew, and what that box recorded "
            "since then is on its card (`kerbstone outbox rescue`)"
        )
    lines.append(
        "this box enrols for itself; then its gateway starts by itself. With a site file of its "
        "own: `sudo systemctl start kerbstone`"
    )
    _tell(args, done.head, lines, already=done.already)


def _tell(
    args: argparse.Namespace, head: BackupHead, lines: list[str], *, already: bool = False
) -> None:
    if args.json:
        echo_json({
            "backup": head.backup, "gateway": head.owner, "last": head.last, "epoch": head.epoch,
            "records": head.records, "already": already, "notes": lines,
        })  # fmt: skip
        return
    waiting = "an unknown number of" if head.records is None else str(head.records)
    echo(
        *lines,
        f"backup {head.backup}, begun {head.at} by {head.by} with version {head.software}: "
        f"{'the last act of its box' if head.last else 'a copy'}, {waiting} records that wait",
    )


def _show(name: str, done: int) -> None:
    progress(f"{name}: {done >> 20} MB")


def _fail(text: str, code: int) -> int:
    progress("")
    echo(f"kerbstone restore: {text}", err=True)
    return code
