"""`kerbstone live`: what this gateway does now, on the whole terminal, until q or Ctrl-C.

Values with age, quality and course, lanes as they are driven over, link, queue and open issues. It
shows what the daemon holds, and asks no device. Made for 80 columns; --every 5 for a slow line.
"""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edge.acquire.clock import SystemClock
from edge.cli.site_options import CONFIG_HELP, load_site_or_report, run_dir_without_site
from edge.config import Store
from edge.control.handover import why_stopped
from edge.control.protocol import VerbError
from edge.core.boxfiles import find_site_file
from edge.diagnose.livesource import LiveSource
from edge.terminal import echo, has_colours, has_cursor, is_terminal

EVERY_S: Final = 1.0
LEAST_EVERY_S, MOST_EVERY_S = 0.5, 3600.0
INSTEAD: Final = "`kerbstone read --all --watch` shows the same line by line"
NO_TERMINAL: Final = f"this needs a terminal to read keys from and to draw on; {INSTEAD}"
NO_CURSOR: Final = f"this needs a terminal that can move its cursor (TERM is {{term}}); {INSTEAD}"
NO_LIBRARY: Final = (
    f"the library textual is not installed: `pip install 'kerbstone[live]'`; {INSTEAD}"
)
NO_DAEMON: Final = (
    "the daemon does not run: `sudo systemctl start kerbstone`; without it "
    "`kerbstone read --all --watch` reads the wires"
)


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "live", help="what this gateway does now, on the whole terminal", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("device", nargs="*", metavar="NAME", help="only these devices, lanes, bays and contacts")
    add("--config", type=Path, default=find_site_file(), metavar="FILE", help=CONFIG_HELP)
    add("--every", type=float, default=EVERY_S, metavar="SECONDS",
        help="how often it is shown anew (1)")  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if not LEAST_EVERY_S <= args.every <= MOST_EVERY_S:
        return _fail(f"--every is {LEAST_EVERY_S:g} to {MOST_EVERY_S:g} s", 2)
    if not (is_terminal() and sys.stdin.isatty()):
        return _fail(NO_TERMINAL, 2)
    if not has_cursor():
        return _fail(NO_CURSOR.format(term=os.environ.get("TERM") or "not set"), 2)
    if find_spec("textual") is None:
        return _fail(NO_LIBRARY, 2)
    folder, store = run_dir_without_site(args.config), Path(Store().dir)
    if folder is None:
        site = load_site_or_report(args.config)
        if site is None:
            return 2
        folder, store = Path(site.store.run_dir), Path(site.store.dir)
    source = LiveSource(folder, list(dict.fromkeys(args.device)) or None, store)
    try:
        first = source.ask()
    except VerbError as error:
        return _fail(str(error), 2)
    except OSError as error:
        return _fail(f"{error}; use sudo, or join the group kerbstone", 3)
    if first is None:
        return _fail(why_stopped(store, NO_DAEMON), 3)

    from edge.cli.livescreen import LiveScreen  # 0.3 s on a small box: only when all is there

    clock = SystemClock()
    screen = LiveScreen(
        source,
        first,
        every_s=args.every,
        clock_ns=lambda: clock.now().mono_ns,
        colours=has_colours(),
        plain=(sys.stdout.encoding or "").lower().replace("-", "") != "utf8",  # noqa: TID251
    )
    code = screen.run(mouse=False)
    return screen.return_code or 0 if code is None else code


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone live: {text}", err=True)
    return code
