"""`kerbstone run [FILE]`: read the devices of a site and publish their values, until stopped.

Exit codes: 0 stopped, 1 a fault of the program, 2 the site file cannot be used, 3 another process
is in the way, 4 another box has gone on in this one's place.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final, NoReturn

from edge.acquire.clock import SystemClock, boot_id
from edge.cli.site_options import CONFIG_HELP, load_site_or_report
from edge.config import Problems, Site, site_warnings
from edge.core import ConfigError
from edge.core.boxfiles import SITE_FILE_NAME, find_site_file
from edge.gateway.boxswap import HandedOverError
from edge.gateway.calibrationsetup import expiring_certificates
from edge.gateway.daemon import Daemon
from edge.gateway.lastgood import LastGood
from edge.gateway.sitelocks import SiteBusyError, SiteFolderError
from edge.gateway.trialwatch import ConfigControl
from edge.health.loglimit import LogLimit
from edge.health.openissues import ISSUE_LOG
from edge.outbox import OutboxBusyError
from edge.terminal import echo, is_terminal, log_to_stderr
from edge.uplink.sender import FIRST_LOG

HANDED_OVER_CODE: Final = 4  # systemd does not try again: kerbstone.service
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
    start, end = _supervised(args), EndAsked()
    if start is not None:
        signal.signal(signal.SIGTERM, end.note)  # a trial begins before there is a loop
    site = load_site_or_report(args.config) if start is None else _choose_site(start, clock)
    control = None
    if start is not None:
        control = ConfigControl(start, clock, boot_id(), signed=_is_handed(args.config))
    if site is None:
        return 2
    for warning in (*site_warnings(site), *expiring_certificates(site, clock.now())):
        logging.getLogger("kerbstone").warning("%s", warning)
    try:
        daemon = Daemon(site, clock, limit, control)
        asyncio.run(_run(daemon, control, end))
    except ConfigError as error:  # what only shows when devices are built, or in a file it names
        if start is not None:
            start.refused(str(error).partition("\n")[0], clock.now().wall_ns // 1_000_000_000)
        one = (f"kerbstone run: {error}",)
        echo(*(error.lines if isinstance(error, Problems) else one), err=True)
        return 2
    except HandedOverError as error:
        if start is not None:
            start.stopped()
        echo(f"kerbstone run: {error}", err=True)
        return HANDED_OVER_CODE
    except (SiteBusyError, SiteFolderError, OutboxBusyError) as error:
        if start is not None and not isinstance(error, SiteFolderError):
            start.stopped()  # it is another process that is in the way
        echo(f"kerbstone run: {error}", err=True)
        return 3
    if start is not None and control is not None:
        start.stopped(control.worked)
        if control.again and not end.asked:
            _start_again(daemon)
    return 0


def _start_again(daemon: Daemon) -> NoReturn:
    """In the place of this process: systemd need not wait, and no wire waits for systemd."""
    logging.getLogger("kerbstone").warning("the daemon starts anew: its configuration has changed")
    logging.shutdown()
    environment = {**os.environ, **daemon.notify.given}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def _is_handed(file: Path) -> bool:
    """systemd hands it over: what the operator has signed."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return folder is not None and file == Path(folder) / SITE_FILE_NAME


def _supervised(args: argparse.Namespace) -> LastGood | None:
    """What remembers good and bad starts, unless a person looks on: then errors are his."""
    attended = sys.stdin is not None and sys.stdin.isatty()
    attended = attended or is_terminal(err=True)
    if attended and not os.environ.get("NOTIFY_SOCKET"):
        return None
    state_folder = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    folder = args.state or (Path(state_folder) if state_folder else None)
    if folder is None:
        return None
    return LastGood(folder, args.config, handed=_is_handed(args.config), boot=boot_id())


def _choose_site(last_good: LastGood, clock: SystemClock) -> Site | None:
    try:
        now = clock.now()
        return last_good.choose(now.wall_ns // 1_000_000_000, now.mono_ns)
    except ConfigError as error:
        echo(*error.lines, err=True)
        return None


class EndAsked:
    """Whether somebody has asked this process to end: then it does not start anew either."""

    def __init__(self) -> None:
        self.asked = False

    def note(self, *_: object) -> None:
        self.asked = True


async def _run(daemon: Daemon, control: ConfigControl | None, end: EndAsked) -> None:
    def stop() -> None:
        end.note()
        daemon.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if end.asked:
        daemon.stop()
    if control is None:
        await daemon.run()
        return
    watching = asyncio.create_task(control.watch(daemon), name="configuration trial")
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
