"""`kerbstone subscribe`: show or check the messages of gateways at a broker."""

import argparse
import asyncio
import contextlib
import secrets
import signal
from pathlib import Path
from typing import Final

from edge.acquire.clock import SystemClock
from edge.config import read_password
from edge.core import TOPIC_PREFIX, ConfigError
from edge.core.printable import quote_name
from edge.platform.auditor import Auditor, AuditReport
from edge.platform.brokerdrops import DROPPED_TOPIC, BrokerDrops
from edge.platform.expectedgateways import ExpectedGateways
from edge.platform.messagelines import Descriptions, message_line
from edge.platform.subscription import (
    ArrivedMessage,
    BrokerSource,
    UnreachableError,
    check_refusal,
    listen,
    parse_source,
    subscriptions,
)
from edge.terminal import echo, echo_json
from edge.wire import (
    DecodedMessage,
    WireError,
    WrongGatewayError,
    check_identifier,
    decode,
    is_down,
)

LOOK_NS: Final = 1_000_000_000  # between two looks whether somebody is overdue
COUNT_NS: Final = 150_000_000_000  # mosquitto that was just started tells its counts in a minute


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "subscribe", help="show or check the messages of gateways at a broker", description=__doc__
    )
    add = parser.add_argument
    broker_options(parser)
    add("--filter", metavar="F",
        help="topic filter (default PREFIX/#; with --check PREFIX/+/+/up/#, subscribed as up/+ "
        "and up/+/+)")  # fmt: skip
    add("--check", action="store_true", help="prove completeness; exit with 1 on a finding")
    add("--json", action="store_true", help="one decoded message per line, as JSON")
    add("--for", dest="for_s", type=float, metavar="SECONDS", help="end after this time")
    add("--idle", dest="idle_s", type=float, metavar="SECONDS",
        help="end when nothing arrives for this time")  # fmt: skip
    add("--expect", action="append", default=[], type=_gateway, metavar="GW",
        help="warn when this gateway (gw-1, or SITE/gw-1) is not heard within its time; exit with "
        "1 if it is so at the end; may be repeated")  # fmt: skip
    add("--dropped", action="store_true",
        help="watch nothing but the broker's count of messages that it has dropped (mosquitto); "
        "exit with 1 if there were any, or if it does not tell")  # fmt: skip
    parser.set_defaults(run=run)


def broker_options(
    parser: argparse.ArgumentParser,
    *,
    required: bool = True,
    client_id: bool = True,
    prefix: bool = True,
) -> None:
    """Where the broker is and who asks; the same words for every verb that connects to one."""
    add = parser.add_argument
    add("--broker", required=required, metavar="URL", help="mqtt://HOST:PORT or mqtts://HOST:PORT")
    add("--ca", type=Path, metavar="FILE", help="certificate of the authority (CA) of the broker")
    add("--cert", type=Path, metavar="FILE", help="client certificate")
    add("--key", type=Path, metavar="FILE", help="key of the client certificate")
    add("--username", metavar="NAME", help="MQTT user name")
    if client_id:
        add(
            "--client-id",
            metavar="NAME",
            help="MQTT client id; some brokers require the name in the certificate",
        )
    add("--password-file", type=Path, metavar="FILE", help="file with the password in one line")
    if prefix:
        prefix_option(parser)


def prefix_option(parser: argparse.ArgumentParser) -> None:
    """What all topics begin with: the levels behind it are fixed, and say who has sent."""
    parser.add_argument(
        "--prefix", type=_prefix, default=TOPIC_PREFIX, metavar="PREFIX",
        help=f"what all topics begin with: the gateways' uplink.prefix (default {TOPIC_PREFIX})",
    )  # fmt: skip


def _prefix(text: str) -> str:
    try:
        return "/".join(check_identifier(level) for level in text.split("/"))
    except WireError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _gateway(text: str) -> str:
    try:
        levels = [check_identifier(level) for level in text.split("/")]
    except WireError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if len(levels) > 2:
        raise argparse.ArgumentTypeError(f"{text!r:.80}: write GATEWAY or SITE/GATEWAY")
    return text


def source_from(args: argparse.Namespace, client_id: str) -> BrokerSource:
    """What `broker_options` brought. Raises ConfigError."""
    return parse_source(
        args.broker,
        args.client_id or client_id,
        ca=args.ca,
        cert=args.cert,
        key=args.key,
        username=args.username,
        password=read_password(args.password_file) if args.password_file else None,
    )


def run(args: argparse.Namespace) -> int:
    if args.dropped and (args.check or args.expect or args.filter):
        return _fail("--dropped watches the broker, not gateways: leave out the other options", 2)
    chosen = args.filter or f"{args.prefix}/{'+/+/up/#' if args.check else '#'}"
    why = check_refusal(chosen, args.prefix) if args.check else None
    if why is not None:
        return _fail(f"{chosen} cannot be checked: {why}", 2)
    try:
        source = source_from(args, f"kerbstone-subscribe-{secrets.token_hex(4)}")
    except ConfigError as error:
        return _fail(str(error), 2)
    listener = _SubscriberRun(args, Auditor() if args.check else None)
    try:
        filters = subscriptions(chosen, args.prefix, check=args.check)
        asyncio.run(listener.run(source, [DROPPED_TOPIC] if args.dropped else filters))
    except UnreachableError as error:
        return _fail(f"{args.broker} cannot be reached: {error}", 3)
    return listener.verdict()


