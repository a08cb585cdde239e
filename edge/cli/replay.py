"""`kerbstone replay --config FILE --edges CSV`: recorded edges through the daemon's code.

`kerbstone replay RECORDING --config FILE` does the same with a recording of `kerbstone recorder`,
which has all input and the records: it says whether they are the same, bit for bit. --test makes a
regression test of it. Exit codes: 0 done, 1 rows are wrong, or records differ; 2 wrong use.
"""

import argparse
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

from edge import wire
from edge.cli import replay_recording
from edge.cli.site_options import load_site_or_report
from edge.core import Envelope, Record, TimeQuality
from edge.gateway import wiring
from edge.gateway.replaying import Replay
from edge.recordings.edgefile import open_edges, read_edge_rows, read_through
from edge.report import plot
from edge.terminal import echo, is_terminal, progress

GATEWAY = "replay"
PROGRESS_S: Final = 0.5  # between two words of progress


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "replay",
        help="replay recorded edges, or a recording",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Records go to stdout, one JSON object a line. --plot draws them into one file that "
        "needs no network: .html shows values under the pointer and can be zoomed, .svg is a still "
        "picture.",
    )
    parser.add_argument(
        "recording", type=Path, nargs="?", metavar="RECORDING", help="as `recorder save` wrote it"
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="the site file")
    parser.add_argument("--edges", type=Path, metavar="CSV", help="t_ms,line,level; may be gzip")
    parser.add_argument(
        "--start",
        metavar="ISO8601",
        help="wall time of t_ms = 0; by default 1970, and then checks by hour of day are off",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw what was replayed: .html or .svg"
    )
    parser.add_argument(
        "--test", type=Path, metavar="FILE", help="of a recording: write a test for pytest"
    )
    parser.add_argument("--quiet", action="store_true", help="no records to stdout")
    parser.add_argument("--json", action="store_true", help="no effect: the output is always JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if (args.recording is None) == (args.edges is None):
        return _wrong("give a RECORDING, or --edges CSV")
    if args.recording is not None:
        if args.start is not None or args.plot is not None:
            return _wrong("--start and --plot are for --edges")
        return replay_recording.run(args)
    if args.test is not None:
        return _wrong("--test is for a RECORDING")
    site = load_site_or_report(args.config)
    if site is None:
        return 2
    if args.plot is not None and args.plot.suffix.lower() not in plot.SUFFIXES:
        return _wrong(
            f"--plot {args.plot}: the file's name ends with .html or .svg. For a .png, open the "
            ".html in a browser and take a screenshot, or print it"
        )
    try:
        start_ns = _wall_ns("1970-01-01" if args.start is None else args.start)
    except ValueError:
        return _wrong(f"{args.start!r} is not an ISO 8601 time")
    parts = wiring.Wiring.of(site)
    pipeline = parts.pipeline(replayed=True)
    pipeline.load()
    start_s = None if args.start is None else start_ns / 1e9
    replay = Replay(pipeline, parts, site.period_ns, start_s)
    kept = plot.PlotData(site.period_ns) if args.plot is not None else None
    shown = _Progress(args.quiet)
    try:
        with open_edges(args.edges) as file:
            shown.read(read_through(file))
        with open_edges(args.edges) as file:
            for record in replay.run(read_edge_rows(file)):
                shown.replayed(record)
                if kept is not None:
                    kept.take(record)
                if not args.quiet:
                    echo(_line(record, start_ns), fold=False, flush=False)
    except (OSError, EOFError, zlib.error) as error:
        shown.end()
        return _wrong(f"{args.edges}: {error}")
    shown.end()
    for text in replay.errors:
        _wrong(f"{args.edges}: {text}")
    if replay.wrong > len(replay.errors):
        _wrong(f"and {replay.wrong - len(replay.errors)} more")
    if kept is not None and not _draw_plot(kept, args, start_ns, site.place.id):
        return 2
    return 1 if replay.wrong else 0


def _draw_plot(data: plot.PlotData, args: argparse.Namespace, start_ns: int, site: str) -> bool:
    start_s = None if args.start is None else start_ns / 1e9
    heading = plot.Heading(f"{site}: replay of {args.edges.name}", start_s)
    try:
        text = plot.draw_page(data, heading, args.plot.suffix.lower())
        args.plot.write_text(text, encoding="utf-8")
    except OSError as error:
        _wrong(f"{args.plot}: {error.strerror}")
        return False
    return True


def _line(record: Record, start_ns: int) -> str:
    envelope = Envelope(start_ns + record.from_ns, start_ns + record.to_ns, TimeQuality.NONE)
    return wire.encode(record, envelope, GATEWAY, "json").data.decode()


def _wrong(text: str) -> int:
    echo(f"kerbstone replay: {text}", err=True)
    return 2


class _Progress:
    """How far it is, on a terminal that shows nothing else."""

    def __init__(self, quiet: bool) -> None:
        self._shown = quiet or not is_terminal()
        self._due_s = monotonic() + PROGRESS_S
        self._last_ns = 0  # of the file's edges

    def read(self, moments: Iterator[int]) -> None:
        """Know how long the file is. A damaged one ends here, before anything was said of it."""
        for self._last_ns in moments:
            if self._shown:
                self._print_progress(f"reading: {self._last_ns / 3.6e12:.1f} h")

    def replayed(self, record: Record) -> None:
        """This is the newest record."""
        if self._shown:
            share = min(1.0, record.to_ns / self._last_ns) if self._last_ns else 1.0
            self._print_progress(f"{share:4.0%}: {record.to_ns / 3.6e12:.1f} h replayed")

    def _print_progress(self, text: str) -> None:
        if monotonic() >= self._due_s:
            self._due_s = monotonic() + PROGRESS_S
            progress(text)

    def end(self) -> None:
        """Leave no trace."""
        if self._shown:
            progress("")


def _wall_ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
