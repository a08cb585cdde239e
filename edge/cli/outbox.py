"""`kerbstone outbox --config FILE`: what waits for the platform, and how full the outbox is."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import drivers
from edge.cli.read import SITE
from edge.config import load
from edge.control.protocol import VerbError, ask
from edge.core import ConfigError
from edge.store import look


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("outbox", help="what waits for the platform", description=__doc__)
    parser.add_argument("--config", type=Path, default=SITE, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        site = load(args.config, drivers.catalogue())
        counts = ask(Path(site.store.run_dir), "outbox")
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except VerbError as error:
        print(f"kerbstone outbox: {error}", file=sys.stderr)
        return 3
    if counts is None:
        counts = dataclasses.asdict(
            look(Path(site.store.dir), limit_bytes=site.store.limit_mb << 20)
        )
    if args.json:
        print(json.dumps(counts))
    else:
        for key, value in counts.items():
            print(f"  {key:<20}{value}")
    return 0
