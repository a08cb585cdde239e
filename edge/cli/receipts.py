"""`kerbstone receipts`: store the records of gateways, and send receipts for what is stored.

The reference implementation of a city's platform, for gateways with `confirm = "platform"`. One
process writes a store; `kerbstone audit` can read it at the same time. Exit codes: 0 fine,
1 conflicts or messages that were refused, 2 wrong use, 3 the broker or the store cannot be reached.
"""

import argparse
import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge.acquire.clock import SystemClock
from edge.cli.ingestrun import IngestRun, run_options
from edge.cli.subscribe import broker_options, source_from
from edge.core import ConfigError
from edge.platform.collector import Collector
from edge.platform.openstore import open_store, store_place
from edge.platform.recordstore import RecordStore, RecordStoreError
from edge.platform.sitecheck import AllowedSites
from edge.platform.subscription import (
    UnreachableError,
    receive_refusal,
    record_subscriptions,
    subscriptions,
)
from edge.terminal import progress

FILTERS_SHOWN: Final = 4


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "receipts", help="store the records of gateways, and send receipts for what is stored",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    broker_options(parser)
    add("--store", type=store_place, required=True, metavar="STORE",
        help="NAME.db, NAME.jsonl or postgresql://USER@HOST/DATABASE")  # fmt: skip
    add("--filter", metavar="F",
        help="topic filter (default PREFIX/+/+/up/#, subscribed as up/STREAM and up/STREAM/+ "
        "of each stream of records)")  # fmt: skip
    add("--sites", type=Path, metavar="PLACE", help="which gateway belongs to which site: the "
        "enrolment server's folder, or a list: on each line a gateway and its sites")  # fmt: skip
    run_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    clock = SystemClock()
    ours = IngestRun(args, clock)
    chosen = args.filter or f"{args.prefix}/+/+/up/#"
    if (why := receive_refusal(chosen, args.prefix)) is not None:
        return ours.fail(f"{chosen} cannot be used: {why}", 2)
    try:
        sites = AllowedSites(args.sites) if args.sites is not None else None
        store = open_store(args.store, write=True, progress=_ConversionProgress(ours))
    except ConfigError as error:
        return ours.fail(str(error), 2)
    except RecordStoreError as error:
        progress("")
        return ours.fail(str(error), 3)
    with contextlib.closing(store):
        progress("")
        _damage(store, ours)
        filters = record_subscriptions(chosen, args.prefix)
        # earlier versions subscribed these, and the broker keeps them with the session
        leave = sorted({*subscriptions(chosen, args.prefix)} - {*filters})
        collector = Collector(
            store, clock=clock, report=ours.report, prefix=args.prefix, sites=sites,
            rate=ours.intake_rate(),
        )  # fmt: skip
        ours.counts = collector.counts
        try:
            source = source_from(args, f"kerbstone-receipts-{store.name}")

            async def work(stop: asyncio.Event) -> None:
                await collector.run(
                    source, filters, stop, leave=leave, idle_s=args.idle_s,
                    on_ready=lambda: ours.note(f"listening to {_shown(filters)}"),
                )  # fmt: skip

            asyncio.run(ours.run(work))
        except ConfigError as error:
            return ours.fail(str(error), 2)
        except UnreachableError as error:
            return ours.fail(f"{args.broker} cannot be reached: {error}", 3)
        except RecordStoreError as error:
            text = "no more receipts are sent, so gateways keep records; make room and restart"
            ours.verdict()
            return ours.fail(f"{error}: {text}", 3)
    return ours.verdict()


class _ConversionProgress:
    """Says that a store of an earlier version is converted: at the start, and on a terminal how
    far it is."""

    def __init__(self, ours: IngestRun) -> None:
        self._ours, self._told = ours, False

    def __call__(self, records: int) -> None:
        if not self._told:
            self._told = True
            text = "the store is of an earlier version and is converted in place; it may be"
            self._ours.note(f"{text} interrupted, and goes on at the next start")
        progress(f"{records:,} records are converted")


def _shown(filters: Sequence[str]) -> str:
    """The first ones: of all streams there are 18."""
    more = len(filters) - FILTERS_SHOWN
    return ", ".join(filters[:FILTERS_SHOWN]) + (f" and {more} more filters" if more > 0 else "")


def _damage(store: RecordStore, ours: IngestRun) -> None:
    if store.damage.torn_bytes:
        text = f"an incomplete last line of {store.damage.torn_bytes} bytes was removed"
        ours.note(f"{text}: it had no receipt, so its record is sent again")
    if store.damage.lines:
        ours.note(
            f"{store.damage.lines} lines of the store cannot be read: they are left unchanged"
        )
