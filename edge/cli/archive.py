"""`kerbstone archive`: pack old days of a city's database, and remove days that are proved.

Days are UTC days on which records came. A packed day takes an eighth of the room; views, `audit`
and sinks read it as before. Removed is only what is proved: sealed by a manifest that held, or
replaced by a merged record. Run it each night by a timer, as a member of `kerbstone_archiver`. Exit
codes: 0 fine, 1 a day was in use or is kept since it is not proved, 2 wrong use, 3 the database
cannot be reached.
"""

import argparse
import dataclasses
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from edge import kernelclock
from edge.cli.citydatabase import city_database, megabytes, utc_day
from edge.core import ConfigError
from edge.platform.recordstore import RecordStoreError
from edge.terminal import echo, echo_json, progress

if TYPE_CHECKING:
    from edge.platform.postgres.archive import Archiver
    from edge.platform.postgres.retention import RemovedDay, Retention

HOT_DAYS: Final = 2  # sinks write into the last ones, and look for repeats there first
GATEWAYS_SHOWN: Final = 20  # of one day that is not proved


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "archive", help="pack old days of a city's database, and remove those that are proved",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("--database", required=True, metavar="URL", help="as for `sink`")
    add("--before", type=utc_day, metavar="DAY", help="pack days before this one (2026-11-26)")
    add("--older-than", type=_days, metavar="DAYS", help="pack days that ended so many days ago")
    add("--keep", type=_days, metavar="DAYS",
        help="remove packed days that ended so many days ago, and are proved")  # fmt: skip
    add("--even-unproved", type=utc_day, metavar="DAY",
        help="with --keep: remove this day and older ones though nothing proves them")  # fmt: skip
    add("--dry-run", action="store_true", help="say what it would do, and do nothing")
    add("--json", action="store_true", help="one object per line: days, then the sums")
    parser.set_defaults(run=run)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r:.20} is no number of days, such as 30")
    return int(text)


def run(args: argparse.Namespace) -> int:
    try:
        before, keep = _limits(
            args, datetime.fromtimestamp(kernelclock.wall_ns() / 1e9, UTC).date()
        )
        with city_database(args.database) as db:
            from edge.platform.postgres.archive import Archiver
            from edge.platform.postgres.retention import Retention

            run_ = _Run(args, Archiver(db, progress=_show), Retention(db))
            if before is not None:
                run_.pack(before)
            if keep is not None:
                run_.remove(keep)
            return run_.verdict()
    except ConfigError as error:
        return _fail(str(error), 2)
    except RecordStoreError as error:
        return _fail(str(error), 3)


def _limits(args: argparse.Namespace, today: date) -> tuple[date | None, date | None]:
    """Before which days to pack and to remove. Raises ConfigError."""
    if args.before is not None and args.older_than is not None:
        raise ConfigError("--before and --older-than say the same: give one of them")
    if (args.before, args.older_than, args.keep) == (None, None, None):
        raise ConfigError("nothing to do: give --older-than DAYS, --before DAY or --keep DAYS")
    if args.even_unproved is not None and args.keep is None:
        raise ConfigError("--even-unproved needs --keep DAYS")
    before = args.before
    if args.older_than is not None:
        before = _ago(today, args.older_than)
    newest = today - timedelta(days=HOT_DAYS - 1)
    if before is not None and before > newest:
        raise ConfigError(f"the last {HOT_DAYS} days are still written: pack days before {newest}")
    keep = None if args.keep is None else _ago(today, args.keep)
    if keep is not None and before is not None and keep > before:
        raise ConfigError("--keep is less than the age at which days are packed: nothing is left")
    return before, keep


def _ago(today: date, days: int) -> date:
    try:
        return today - timedelta(days=days)
    except OverflowError:
        raise ConfigError(f"{days} days: that was before the calendar began") from None


class _Run:
    """What was done, and what was not."""

    def __init__(
        self, args: argparse.Namespace, archiver: "Archiver", retention: "Retention"
    ) -> None:
        self._json, self._dry, self._even = args.json, args.dry_run, args.even_unproved
        self._archiver, self._retention = archiver, retention
        self._sums: Counter[str] = Counter()
        self._finding = False

    def pack(self, before: date) -> None:
        for day in self._archiver.days(before):
            if self._dry:
                size = self._archiver.size_before(day)
                self._say(f"{day}: {megabytes(size)} would be packed", {"day": day, "before": size})
                continue
            done = self._archiver.archive(day)
            progress("")
            if done.busy:
                self._finding = True
                text = f"{day}: left as it was, since it is in use; the next run tries again"
            else:
                self._sums.update(
                    packed_days=1, packed_records=done.records, before=done.before, after=done.after
                )
                text = (
                    f"{day}: {_records(done.records)}, {megabytes(done.before)} before, "
                    f"{megabytes(done.after)} after"
                )
                if not self._archiver.drop(day):
                    text += "; its empty partitions are in use, and the next run drops them"
            self._say(text, dataclasses.asdict(done))

    def remove(self, before: date) -> None:
        for day in self._retention.days(before):
            even = self._even is not None and day <= self._even
            work = self._retention.look if self._dry else self._retention.remove
            done = work(day, even_unproved=even)
            self._sums.update(removed_days=1, removed_records=done.records)
            would = "would be " if self._dry else ""
            text = f"{day}: {_records(done.records)} {would}removed"
            if done.unproved and even:
                text += f", {sum(each.records for each in done.unproved)} of them not proved"
            self._say(text, dataclasses.asdict(done) | {"even_unproved": even})
            if done.unproved and not even:
                self._kept(done)

    def _kept(self, done: "RemovedDay") -> None:
        self._finding = True
        kept: Counter[str] = Counter()
        for each in done.unproved:
            kept[each.gw] += each.records
        self._sums.update(kept_records=kept.total())
        if self._json:
            return
        for gw, records in islice(sorted(kept.items()), GATEWAYS_SHOWN):
            streams = sorted({each.stream for each in done.unproved if each.gw == gw})
            echo(
                f"{done.day}: kept of {gw}: {_records(records)} ({', '.join(streams)}), since no "
                "manifest that held seals them all"
            )
        if (more := len(kept) - GATEWAYS_SHOWN) > 0:
            echo(f"{done.day}: and those of {more} more gateways")
        echo(
            "  `kerbstone audit --store URL --gateway GW` says why, and `--ask` asks for what is "
            f"missing; where it says complete, a sink proves them when it is started again; "
            f"--even-unproved {done.day} removes them all the same"
        )

    def verdict(self) -> int:
        """Say the sums; the exit code."""
        sums = self._sums
        names = ("packed_days", "packed_records", "before", "after", "removed_days",
            "removed_records", "kept_records")  # fmt: skip
        if self._json:
            echo_json({name: sums[name] for name in names})
        elif not self._dry:
            before, after = megabytes(sums["before"]), megabytes(sums["after"])
            echo(
                f"packed {_records(sums['packed_records'])}, {before} before, {after} after; "
                f"removed {_records(sums['removed_records'])}; kept without a proof "
                f"{_records(sums['kept_records'])}"
            )
        return 1 if self._finding else 0

    def _say(self, text: str, found: dict[str, Any]) -> None:
        if self._json:
            echo_json({**found, "day": found["day"].isoformat()})
        else:
            echo(text)


def _show(day: date, records: int) -> None:
    progress(f"{day}: {records} records packed")


def _records(count: int) -> str:
    return f"{count} record" if count == 1 else f"{count} records"


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone archive: {text}", err=True)
    return code
