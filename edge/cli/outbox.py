"""`kerbstone outbox --config FILE`: what waits for the platform, and how full the outbox is."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from edge.cli.site import SITE, site_of
from edge.control.protocol import VerbError, ask
from edge.store import BusyError, look


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("outbox", help="what waits for the platform", description=__doc__)
    parser.add_argument("--config", type=Path, default=SITE, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    site = site_of(args.config)
    if site is None:
        return 2
    try:
        counts = ask(Path(site.store.run_dir), "outbox")
        if counts is None:
            limit_bytes = site.store.limit_mb << 20
            counts = dataclasses.asdict(look(Path(site.store.dir), limit_bytes=limit_bytes))
    except (VerbError, BusyError, OSError, ValueError) as error:
        print(f"kerbstone outbox: {error}", file=sys.stderr)
        return 3
    if args.json:
        print(json.dumps(counts))
        return 0
    for key, value in counts.items():
        print(f"  {key:<12} {'-' if value in (None, {}) else value}")
    return 0
