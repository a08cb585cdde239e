"""`kerbstone fleet`: simulate many gateways at one broker, to measure brokers and stores.

Each gateway has a session of its own, sends what a gateway sends (lanes, air and a meter each
minute, health, manifests), waits for receipts, and sends again what got none. All records are
simulated: never use a broker whose platform stores real ones. Exit codes: 0 all that was sent is
confirmed, 1 something is not, 2 wrong use, 3 no gateway was ever connected.
"""

import argparse
import asyncio
import contextlib
import math
import secrets
import signal
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from edge.acquire.clock import SystemClock
from edge.cli.subscribe import broker_options, source_from
from edge.core import ConfigError
from edge.fleet.boxrecords import MINUTE_NS, gateway_names
from edge.fleet.fleet import Ending, Fleet, FleetPlan
from edge.fleet.gateway import BoxOptions
from edge.fleet.ledger import FormerEpoch, LedgerError, read_ledger, write_ledger
from edge.fleet.street import LANES_LIMIT
from edge.fleet.summary import no_receipts_why, summary, summary_lines
from edge.terminal import echo, echo_json, is_terminal, progress
from edge.uplink.broker import Broker
from edge.wire import WireError, check_identifier

GATEWAYS_LIMIT: Final = 20_000  # of one process
PROGRESS_S: Final = 1.0
BURST_S: Final = 1.0  # within which the minutes of all gateways end, unless --even
ENDLESS_MINUTES: Final = 1440  # of the street, in a run without an end


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "fleet", help="simulate many gateways at one broker, to measure brokers and stores",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    broker_options(parser, client_id=False)
    add("--gateways", type=_count(1, GATEWAYS_LIMIT), required=True, metavar="N", help="how many")
    add("--first", default="gw-00001", metavar="NAME",
        help="name of the first; it is counted on from its digits (default gw-00001)")  # fmt: skip
    add("--site", type=_level, default="fleet", metavar="SITE", help="their site (default fleet)")
    add("--lanes", type=_count(1, LANES_LIMIT), default=8, metavar="N",
        help="lanes of each gateway (default 8); beside them it has air and a meter")  # fmt: skip
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--speed", type=_positive, default=1.0, metavar="X",
        help="time runs X times as fast: a minute's records every 60/X seconds")  # fmt: skip
    speed.add_argument("--rate", type=_positive, metavar="R",
        help="as fast as makes R records a second, of all gateways together")  # fmt: skip
    add("--even", action="store_true", help="spread each minute's records over the whole minute; "
        "without it all gateways send at its end, as real ones do (--rate: always)")  # fmt: skip
    add("--backlog", type=_count(0, 100_000), default=0, metavar="MINUTES",
        help="all gateways come back at once, with the records of so many minutes")  # fmt: skip
    add("--for", dest="for_s", type=_positive, metavar="SECONDS", help="end after this time")
    add("--records", type=_count(1, 10**12), metavar="N",
        help="end after so many records of the street, rounded up to whole minutes")  # fmt: skip
    add("--drain", type=_positive, default=150.0, metavar="S",
        help="then wait so long for what is not confirmed (default 150)")  # fmt: skip
    add("--encoding", choices=("msgpack", "json"), default="msgpack", help="as uplink.encoding")
    add("--confirm", choices=("platform", "broker"), default="platform",
        help="who confirms a record: its receipt (default), or the broker's answer")  # fmt: skip
    add("--receipt-s", type=_positive, default=120.0, metavar="S",
        help="a record without a receipt is sent again after S (default 120), then after "
        "twice as long, up to an hour")  # fmt: skip
    add("--jitter", type=_zero, default=10.0, metavar="S",
        help="gateways connect within S, and again after an outage (default 10)")  # fmt: skip
    add("--window", type=_count(1, 65_534), default=200, metavar="N",
        help="messages in flight of each gateway, at most (default 200)")  # fmt: skip
    add("--keepalive", type=_count(1, 65_535), default=30, metavar="S", help="default 30")
    add("--session-expiry", type=_count(0, 4_294_967_295), default=0, metavar="S",
        help="keep sessions at the broker for S, and take them up again (clean start 0); by "
        "default each connection starts clean, as that of a real gateway")  # fmt: skip
    add("--last", action=argparse.BooleanOptionalAction, default=False,
        help="retain the newest records under up/last, as uplink.last_s = 60")  # fmt: skip
    add("--ledger", type=Path, metavar="FILE", help="write which numbers were sent, acknowledged "
        "and receipted: a line for each gateway, epoch and stream. If the file is there, gateways "
        "go on behind their last epoch in it")  # fmt: skip
    add("--seed", type=_count(0, 2**63), metavar="N", help="makes the same epochs and values "
        "again: never twice with one store")  # fmt: skip
    add("--json", action="store_true", help="print the summary as one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        names = [_level(name) for name in gateway_names(args.first, args.gateways)]
        kept, former = read_ledger(args.ledger) if args.ledger is not None else ([], {})
        if args.ledger is not None and not args.ledger.parent.is_dir():
            raise ConfigError(f"--ledger {args.ledger}: there is no such folder")
        broker_of = _brokers(args)
        broker_of(names[0])
        seed = secrets.randbits(32) if args.seed is None else args.seed
        plan = plan_fleet(args, names, seed, former)
    except argparse.ArgumentTypeError as error:
        return _fail(f"--first {args.first}: {error}", 2)
    except (ConfigError, LedgerError, ValueError) as error:
        return _fail(str(error), 2)
    except OSError as error:
        return _fail(f"{args.ledger}: {error.strerror or error}", 2)
    fleet = _FleetRun(args, plan, broker_of)
    ending = asyncio.run(fleet.run())
    return fleet.verdict(ending, seed, kept)


def plan_fleet(
    args: argparse.Namespace, names: list[str], seed: int, former: Mapping[str, FormerEpoch]
) -> FleetPlan:
    """What the words of a command line ask for."""
    bundle = args.lanes + 2
    minute_s = 60.0 / args.speed
    if args.rate is not None:
        minute_s = len(names) * bundle / args.rate
    minutes = None
    if args.records is not None:
        minutes = max(0, math.ceil(args.records / (bundle * len(names))) - args.backlog)
    in_time = None if args.for_s is None else math.ceil(args.for_s / minute_s)
    ends = [end for end in (minutes, in_time) if end is not None]
    planned = min(ends, default=ENDLESS_MINUTES)
    # no record is of the future: who runs faster than time begins before now
    before = 1 + args.backlog + max(0, math.ceil(planned * (1 - minute_s / 60)))
    now = SystemClock().now().wall_ns // MINUTE_NS
    even = args.even or args.rate is not None
    platform = args.confirm == "platform"
    return FleetPlan(
        names=names,
        options=BoxOptions(
            site=args.site,
            prefix=args.prefix,
            encoding=args.encoding,
            receipt_s=args.receipt_s if platform else None,
            last=args.last,
        ),
        lanes=args.lanes,
        seed=seed,
        first_minute=now - before,
        minute_s=minute_s,
        spread_s=minute_s if even else min(BURST_S, minute_s),
        jitter_s=args.jitter,
        backlog=args.backlog,
        minutes=minutes,
        for_s=args.for_s,
        drain_s=args.drain,
        session_expiry_s=args.session_expiry,
        former=former,
    )


def _brokers(args: argparse.Namespace) -> Callable[[str], Broker]:
    """The broker of a gateway: `{gw}` in the names of user, certificate and key is its name."""

    @cache
    def source(username: str | None, cert: str | None, key: str | None) -> Broker:
        words = {**vars(args), "username": username, "client_id": None}
        words |= {"cert": Path(cert) if cert else None, "key": Path(key) if key else None}
        found = source_from(argparse.Namespace(**words), "fleet")
        if found.tls is None and (args.ca or cert or key):
            raise ConfigError("certificates need --broker mqtts://HOST:PORT, not mqtt://")
        return Broker(
            found.host, found.port, found.client_id, found.tls, found.username, found.password,
            keepalive_s=args.keepalive, window=args.window,
        )  # fmt: skip

    def broker_of(gw: str) -> Broker:
        words = (args.username, args.cert, args.key)
        named = (None if word is None else str(word).replace("{gw}", gw) for word in words)
        return source(*named)

    return broker_of


class _FleetRun:
    """A fleet, until a signal or its plan ends it."""

    def __init__(
        self, args: argparse.Namespace, plan: FleetPlan, broker_of: Callable[[str], Broker]
    ) -> None:
        self._args, self._plan, self._broker_of = args, plan, broker_of
        self._clock = SystemClock()
        self._seconds = 0.0

    async def run(self) -> Ending:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        self._fleet = Fleet(self._plan, self._broker_of, self._clock)
        shown = asyncio.create_task(self._progress()) if is_terminal(err=True) else None
        began_s = loop.time()
        try:
            return await self._fleet.run(stop)
        finally:
            self._seconds = loop.time() - began_s
            if shown is not None:
                shown.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await shown
                progress("")

    async def _progress(self) -> None:
        fleet, tally = self._fleet, self._fleet.tally
        platform = self._plan.options.receipt_s is not None
        before = 0
        while True:
            await self._clock.sleep_until(self._clock.now().mono_ns + int(PROGRESS_S * 1e9))
            confirmed = tally.receipted if platform else tally.pubacks
            words = f"{tally.receipted} receipted, " if platform else ""
            progress(
                f"{fleet.online} of {len(fleet.gateways)} connected, {tally.sent} sent, "
                f"{tally.pubacks} acknowledged, {words}{confirmed - before}/s, "
                f"{fleet.unsent} wait, {sum(tally.again.values())} again"
            )
            before = confirmed

    def verdict(self, ending: Ending, seed: int, kept: list[str]) -> int:
        """Say what happened; the exit code."""
        fleet, platform = self._fleet, self._plan.options.receipt_s is not None
        found = summary(fleet, ending, self._seconds, seed, platform=platform)
        if self._args.json:
            echo_json(found)
        else:
            echo(*summary_lines(found, platform=platform))
        if self._args.ledger is not None:
            try:
                write_ledger(self._args.ledger, kept, [one.ledger for one in fleet.gateways])
            except OSError as error:
                return _fail(f"{self._args.ledger}: {error.strerror or error}", 1)
        if not fleet.ever_online:
            return _fail(f"{self._args.broker} cannot be reached", 3)
        if (why := no_receipts_why(found, fleet.gateways[0].topics.receipt)) is not None:
            return _fail(why, 1)
        return 1 if found["unconfirmed"] else 0


def _count(low: int, high: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(f"{text!r:.30} is no number from {low} to {high}")
        return int(text)

    return number


def _positive(text: str) -> float:
    if (found := _zero(text)) == 0:
        raise argparse.ArgumentTypeError("0 is too little")
    return found


def _zero(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r:.30} is no number from 0 on")
    return found


def _level(text: str) -> str:
    try:
        return check_identifier(text)
    except WireError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone fleet: {text}", err=True)
    return code
