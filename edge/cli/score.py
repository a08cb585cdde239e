"""`kerbstone score SERIES.csv`: anomaly scores for each value of a series, in one pass."""

import argparse
import csv
import math
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, TextIO

from edge.infer.bundlemanifest import ModelError
from edge.infer.scorer import Scorer
from edge.terminal import echo, echo_json

HEADER: Final = ["timestamp", "value"]
SHOWN: Final = 20  # errors in full; the rest is counted
EARLIEST_S: Final = 1e8  # smaller numbers count rows
LATEST_S: Final = 1e11
MISSING: Final = {"", "nan", "null", "none"}


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "score",
        help="score a series for anomalies",
        description=__doc__,
        epilog="Prints timestamp,value,state,onset. state says how anomalous the series is, and "
        "falls slowly; onset is the alarm for this value. Both are from 0 to 1, and come from the "
        "anomaly model, or from its rule if the model cannot be loaded. An empty value or NaN "
        "counts as missing. A line that cannot be read is reported on stderr and left out.",
    )
    parser.add_argument("series", metavar="SERIES.csv", help="timestamp,value; - reads stdin")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.series == "-":
        return _score("stdin", sys.stdin, args.json)
    try:
        with Path(args.series).open(encoding="utf-8", newline="") as file:
            return _score(args.series, file, args.json)
    except (OSError, UnicodeDecodeError) as error:
        echo(f"kerbstone score: {args.series}: {error}", err=True)
        return 2


def _score(name: str, file: TextIO, as_json: bool) -> int:
    reader = csv.reader(file)
    header = [cell.strip() for cell in next(reader, [])]
    if header != HEADER:
        echo(
            f"kerbstone score: {name}: the first line must be timestamp,value, "
            f"not {','.join(header)!r}",
            err=True,
        )
        return 2
    scorer = Scorer()
    if scorer.why:
        echo(f"kerbstone score: {scorer.why}; the scores come from the {scorer.by}", err=True)
    wrong = 0
    if not as_json:
        echo("timestamp,value,state,onset")
    try:
        for line, stamp, text, value in read_series(reader):
            if value is None and text.lower() not in MISSING:
                wrong += 1
                if wrong <= SHOWN:
                    echo(f"kerbstone score: {name}:{line}: {text}", err=True)
                continue
            state, onset = scorer.step(value, parse_time(stamp))
            if as_json:
                row = {"timestamp": stamp, "value": value, "state": state, "onset": onset}
                echo_json(row, flush=False)
            else:
                row_of = f"{_quoted(stamp)},{text},{state:.3f},{onset:.3f}"
                echo(row_of, fold=False, flush=False)
    except csv.Error as error:
        echo(f"kerbstone score: {name}:{reader.line_num}: {error}", err=True)
        return 1
    except ModelError as error:
        echo(f"kerbstone score: {error}", err=True)
        return 1
    if wrong > SHOWN:
        echo(f"kerbstone score: and {wrong - SHOWN} more", err=True)
    return 1 if wrong else 0


class NumberedRows(Protocol):
    """What `csv.reader` gives: rows, and how many lines they took so far."""

    @property
    def line_num(self) -> int: ...
    def __iter__(self) -> Iterator[list[str]]: ...


def read_series(reader: NumberedRows) -> Iterator[tuple[int, str, str, float | None]]:
    """(line, timestamp, value as written, value); no value: missing, or the text says why not."""
    for cells in reader:
        line = reader.line_num
        if not cells:
            continue
        if len(cells) != 2:
            yield line, "", f"two cells are needed, not {len(cells)}", None
            continue
        stamp, text = cells[0].strip(), cells[1].strip()
        if text.lower() in MISSING:
            yield line, stamp, text, None
            continue
        try:
            value = float(text)
        except ValueError:
            yield line, stamp, f"{text!r} is not a number", None
            continue
        if not math.isfinite(value):
            yield line, stamp, f"{text!r} is not a finite number", None
            continue
        yield line, stamp, text, value


def parse_time(stamp: str) -> float | None:
    """Seconds since 1970 of an ISO time (UTC when it has no zone) or a number; None: neither."""
    try:
        when = datetime.fromisoformat(stamp)
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        try:
            seconds = float(stamp)
        except ValueError:
            return None
    seconds = seconds / 1000 if seconds > LATEST_S else seconds  # then it is milliseconds
    return seconds if EARLIEST_S < seconds < LATEST_S else None


def _quoted(stamp: str) -> str:
    """The timestamp as a cell of our output."""
    if any(char in stamp for char in ',"\n\r'):
        return '"' + stamp.replace('"', '""') + '"'
    return stamp
