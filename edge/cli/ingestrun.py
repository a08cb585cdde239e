"""What `receipts` and `sink` have in common: they run until a signal or a time ends them, show how
far they are, and say at the end what came.
"""

import argparse
import asyncio
import dataclasses
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from edge.acquire.clock import SystemClock
from edge.platform.intakerate import IntakeLimit, IntakeRate
from edge.platform.recordingest import RecordIngestCounts
from edge.terminal import echo, echo_json, is_terminal, progress

FACTOR_DIGITS: Final = 6
PROGRESS_NS: Final = 2_000_000_000
MESSAGES_LIMIT: Final = 200  # sentences; more are in the counts


def run_options(parser: argparse.ArgumentParser) -> None:
    """How much it stores of one gateway, when it ends, and what it prints then."""
    add = parser.add_argument
    add("--gateway-limit", type=_factor, default=1, metavar="FACTOR", help="store so many times "
        "the usual of one gateway: 256 MB and 2,000,000 records at once, then 200 MB and 1,000,000 "
        "records a day; default 1, 0: no limit")  # fmt: skip
    add("--for", dest="for_s", type=float, metavar="SECONDS", help="end after this time")
    add("--idle", "--once-idle", dest="idle_s", type=float, metavar="SECONDS",
        help="end when nothing arrives for this time")  # fmt: skip
    add("--json", action="store_true", help="print the counts as one line of JSON at the end")


def _factor(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > FACTOR_DIGITS:
        raise argparse.ArgumentTypeError(f"{text!r:.20} is no whole number from 0 to 999999")
    return int(text)


class IngestRun:
    """Of one command; `counts` is set before `run`."""

    def __init__(self, args: argparse.Namespace, clock: SystemClock) -> None:
        self.counts = RecordIngestCounts()
        self._args, self._clock = args, clock
        self._reported = 0

    async def run(self, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        """`work` ends soon after the event that it is given is set."""
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if self._args.for_s is not None:
            loop.call_later(self._args.for_s, stop.set)
        shown = asyncio.create_task(self._progress()) if is_terminal(err=True) else None
        try:
            await work(stop)
        finally:
            if shown is not None:
                shown.cancel()
                progress("")

    def intake_rate(self) -> IntakeRate:
        """How much of one gateway it is to store."""
        factor: int = self._args.gateway_limit
        return IntakeRate(IntakeLimit().times(factor) if factor else None)

    def report(self, text: str) -> None:
        """A sentence about what came; after many of them, no more."""
        self._reported += 1
        if self._reported <= MESSAGES_LIMIT:
            self.note(text)
        if self._reported == MESSAGES_LIMIT:
            self.note("further messages are counted, but not reported one by one")

    def note(self, text: str) -> None:
        progress("")
        self.fail(text, 0)

    def fail(self, text: str, code: int) -> int:
        echo(f"kerbstone {self._args.verb}: {text}", err=True)
        return code

    def verdict(self) -> int:
        """Say what happened; the exit code."""
        counts = self.counts
        if self._args.json:
            echo_json(dataclasses.asdict(counts))
        else:
            echo(self._words())
        found = counts.conflicts, counts.excess, counts.foreign, counts.undecodable
        return 1 if any(found) else 0

    async def _progress(self) -> None:
        while True:
            await self._clock.sleep_until(self._clock.now().mono_ns + PROGRESS_NS)
            progress(self._words())

    def _words(self) -> str:
        counts = self.counts
        return (
            f"{counts.stored} records stored, {counts.repeats} repeats, "
            f"{counts.conflicts + counts.excess} conflicts, {counts.foreign} foreign, "
            f"{counts.undecodable} could not be read, "
            f"{counts.receipts} receipts in {counts.commits} commits"
        )
