"""`kerbstone conform`: check whether a gateway keeps the contract, from the broker's side.

The gateway may be ours or another maker's; a product file says which one, and whether its records
may be lost: the kit confirms records and stores nothing. Use a gateway and a broker of a bench.
Exit codes: 0 no check failed, 1 a check failed, 2 wrong use or more than a run keeps, 3 the broker
cannot be reached, refuses a subscription, or the connection was lost.
"""

import argparse
import asyncio
import contextlib
import secrets
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edge.acquire.clock import SystemClock
from edge.cli.subscribe import broker_options, source_from
from edge.conform.check import Result
from edge.conform.cityline import LineLostError, MqttCityLine
from edge.conform.evidence import Evidence
from edge.conform.kit import given_by, judge_all
from edge.conform.product import Product, read_product
from edge.conform.report import Report, as_data, html, markdown, text_lines
from edge.conform.run import ConformRun, Hook, HookError, Plan, TooMuchError
from edge.core import ConfigError
from edge.platform.subscription import BrokerSource, UnreachableError
from edge.terminal import echo, echo_json
from edge.wire import iso_time

HOOK_S: Final = 300.0  # how long a command of a hook may take
PAGES: Final[dict[str, Callable[[Report], str]]] = {".html": html, ".md": markdown}


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "conform", help="check whether a gateway keeps the contract, from the broker's side",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    broker_options(parser, prefix=False)
    add("--product", type=Path, required=True, metavar="FILE",
        help="the product file: which gateway it is, and what it can (TOML)")  # fmt: skip
    add("--for", dest="for_s", type=_seconds, default=0.0, metavar="SECONDS",
        help="listen for at least this time (default 2.5 periods)")  # fmt: skip
    add("--drop-command", metavar="COMMAND", help="shell command that ends the gateway's "
        "connection; without it the kit connects under its `client_id`")  # fmt: skip
    add("--restart-command", metavar="COMMAND",
        help="shell command that restarts the gateway; else no restart is judged")  # fmt: skip
    add("--report", type=_page, action="append", default=[], metavar="FILE",
        help="write the report to FILE.html or FILE.md; may be repeated")  # fmt: skip
    add("--json", action="store_true", help="print the report as one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        product = read_product(args.product)
        source = source_from(args, f"kerbstone-conform-{secrets.token_hex(4)}")
        for path in args.report:
            if not path.parent.is_dir():
                raise ConfigError(f"--report {path}: there is no such folder")
    except ConfigError as error:
        return _fail(str(error), 2)
    clock = SystemClock()
    when = iso_time(clock.now().wall_ns)
    try:
        evidence, results = asyncio.run(_gather(args, product, source, clock))
    except UnreachableError as error:
        return _fail(f"{args.broker} cannot be reached: {error}", 3)
    except LineLostError as error:
        return _fail(f"{args.broker}: {error}", 3)
    except (HookError, TooMuchError) as error:
        return _fail(str(error), 2)
    return _tell(args, Report(evidence, results, when))


async def _gather(
    args: argparse.Namespace, product: Product, source: BrokerSource, clock: SystemClock
) -> tuple[Evidence, Sequence[Result]]:
    async with MqttCityLine(source, clock) as line:
        drop = restart = None
        if args.drop_command:
            drop = _hook("--drop-command", args.drop_command)
        elif product.client_id:
            drop = _take_over(line, product.client_id)
        if args.restart_command:
            restart = _hook("--restart-command", args.restart_command)
        plan = Plan(args.for_s, drop, restart)
        done = await ConformRun(product, line, clock, plan, _note).run()
    given = given_by(product, drop=drop is not None, restart=restart is not None)
    return done, judge_all(done, given)


def _take_over(line: MqttCityLine, client_id: str) -> Hook:
    async def act() -> None:
        await line.take_over(client_id)

    return act


def _hook(option: str, command: str) -> Hook:
    """What a person would do: a command of the shell."""

    async def act() -> None:
        process = await asyncio.create_subprocess_shell(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(HOOK_S):
                code = await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise HookError(f"{option} has not ended within {HOOK_S:.0f} s") from None
        if code:
            raise HookError(f"{option} ended with exit code {code}")

    return act


def _tell(args: argparse.Namespace, report: Report) -> int:
    if args.json:
        echo_json(as_data(report))
    else:
        echo(*text_lines(report))
    for path in args.report:
        try:
            path.write_text(PAGES[path.suffix](report), encoding="utf-8")
        except OSError as error:
            return _fail(f"--report {path}: {error.strerror or error}", 3)
    return 1 if report.failed else 0


def _page(text: str) -> Path:
    path = Path(text)
    if path.suffix not in PAGES:
        raise argparse.ArgumentTypeError(f"{text!r:.80}: write FILE.html or FILE.md")
    return path


def _seconds(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r:.30} is no number of seconds up to a day")
    return found


def _note(text: str) -> None:
    _fail(text, 0)


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone conform: {text}", err=True)
    return code
