"""`kerbstone replay --config FILE --edges CSV`: recorded edges, the same code, no wires."""

import argparse
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path

from edge.app import wiring
from edge.app.replaying import Replay, levels, open_edges, rows
from edge.cli.site import site_of
from edge.core import Envelope
from edge.uplink import wire

GATEWAY = "replay"


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("replay", help="run recorded edges through", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--edges", type=Path, required=True, metavar="CSV", help="t_ms,line,level; may be gzip"
    )
    parser.add_argument(
        "--start", default="1970-01-01T00:00:00Z", metavar="ISO8601", help="wall time of t_ms = 0"
    )
    parser.add_argument("--json", action="store_true", help="as it always is: a record a line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    site = site_of(args.config)
    if site is None:
        return 2
    try:
        start_ns = _wall_ns(args.start)
    except ValueError:
        print(f"kerbstone replay: {args.start!r} is no ISO 8601 time", file=sys.stderr)
        return 2
    parts = wiring.Wiring.of(site)
    pipeline = parts.pipeline(replayed=True)
    pipeline.load()
    replay = Replay(pipeline, parts, site.period_ns)
    try:
        with open_edges(args.edges) as file:
            before = levels(rows(file))
        with open_edges(args.edges) as file:
            for record in replay.run(rows(file), before):
                envelope = Envelope(start_ns + record.from_ns, start_ns + record.to_ns, "none")
                line = wire.encode(record, envelope, GATEWAY, "json").data
                sys.stdout.write(line.decode() + "\n")
    except BrokenPipeError:
        raise  # whoever reads us has seen enough: that is no fault of the file
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        print(f"kerbstone replay: {args.edges}: {error}", file=sys.stderr)
        return 2
    for text in replay.errors:
        print(f"kerbstone replay: {args.edges}: {text}", file=sys.stderr)
    if replay.wrong > len(replay.errors):
        more = replay.wrong - len(replay.errors)
        print(f"kerbstone replay: and {more} more", file=sys.stderr)
    return 1 if replay.wrong else 0


def _wall_ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