class _SubscriberRun:
    """Prints what comes, and feeds the auditor."""

    def __init__(self, args: argparse.Namespace, auditor: Auditor | None) -> None:
        self._json, self._auditor, self._prefix = args.json, auditor, args.prefix
        self._for_s, self._idle_s = args.for_s, args.idle_s
        self._told = Descriptions()
        self._clock = SystemClock()
        self._expected = ExpectedGateways(args.expect, self._now_s())
        self._drops = BrokerDrops() if args.dropped else None

    async def run(self, source: BrokerSource, filters: list[str]) -> None:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def stop() -> None:
            stopped.set()
            if task is not None:
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        watching = asyncio.create_task(self._watch_expected(), name="expected gateways")
        try:
            async with asyncio.timeout(self._for_s):
                await self._listen(source, filters)
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            if not stopped.is_set():
                raise
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def _now_s(self) -> float:
        return self._clock.now().mono_ns / 1e9

    async def _watch_expected(self) -> None:
        """Say who is overdue, and who is heard again; or that no count of dropped ones comes."""
        for text in self._expected.promises():
            self._note(text)
        if self._expected and self._for_s is None and self._idle_s is None:
            self._note("without --for it listens until Ctrl-C, and judges then")
        if self._drops is not None:
            await self._clock.sleep_until(self._clock.now().mono_ns + COUNT_NS)
            if self._drops.total is None:
                self._note(self._drops.sentence())
        while self._expected:
            for text in self._expected.changes(self._now_s()):
                self._note(text)
            await self._clock.sleep_until(self._clock.now().mono_ns + LOOK_NS)

    async def _listen(self, source: BrokerSource, filters: list[str]) -> None:
        auditor = self._auditor
        messages = listen(
            source,
            filters,
            self._clock,
            on_ready=lambda: self._note(f"listening to {', '.join(filters)}"),
            on_loss=self._lost,
            on_overrun=auditor.lost if auditor else lambda _count: None,
        )
        async with contextlib.aclosing(messages):
            while True:
                try:
                    async with asyncio.timeout(self._idle_s):
                        arrived = await anext(messages)
                except TimeoutError:
                    return
                self._take(arrived)

    def _take(self, arrived: ArrivedMessage) -> None:
        if self._drops is not None:
            self._take_count(self._drops, arrived)
            return
        if is_down(arrived.topic, self._prefix):
            return  # receipts and commands: not said by a gateway
        try:
            messages = decode(
                arrived.topic, arrived.payload, arrived.content_type, prefix=self._prefix
            )
        except WireError as error:
            if self._auditor is not None:
                kind = "foreign" if isinstance(error, WrongGatewayError) else "undecodable"
                self._auditor.refused(kind, arrived.topic, str(error))
            echo(f"{quote_name(arrived.topic)}: {error}", err=True)
            return
        now_s = self._now_s()
        for message in messages:
            self._expected.take(message, now_s, retained=arrived.retained)
            if self._auditor is not None:
                self._auditor.take(message)
            self._print(arrived.topic, message)

    def _take_count(self, drops: BrokerDrops, arrived: ArrivedMessage) -> None:
        try:
            said = drops.take(arrived.payload)
        except ValueError:
            said = f"{quote_name(arrived.topic)}: {arrived.payload[:80]!r} is no count"
        if said is not None:
            self._note(said)

    def _print(self, topic: str, message: DecodedMessage) -> None:
        if self._json:
            shown: dict[str, object] = {"topic": topic, "kind": message.kind, **message.data}
            echo_json(shown)
        elif self._auditor is None:
            self._told.take(message)
            told = self._told
            echo(message_line(message, told.units(message), told.names(message)))

    def _lost(self, why: str) -> None:
        if self._auditor is not None:
            self._auditor.reconnected()
        self._note(f"connection lost ({why}), trying again")

    def _note(self, text: str) -> None:
        _fail(text, 0)

    def verdict(self) -> int:
        """Say what was found; the exit code."""
        if (drops := self._drops) is not None:
            echo(drops.sentence(), err=True)
            if self._json:
                echo_json({"dropped": drops.seen, "dropped_since_start": drops.total})
            return 1 if drops.seen or drops.total is None else 0
        now_s = self._now_s()
        echo(*self._expected.sentences(now_s), err=True)
        if self._expected and self._json:
            echo_json({"expected": self._expected.facts(now_s)})
        missing = self._expected.missing(now_s)
        if self._auditor is None:
            return 1 if missing else 0
        report = self._auditor.report()
        echo(*_sentences(report), err=self._json)
        if self._json:
            echo_json(_summary(report))
        return 0 if report.clean and not missing else 1


def _sentences(report: AuditReport) -> list[str]:
    found = [f"note: {note}" for note in report.notes]
    found += [f"{finding.kind}: {finding.text}" for finding in report.findings]
    state = "complete" if report.clean else f"{len(report.findings)} findings"
    return [*found, f"{report.records} records: {state}"]


def _summary(report: AuditReport) -> dict[str, object]:
    """The last line with --json: it has `check` and no topic."""
    findings = [{"kind": finding.kind, "text": finding.text} for finding in report.findings]
    return {
        "check": "clean" if report.clean else "findings",
        "records": report.records,
        "findings": findings,
        "notes": report.notes,
    }


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone subscribe: {text}", err=True)
    return code
