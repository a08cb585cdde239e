"""`kerbstone support`: all that somebody far away needs to see of this box, in one file.

The archive has the site file, status, doctor, log, units, network, disks and versions, each as a
file of its own, and README.txt that lists them. Passwords, keys and the code of a claim are taken
out, and the remarks of the site file; names, places and addresses are not: look through it before
it leaves your hands. With sudo it has more. The daemon may run or not.

Exit codes: 0 written, 2 wrong use, 3 it cannot be written.
"""

import argparse
import contextlib
import os
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

from edge.cli.site_options import CONFIG_HELP
from edge.core.boxfiles import find_site_file
from edge.core.tomltext import parse_toml
from edge.diagnose.redaction import Redactor
from edge.diagnose.supportarchive import (
    BoxPlaces,
    SupportItem,
    WrittenItem,
    box_secrets,
    support_items,
    write_archive,
)
from edge.durable.atomicwrite import open_new, replacing
from edge.durable.readfile import read_file
from edge.kernelclock import KernelClock
from edge.terminal import echo, is_terminal, progress

STDOUT: Final = 1


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "support", help="put all that helps to find a fault into one file, without secrets",
        description=__doc__,
    )  # fmt: skip
    add = parser.add_argument
    add("--config", type=Path, default=find_site_file(), metavar="FILE", help=CONFIG_HELP)
    add("--out", metavar="FILE", help="- for stdout; default: kerbstone-support-*.tar.gz here")
    add(
        "--without", action="append", default=[], metavar="NAME",
        help="leave this file out of the archive; may be repeated",
    )  # fmt: skip
    add("--list", action="store_true", help="list what would be in it, and end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    places = BoxPlaces(args.config)
    items = list(support_items(places))
    if unknown := set(args.without) - {each.name for each in items}:
        echo(
            f"kerbstone support: there is no {sorted(unknown)[0]} in it; --list shows the names",
            err=True,
        )
        return 2
    items = [each for each in items if each.name not in args.without]
    if args.list:
        echo(*(f"{each.name:<26} {each.what}" for each in items), fold=False)
        return 0
    if args.out == "-" and is_terminal():
        echo("kerbstone support: an archive is nothing to look at: send it to a file", err=True)
        return 2
    now = KernelClock().now().utc()
    name = f"kerbstone-support-{_gateway(args.config)}-{now:%Y%m%dT%H%M%SZ}"
    head = (
        f"{name}, of the clock of the box. Secrets are taken out, and the remarks of the site "
        "file,\nwhich may hold some; names, places and addresses are not.\n"
        "Open it with: tar xzf FILE"
    )
    target = args.out or f"{name}.tar.gz"
    try:
        with _opened(target) as out:
            written = write_archive(
                out, name, items, Redactor(box_secrets(places)), int(now.timestamp()), head, _show
            )
    except OSError as error:
        echo(f"kerbstone support: {target}: {error.strerror or error}", err=True)
        return 3
    finally:
        progress("")
    _report(target, written)
    return 0


@contextlib.contextmanager
def _opened(target: str) -> Iterator[IO[bytes]]:
    """Only its owner may read it; a half of one never has its name."""
    if target == "-":
        with open(STDOUT, "wb", closefd=False) as out:
            yield out
        return
    with replacing(Path(target)) as new, os.fdopen(open_new(new), "wb") as out:
        yield out


def _show(item: SupportItem) -> None:
    progress(f"{item.name}: {item.what}")


def _report(target: str, written: Sequence[WrittenItem]) -> None:
    err, there = target == "-", sum(not each.problem for each in written) + 1  # and the list
    size = "" if err else f", {Path(target).stat().st_size >> 10} kB"
    echo(f"{target}: {there} files{size}; README.txt in it lists them", err=err)
    if missing := len(written) + 1 - there:
        more = "; with sudo there may be more" if os.geteuid() else ""
        echo(f"{missing} could not be had: README.txt says why{more}", err=err)
    echo("look through it before you send it: names, places and addresses are in it", err=err)


def _gateway(file: Path) -> str:
    """For the name of the file: the site file may be wrong or not for us to read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = str(parse_toml((read_file(file) or b"").decode())["site"]["gateway"])
        if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", found):
            return found
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:64] or "box"
