"""`kerbstone outbox --config FILE`: what waits for the platform, and how full the outbox is.

`kerbstone outbox rescue FILE` sends or exports the records that a file of an outbox still holds.

The command asks the daemon. If no daemon runs, it reads the files, and changes nothing in them.
Exit codes: 0 done, 2 wrong use, 3 the outbox cannot be read.
"""

import argparse
import dataclasses
from pathlib import Path

from edge.cli import outbox_rescue
from edge.cli.site_options import load_site_or_report, site_options
from edge.control.protocol import VerbError, ask_daemon
from edge.outbox import OutboxBusyError, inspect_outbox
from edge.report.status.outbox import outbox_lines
from edge.report.status.textform import WIDTH, fit_line, render_sections
from edge.terminal import echo, echo_json, page_width


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "outbox", help="what waits for the platform",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    site_options(parser)
    parser.set_defaults(run=run)
    outbox_rescue.register(parser.add_subparsers(metavar="VERB"))


def run(args: argparse.Namespace) -> int:
    site = load_site_or_report(args.config)
    if site is None:
        return 2
    try:
        counts: dict[str, object] | None = ask_daemon(Path(site.store.run_dir), "outbox")
        daemon = counts is not None
        if counts is None:
            limit_bytes = site.store.limit_mb << 20
            counts = dataclasses.asdict(
                inspect_outbox(Path(site.store.dir), limit_bytes=limit_bytes)
            )
    except (VerbError, OutboxBusyError, OSError, ValueError) as error:
        echo(f"kerbstone outbox: {error}", err=True)
        return 3
    if args.json:
        echo_json(counts)
        return 0
    through = "as the daemon reports" if daemon else "from the files; no daemon runs"
    head = fit_line(f"{site.place.gateway} at {site.place.id}, {through}", width=page_width(WIDTH))
    lines = outbox_lines(counts, daemon=daemon, whole=True)
    echo(head, *render_sections([lines], page_width(WIDTH)), fold=False)
    return 0
