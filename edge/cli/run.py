"""`kerbstone run [FILE]`: read the wires of a site and publish, until told to stop."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from edge.acquire.clock import SystemClock
from edge.app.calibrating import expiring
from edge.app.daemon import BusyError, Daemon, FolderError
from edge.cli.site import SITE, site_of
from edge.config import Problems, warnings
from edge.core import ConfigError
from edge.store import BusyError as StoreBusyError


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("run", help="read the wires of a site", description=__doc__)
    parser.add_argument("config", type=Path, nargs="?", default=SITE, metavar="FILE")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more in the log")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",  # the journal has the time
    )
    site = site_of(args.config)
    if site is None:
        return 2
    clock = SystemClock()
    for warning in (*warnings(site), *expiring(site, clock.now())):
        logging.getLogger("kerbstone").warning("%s", warning)
    try:
        asyncio.run(_run(Daemon(site, clock)))
    except Problems as error:  # what only shows when devices are built
        print(error, file=sys.stderr)
        return 2
    except ConfigError as error:  # a file that it names cannot be used
        print(f"kerbstone run: {error}", file=sys.stderr)
        return 2
    except (BusyError, FolderError, StoreBusyError) as error:
        print(f"kerbstone run: {error}", file=sys.stderr)
        return 3
    return 0


async def _run(daemon: Daemon) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, daemon.stop)
    await daemon.run()
