"""`kerbstone import LOG... --out DIR`: logs of signal controllers and of IRIS as recorded edges."""

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

from edge.core import ConfigError
from edge.recordings.controllerlog import Wanted
from edge.recordings.importlogs import ImportedSite, ImportOptions, LogImport
from edge.recordings.leftout import LeftOut
from edge.recordings.localtime import EARLIEST_MS, EPOCH, LATEST_MS, MS, Span, read_zone
from edge.terminal import echo, echo_json, progress

DETECTORS_SHOWN: Final = 8
EPILOG: Final = """\
LOG is a high-resolution log of signal controllers with Indiana event codes, as CSV (may be gzip) or
Parquet, or a .vlog of IRIS in its folder 20261130/. For each signal NAME in it, DIR gets
NAME.csv.gz (the edges of its detectors and greens), NAME.toml (a draft of the site file),
and NAME.card.csv (what the loop card said of its detectors). `kerbstone replay` then says what
Kerbstone would have said of them. Rows that are wrong are left out, counted and named; exit code 1
if there are any.
"""


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "import",
        help="import logs of signal controllers",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG", help="a file of the log")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for what is written"
    )
    parser.add_argument(
        "--roles",
        type=Path,
        metavar="TABLE",
        help="where the detectors lie, CSV or Parquet: DeviceId, Phase, Parameter, Function",
    )
    parser.add_argument(
        "--zone",
        metavar="ZONE",
        help="time zone of times without an offset, such as America/Los_Angeles (default: UTC)",
    )
    parser.add_argument(
        "--signal", action="append", default=[], metavar="NAME", help="only this signal; repeatable"
    )
    for name, text in (("--from", "first moment"), ("--to", "end")):
        parser.add_argument(
            name, metavar="ISO8601", dest=f"{name[2:]}_", help=f"{text} of what is imported"
        )
    parser.add_argument(
        "--gap-min",
        type=float,
        default=5.0,
        metavar="MINUTES",
        help="a controller that logs nothing for so long was not watched; 0: always watched",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        options = _options(args)
        args.out.mkdir(parents=True, exist_ok=True)
        with LogImport(args.out, options, tell=progress) as log:
            log.read(args.logs)
            log.survey()
            sites = list(log.write())
    except (ConfigError, OSError) as error:
        progress("")
        echo(f"kerbstone import: {error}", err=True)
        return 2
    progress("")
    if args.json:
        echo_json(_fields(log.rows, sites, log.left_out))
    else:
        _show(log, sites, args.zone)
    return 1 if log.left_out.wrong else 0


def _options(args: argparse.Namespace) -> ImportOptions:
    """Raises ConfigError for a word that means nothing."""
    zone = read_zone(args.zone or "UTC")
    if not 0.0 <= args.gap_min <= 1e6:
        raise ConfigError(f"--gap-min {args.gap_min:g}: minutes are needed, or 0")
    span = None
    if args.from_ is not None or args.to_ is not None:
        span = Span(_ms(args.from_, zone, EARLIEST_MS), _ms(args.to_, zone, LATEST_MS))
    return ImportOptions(
        zone,
        zone.key,
        args.roles,
        Wanted(frozenset(args.signal), span),
        round(args.gap_min * 60_000),
    )


def _ms(text: str | None, zone: tzinfo, otherwise: int) -> int:
    """A moment of the log's zone in ms since 1970."""
    if text is None:
        return otherwise
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not an ISO 8601 time such as 2026-11-30T07:00") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return (moment - EPOCH) // MS


def _show(log: LogImport, sites: Sequence[ImportedSite], asked: str | None) -> None:
    zone = read_zone(asked or "UTC")
    hint = "" if asked else "; --zone names that of times without an offset"
    echo(f"{log.rows:,} rows read; times in {zone.key}{hint}")
    for site in sites:
        begin, end = (moment.astimezone(zone) for moment in (site.begin, site.end))
        echo(
            f"{site.name}: {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}, {site.detectors} "
            f"detectors, {site.actuations:,} actuations"
        )
        if site.placed < site.detectors:
            echo(
                f"  {site.detectors - site.placed} detectors have no place: see the remark in "
                f"{site.site}, or name a table with --roles"
            )
        if site.silent:
            echo(f"  nothing was logged of {_some(site.silent)}, which the table has")
        if site.gaps:
            echo(f"  {site.gaps} gaps in the log, {site.gap_s / 3600:.1f} h: not watched")
        if site.card is not None:
            echo(f"  the loop card said something {site.card_words:,} times: {site.card}")
        if site.kept:
            echo(f"  {site.site} was there and is kept; remove it for a new draft")
        start = site.begin.strftime("%Y-%m-%dT%H:%M:%SZ")
        echo(
            f"  kerbstone replay --config {shlex.quote(str(site.site))} --edges "
            f"{shlex.quote(str(site.edges))} --start {start} --quiet --plot "
            f"{shlex.quote(str(site.site.with_suffix('.html')))}",
            fold=False,
        )
    for remark in log.left_out.remarks():
        where = f" (first: {remark.where})" if remark.where else ""
        echo(f"{'left out: ' if remark.wrong else ''}{remark.times:,} {remark.text}{where}",
             err=remark.wrong)  # fmt: skip


def _some(lines: Sequence[str]) -> str:
    more = len(lines) - DETECTORS_SHOWN
    return ", ".join(lines[:DETECTORS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _fields(rows: int, sites: Sequence[ImportedSite], told: LeftOut) -> dict[str, object]:
    return {
        "rows": rows,
        "sites": [
            {
                **asdict(site),
                "site": str(site.site),
                "edges": str(site.edges),
                "card": None if site.card is None else str(site.card),
                "begin": site.begin.isoformat(),
                "end": site.end.isoformat(),
            }
            for site in sites
        ],
        "remarks": [remark._asdict() for remark in told.remarks()],
    }
