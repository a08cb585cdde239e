"""`kerbstone receipts`: store the records of gateways, and send receipts for what is stored.

The reference implementation of a city's platform, for gateways with `confirm = "platform"`. One
process writes a store; `kerbstone audit` can read it at the same time. Exit codes: 0 fine,
1 conflicts or messages that were refused, 2 wrong use, 3 the broker or the store cannot be reached.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from edge.acquire.clock import SystemClock
from edge.cli.subscribe import broker_options, source_from
from edge.core import ConfigError
from edge.platform.collector import Collector
from edge.platform.openstore import open_store
from edge.platform.recordstore import RecordStore, RecordStoreError
from edge.platform.sitecheck import AllowedSites
from edge.platform.subscription import (
    BrokerSource,
    UnreachableError,
    receive_refusal,
    record_subscriptions,
    subscriptions,
)
from edge.terminal import echo, echo_json, is_terminal, progress

PROGRESS_NS: Final = 2_000_000_000
FILTERS_SHOWN: Final = 4
MESSAGES_LIMIT: Final = 200  # sentences; more are in the counts


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "receipts", help="store the records of gateways, and send receipts for what is stored",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    broker_options(parser)
    add("--store", type=Path, required=True, metavar="FILE", help="NAME.db or NAME.jsonl")
    add("--filter", metavar="F",
        help="topic filter (default PREFIX/+/+/up/#, subscribed as up/STREAM and up/STREAM/+ "
        "of each stream of records)")  # fmt: skip
    add("--sites", type=Path, metavar="PLACE", help="which gateway belongs to which site: the "
        "enrolment server's folder, or a list: on each line a gateway and its sites")  # fmt: skip
    add("--for", dest="for_s", type=float, metavar="SECONDS", help="end after this time")
    add("--idle", "--once-idle", dest="idle_s", type=float, metavar="SECONDS",
        help="end when nothing arrives for this time")  # fmt: skip
    add("--json", action="store_true", help="print the counts as one line of JSON at the end")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    chosen = args.filter or f"{args.prefix}/+/+/up/#"
    if (why := receive_refusal(chosen, args.prefix)) is not None:
        return _fail(f"{chosen} cannot be used: {why}", 2)
    try:
        sites = AllowedSites(args.sites) if args.sites is not None else None
        store = open_store(args.store, write=True, progress=_ConversionProgress())
    except ConfigError as error:
        return _fail(str(error), 2)
    except RecordStoreError as error:
        progress("")
        return _fail(str(error), 3)
    with contextlib.closing(store):
        progress("")
        _damage(store)
        filters = record_subscriptions(chosen, args.prefix)
        # earlier versions subscribed these, and the broker keeps them with the session
        leave = sorted({*subscriptions(chosen, args.prefix)} - {*filters})
        collector = partial(Collector, store, prefix=args.prefix, sites=sites)
        listener = _CollectorRun(args, filters, collector, leave)
        try:
            source = source_from(args, f"kerbstone-receipts-{store.name}")
            asyncio.run(listener.run(source))
        except ConfigError as error:
            return _fail(str(error), 2)
        except UnreachableError as error:
            return _fail(f"{args.broker} cannot be reached: {error}", 3)
        except RecordStoreError as error:
            text = "no more receipts are sent, so gateways keep records; make room and restart"
            listener.verdict()
            return _fail(f"{error}: {text}", 3)
    return listener.verdict()


class _ConversionProgress:
    """Says that a store of an earlier version is converted: at the start, and on a terminal how
    far it is."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, records: int) -> None:
        if not self._told:
            self._told = True
            text = "the store is of an earlier version and is converted in place; it may be"
            _fail(f"{text} interrupted, and goes on at the next start", 0)
        progress(f"{records:,} records are converted")


class _CollectorRun:
    """The collector, until a signal or the time ends it."""

    def __init__(
        self,
        args: argparse.Namespace,
        filters: list[str],
        collector: Callable[..., Collector],
        leave: Sequence[str] = (),
    ) -> None:
        self._args, self._filters, self._leave = args, filters, leave
        self._reported = 0
        self._clock = SystemClock()
        self._collector = collector(clock=self._clock, report=self._print_message)

    async def run(self, source: BrokerSource) -> None:
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if self._args.for_s is not None:
            loop.call_later(self._args.for_s, stop.set)
        shown = asyncio.create_task(self._progress()) if is_terminal(err=True) else None
        try:
            await self._collector.run(
                source,
                self._filters,
                stop,
                leave=self._leave,
                idle_s=self._args.idle_s,
                on_ready=lambda: self._note(f"listening to {_shown(self._filters)}"),
            )
        finally:
            if shown is not None:
                shown.cancel()
                progress("")

    async def _progress(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now().mono_ns + PROGRESS_NS)
            progress(self._words())

    def _words(self) -> str:
        counts = self._collector.counts
        return (
            f"{counts.stored} records stored, {counts.repeats} repeats, "
            f"{counts.conflicts + counts.excess} conflicts, {counts.foreign} foreign, "
            f"{counts.undecodable} could not be read, "
            f"{counts.receipts} receipts in {counts.commits} commits"
        )

    def _print_message(self, text: str) -> None:
        self._reported += 1
        if self._reported <= MESSAGES_LIMIT:
            self._note(text)
        if self._reported == MESSAGES_LIMIT:
            self._note("further messages are counted, but not reported one by one")

    def _note(self, text: str) -> None:
        progress("")
        _fail(text, 0)

    def verdict(self) -> int:
        """Say what happened; the exit code."""
        counts = self._collector.counts
        if self._args.json:
            echo_json(dataclasses.asdict(counts))
        else:
            echo(self._words())
        found = counts.conflicts, counts.excess, counts.foreign, counts.undecodable
        return 1 if any(found) else 0


def _shown(filters: Sequence[str]) -> str:
    """The first ones: of all streams there are 18."""
    more = len(filters) - FILTERS_SHOWN
    return ", ".join(filters[:FILTERS_SHOWN]) + (f" and {more} more filters" if more > 0 else "")


def _damage(store: RecordStore) -> None:
    if store.damage.torn_bytes:
        text = f"an incomplete last line of {store.damage.torn_bytes} bytes was removed"
        _fail(f"{text}: it had no receipt, so its record is sent again", 0)
    if store.damage.lines:
        _fail(f"{store.damage.lines} lines of the store cannot be read: they are left unchanged", 0)


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone receipts: {text}", err=True)
    return code
