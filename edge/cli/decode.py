"""`kerbstone decode DRIVER HEX [HEX ...]`: what recorded frames mean."""

import argparse
import json
import sys
from typing import Any

import drivers
from edge.core import Bad, ConfigError, DataError, Doubt, Reason, Sample, bad, uncertain


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("decode", help="say what recorded frames mean", description=__doc__)
    parser.add_argument("driver", help=f"one of {', '.join(drivers.names())}")
    parser.add_argument(
        "frames", nargs="+", metavar="HEX", help="in the order in which they went over the wire"
    )
    parser.add_argument("--json", action="store_true", help="as it always is: JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        frames = [bytes.fromhex(text) for text in args.frames]
    except ValueError as error:
        print(f"kerbstone decode: not hexadecimal: {error}", file=sys.stderr)
        return 2
    try:
        samples = drivers.explain(args.driver, frames)
    except ConfigError as error:
        print(f"kerbstone decode: {error}", file=sys.stderr)
        return 2
    except DataError as error:
        named = drivers.named(args.driver, frames)
        what = "no values" if all(named) or error.reason is Reason.SILENT else "damaged frame"
        print(f"kerbstone decode: {what} ({error.reason}): {error}", file=sys.stderr)
        _tell(named)
        return 1
    rows = [_row(point, sample, unit) for point, (sample, unit) in samples.items()]
    print(json.dumps(rows, indent=2))
    damaged = sorted({str(s.reason) for s, _ in samples.values() if isinstance(s, Bad)})
    if damaged:
        print(f"kerbstone decode: some points are bad: {', '.join(damaged)}", file=sys.stderr)
    if Reason.CONTRADICTED in damaged:
        _tell(drivers.named(args.driver, frames))
    return 1 if "crc" in damaged else 0


def _tell(named: list[str]) -> None:
    """What each frame is, as far as it is sound."""
    for number, text in enumerate(named, 1):
        if text:
            print(f"  frame {number} is sound: {text}", file=sys.stderr)


def _row(point: str, sample: Sample, unit: str) -> dict[str, Any]:
    match sample:
        case Bad(reason):
            return {"point": point, "value": None, "unit": unit, "quality": str(bad(reason))}
        case Doubt(value, reason):
            return {"point": point, "value": value, "unit": unit, "quality": str(uncertain(reason))}
        case value:
            return {"point": point, "value": value, "unit": unit, "quality": "good"}
