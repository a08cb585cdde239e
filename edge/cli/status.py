"""`kerbstone status`: the state of this gateway, and what you have to do, on one page.

The first line is the verdict. Below it are the things to do, then each part of the gateway. Exit
codes: 0 fine, 1 something needs attention, 2 wrong use, 3 the daemon cannot be reached: the page
then says how to start it, and shows what can be seen without it.
"""

import argparse
import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edge.cli.site_options import load_site_or_report, site_options
from edge.config import Site, Store
from edge.control.handover import GONE_ON_TEXT, find_hand_over
from edge.control.protocol import VerbError, ask_daemon
from edge.core.boxfiles import find_site_file
from edge.core.humanize import span_text
from edge.core.printable import printable
from edge.durable.timelimit import GLANCE_S
from edge.identity.pagefingerprint import read_page_fingerprint
from edge.identity.runfiles import read_box_names, read_status_lines
from edge.kernelclock import boottime_ns
from edge.link.accesspointfiles import is_open, read_state, state_folder
from edge.outbox import OutboxBusyError, inspect_outbox
from edge.report.status.issues import issue_rows, listed_issues
from edge.report.status.outbox import outbox_lines
from edge.report.status.page import status_page
from edge.report.status.textform import WIDTH, Section, fit_line, render_sections
from edge.terminal import echo, echo_json, page_width

START_HINT: Final = (
    "start it: `sudo systemctl start kerbstone`",
    "read its last messages: `journalctl -u kerbstone -n 50`",
    "check the site file: `kerbstone check {file}`",
)
ANSWER_S: Final = 8.0  # of the daemon, which waits 3 s for its own disk
NO_ANSWER_HINT: Final = (
    "it may still be starting, or hang: `systemctl status kerbstone` says more",
)


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "status", help="the state of this gateway, and what you have to do",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    site_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if (status := _status_without_site(args.config)) is not None:
        return _print_status(args, status)
    rows, names = read_status_lines(), read_box_names()
    if rows and not os.access(args.config, os.F_OK) and not (names and names.configured):
        return _not_configured(args, rows)
    site = load_site_or_report(args.config)
    if site is None:
        return 2
    try:
        status = ask_daemon(Path(site.store.run_dir), "status", ANSWER_S)
    except VerbError as error:  # the outbox is in its hands
        return _unreachable(args, site, str(error), NO_ANSWER_HINT, Section("outbox", ()))
    except OSError as error:
        return _unreachable(args, site, str(error), NO_ANSWER_HINT, *_outbox(site))
    if status is None:
        why, do = _stopped(Path(site.store.dir))
        return _unreachable(args, site, why, do, *_outbox(site))
    return _print_status(args, status)


def _stopped(folder: Path) -> tuple[str, Sequence[str]]:
    """Why no daemon runs, and what to do."""
    mark = find_hand_over(folder)
    if mark is not None:
        return GONE_ON_TEXT, (
            f"nothing: backup {mark.backup} was made by {mark.by} at {mark.at}",
            "if it was restored nowhere: `sudo kerbstone backup --undo`",
        )
    return "the daemon does not run", START_HINT


def _status_without_site(file: Path) -> dict[str, object] | None:
    """A technician in the group kerbstone may ask the daemon, where the signed file of an enrolled
    box is for root only: the daemon is where it is on every box."""
    if file != find_site_file() or os.access(file, os.R_OK):
        return None
    try:
        return ask_daemon(Path(Store().run_dir), "status")
    except (VerbError, OSError):
        return None


def _print_status(args: argparse.Namespace, status: Mapping[str, Any]) -> int:
    found, fingerprint = listed_issues(status), read_page_fingerprint()
    opened = _access_point()
    if args.json:
        rows = issue_rows(status)
        issues = [
            {**row, **dataclasses.asdict(issue)} for row, issue in zip(rows, found, strict=True)
        ]
        page = {"page": {"fingerprint": fingerprint}} if fingerprint else {}
        point = {} if opened is None else {"access_point": {"left_s": opened[1]}}
        echo_json({**status, "ok": not found, "issues": issues, **page, **point})
    else:
        echo(
            *status_page(status, found, page_width(WIDTH)),
            *_proposed(read_status_lines()),
            *_page(fingerprint, opened),
            fold=False,
        )
    return 1 if found else 0


def _not_configured(args: argparse.Namespace, rows: list[str]) -> int:
    """A box that waits for its operator has no daemon to ask: enrolment says how far it is."""
    fields = {name: text.strip() for name, _, text in (row.partition(":") for row in rows)}
    if args.json:
        echo_json({"ok": False, "error": "no site file yet", "enrolment": fields})
        return 3
    head = fit_line(
        f"NOT CONFIGURED: {fields.get('gateway', 'this box')} has no site file yet",
        width=page_width(WIDTH),
    )
    shown = render_sections([Section("enrolment", tuple(rows))], page_width(WIDTH))
    echo(head, *shown, fold=False)
    return 3


def _proposed(rows: list[str]) -> list[str]:
    """The row of a proposal that has no configuration for an answer."""
    found = tuple(row.partition(":")[2].strip() for row in rows if row.startswith("proposal:"))
    return render_sections([Section("proposal", found)], page_width(WIDTH)) if found else []


def _page(fingerprint: str, opened: tuple[str, int] | None) -> list[str]:
    """What a phone's warning about the page is compared with: in two rows, as phones show it; and
    whether phones may come."""
    rows: list[str] = []
    if fingerprint:
        half = len(fingerprint) // 2
        rows = ["SHA-256 of its certificate:", fingerprint[: half + 1], fingerprint[half + 1 :]]
    if opened is not None:
        rows.append(f"the access point {opened[0]} is open for {span_text(opened[1])}")
    return render_sections([Section("page", tuple(rows))], page_width(WIDTH)) if rows else []


def _access_point() -> tuple[str, int] | None:
    """The network, and for how many seconds; None while it is closed."""
    state, now_s = read_state(state_folder()), boottime_ns() / 1e9
    if state is None or not is_open(state, now_s):
        return None
    return printable(state.network), round(state.until_s - now_s)


def _outbox(site: Site) -> tuple[Section, dict[str, object] | None]:
    """What can be seen without a daemon."""
    try:
        found = inspect_outbox(Path(site.store.dir), site.store.limit_mb << 20, GLANCE_S)
    except (OutboxBusyError, OSError, ValueError) as error:
        error_text = (isinstance(error, OSError) and error.strerror) or str(error)
        return Section("outbox", (f"cannot be read: {error_text}",)), None
    counts = dataclasses.asdict(found)
    return outbox_lines(counts, daemon=False), counts


def _unreachable(
    args: argparse.Namespace,
    site: Site,
    why: str,
    do: Sequence[str],
    outbox: Section,
    counts: dict[str, object] | None = None,
) -> int:
    if args.json:
        echo_json({"ok": False, "error": why, "outbox": counts})
        return 3
    steps = tuple(f"- {line.format(file=args.config)}" for line in do)
    head = fit_line(
        f"NOT REACHABLE: {site.place.gateway} at {site.place.id}: {why}", width=page_width(WIDTH)
    )
    shown = render_sections([Section("to do", steps), outbox], page_width(WIDTH))
    echo(head, *shown, fold=False)
    return 3
