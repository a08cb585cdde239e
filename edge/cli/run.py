"""`kerbstone run [FILE]`: read the devices of a site and publish their values, until stopped."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from edge.acquire.clock import SystemClock
from edge.cli.site_options import CONFIG_HELP, load_site_or_report
from edge.config import Problems, Site, site_warnings
from edge.core import ConfigError
from edge.core.boxfiles import find_site_file
from edge.gateway.boxswap import HandedOverError
from edge.gateway.calibrationsetup import expiring_certificates
from edge.gateway.daemon import Daemon
from edge.gateway.lastgood import LastGood, watch_trial
from edge.gateway.sitelocks import SiteBusyError, SiteFolderError
from edge.health.loglimit import LogLimit
from edge.health.openissues import ISSUE_LOG
from edge.outbox import OutboxBusyError
from edge.terminal import echo, is_terminal, log_to_stderr
from edge.uplink.sender import FIRST_LOG

STATE_HELP = (
    "folder of the last good configuration, used after three failed starts "
    "(default: $STATE_DIRECTORY, set by systemd; otherwise none is kept)"
)


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("run", help="read the devices of a site", description=__doc__)
    parser.add_argument("config", type=Path, nargs="?", default=find_site_file(), metavar="FILE",
                        help=CONFIG_HELP)  # fmt: skip
    parser.add_argument("-v", "--verbose", action="store_true", help="say more in the log")
    parser.add_argument("--state", type=Path, metavar="DIR", help=STATE_HELP)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    level = logging.INFO if args.verbose else logging.WARNING
    handler = log_to_stderr("%(levelname)s %(name)s: %(message)s", level)
    FIRST_LOG.setLevel(logging.INFO)  # once each: it is connected, and a record has arrived
    ISSUE_LOG.setLevel(logging.INFO)  # that one has closed, too
    clock = SystemClock()
    limit = LogLimit(handler, clock)
    limit.install()
    start = _supervised(args)
    site = load_site_or_report(args.config) if start is None else _choose_site(start, clock)
    if site is None:
        return 2
    for warning in (*site_warnings(site), *expiring_certificates(site, clock.now())):
        logging.getLogger("kerbstone").warning("%s", warning)
    try:
        asyncio.run(_run(Daemon(site, clock, limit), start, clock))
    except ConfigError as error:  # what only shows when devices are built, or in a file it names
        if start is not None:
            start.refused()
        one = (f"kerbstone run: {error}",)
        echo(*(error.lines if isinstance(error, Problems) else one), err=True)
        return 2
    except (SiteBusyError, SiteFolderError, OutboxBusyError, HandedOverError) as error:
        if start is not None and not isinstance(error, SiteFolderError):
            start.stopped()  # it is another process, or box, that is in the way
        echo(f"kerbstone run: {error}", err=True)
        return 3
    if start is not None:
        start.stopped()
    return 0


def _supervised(args: argparse.Namespace) -> LastGood | None:
    """What remembers good and bad starts, unless a person looks on: then errors are his."""
    attended = sys.stdin is not None and sys.stdin.isatty()
    attended = attended or is_terminal(err=True)
    if attended and not os.environ.get("NOTIFY_SOCKET"):
        return None
    state_folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    folder = args.state or (Path(state_folder) if state_folder else None)
    return None if folder is None else LastGood(folder, args.config)


def _choose_site(last_good: LastGood, clock: SystemClock) -> Site | None:
    try:
        return last_good.choose(clock.now().wall_ns // 1_000_000_000)
    except ConfigError as error:
        echo(*error.lines, err=True)
        return None


async def _run(daemon: Daemon, last_good: LastGood | None, clock: SystemClock) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop)
    if last_good is None:
        await daemon.run()
        return
    watching = asyncio.create_task(
        watch_trial(daemon, last_good, clock), name="configuration trial"
    )
    watching.add_done_callback(lambda task: _raise_if_failed(task, daemon))
    try:
        await daemon.run()
    finally:
        watching.cancel()
    (fault,) = await asyncio.gather(watching, return_exceptions=True)
    if isinstance(fault, Exception):
        raise fault


def _raise_if_failed(watching: "asyncio.Task[None]", daemon: Daemon) -> None:
    """A fault of ours in what watches ends the process, as everywhere."""
    if not watching.cancelled() and watching.exception() is not None:
        daemon.stop()
