"""`kerbstone decode DRIVER HEX [HEX ...]`: decode recorded frames."""

import argparse

import drivers
from edge.core import Bad, ConfigError, DataError, Reason, Sample, UncertainValue, bad, uncertain
from edge.terminal import echo, echo_json


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser("decode", help="decode recorded frames", description=__doc__)
    parser.add_argument("driver", help=f"one of {', '.join(drivers.names())}")
    parser.add_argument(
        "frames", nargs="+", metavar="HEX", help="in the order in which they went over the wire"
    )
    parser.add_argument("--json", action="store_true", help="no effect: the output is always JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    try:
        frames = [bytes.fromhex(text) for text in args.frames]
    except ValueError as error:
        echo(f"kerbstone decode: not hexadecimal: {error}", err=True)
        return 2
    try:
        samples = drivers.explain(args.driver, frames)
    except ConfigError as error:
        echo(f"kerbstone decode: {error}", err=True)
        return 2
    except DataError as error:
        named = drivers.named(args.driver, frames)
        what = "no values" if all(named) or error.reason is Reason.SILENT else "damaged frame"
        echo(f"kerbstone decode: {what} ({error.reason}): {error}", err=True)
        _print_frames(named)
        return 1
    rows = [_row(point, sample, unit) for point, (sample, unit) in samples.items()]
    echo_json(rows, indent=2)
    damaged = sorted({str(s.reason) for s, _ in samples.values() if isinstance(s, Bad)})
    if damaged:
        echo(f"kerbstone decode: some points are bad: {', '.join(damaged)}", err=True)
    if Reason.CONTRADICTED in damaged:
        _print_frames(drivers.named(args.driver, frames))
    return 1 if "crc" in damaged else 0


def _print_frames(named: list[str]) -> None:
    """What each frame is, as far as it is sound."""
    for number, text in enumerate(named, 1):
        if text:
            echo(f"  frame {number} is intact: {text}", err=True)


def _row(point: str, sample: Sample, unit: str) -> dict[str, object]:
    match sample:
        case Bad(reason):
            return {"point": point, "value": None, "unit": unit, "quality": str(bad(reason))}
        case UncertainValue(value, reason):
            return {"point": point, "value": value, "unit": unit, "quality": str(uncertain(reason))}
        case value:
            return {"point": point, "value": value, "unit": unit, "quality": "good"}
