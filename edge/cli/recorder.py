"""`kerbstone recorder`: what came in lately, as this gateway has it in memory.

The gateway keeps the raw input of the last minutes: each edge of a loop, each answer of a device,
the bytes on the buses. A flag, a fault or `freeze` makes a recording of it, which is gone ten
minutes later. `save` writes it into a file, for `kerbstone replay`. Such a file tells when single
vehicles have passed, and what has gone over a meter's wire: treat it as personal data.

Exit codes: 0 done; 1 there is no such recording; 2 wrong use; 3 no daemon answers, or the file
cannot be written.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge.cli.site_options import load_site_or_report, run_dir_without_site, site_options
from edge.control.protocol import OLDER_TEXT, UnknownVerbError, VerbError, ask_daemon
from edge.control.recordings import fetch_recording
from edge.core.humanize import span_text
from edge.durable.atomicwrite import replace_file
from edge.terminal import echo, echo_json

NO_DAEMON: Final = "no daemon runs: it has the recordings in memory"


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "recorder", help="what came in lately, frozen around flags and faults",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    listing = steps.add_parser("list", help="which recordings there are, and for how long")
    freezing = steps.add_parser("freeze", help="make a recording of the last minutes")
    freezing.add_argument("--why", default="", metavar="TEXT", help="stands in the recording")
    saving = steps.add_parser("save", help="write a recording into a file")
    saving.add_argument("number", type=int, metavar="NUMBER", help="as `recorder list` shows it")
    saving.add_argument("--out", type=Path, metavar="FILE", help="default: recording-NUMBER.rec")
    for step in (listing, freezing, saving):
        site_options(step)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    run_dir = run_dir_without_site(args.config)
    if run_dir is None:
        site = load_site_or_report(args.config)
        if site is None:
            return 2
        run_dir = Path(site.store.run_dir)
    try:
        if args.step == "save":
            return _save(args, run_dir)
        answer = _asked(run_dir, act=args.step, **({"why": args.why} if "why" in args else {}))
    except UnknownVerbError:
        return _wrong(OLDER_TEXT, 3)
    except VerbError as error:
        return _wrong(str(error), 3)
    if args.json:
        echo_json(answer)
    else:
        echo(*_lines(answer), fold=False)
    return 0


def _asked(run_dir: Path, **arguments: Any) -> dict[str, Any]:
    answer = ask_daemon(run_dir, "recorder", **arguments)
    if answer is None:
        raise VerbError(NO_DAEMON)
    return answer


def _save(args: argparse.Namespace, run_dir: Path) -> int:
    known = _asked(run_dir, act="list")["recordings"]
    if args.number not in {each["number"] for each in known}:
        numbers = ", ".join(str(each["number"]) for each in known) or "none"
        return _wrong(f"there is no recording {args.number}; there are {numbers}", 1)

    def ask(**arguments: Any) -> dict[str, Any]:
        return _asked(run_dir, **arguments)

    data = fetch_recording(ask, args.number)
    out = args.out or Path(f"recording-{args.number}.rec")
    try:
        replace_file(out, data)
    except OSError as error:
        return _wrong(f"{out}: {error.strerror or error}", 3)
    if args.json:
        echo_json({"file": str(out), "size": len(data)})
    else:
        echo(f"{out}: {len(data) >> 10} kB. It tells when single vehicles have passed")
    return 0


def _lines(answer: Mapping[str, Any]) -> list[str]:
    ring_s, kilobytes = answer["ring_s"], answer["ring_bytes"] >> 10
    lines = [f"In memory: the last {span_text(ring_s)}, {kilobytes} kB"]
    for each in answer["recordings"]:
        ago, lasts = span_text(each["to_s"]), span_text(each["from_s"] - each["to_s"])
        left = span_text(each["left_s"])
        lines.append(
            f"Recording {each['number']}: {lasts} up to {ago} ago, {each['size'] >> 10} kB; "
            f"gone in {left}"
        )
        lines += [f"  {why}" for why in each["reasons"]]
    if answer["ready_s"] is not None:
        lines.append(f"Another one will be there in {span_text(answer['ready_s'])}")
    elif not answer["recordings"]:
        lines.append("No recording: `kerbstone recorder freeze` makes one")
    return lines


def _wrong(text: str, code: int) -> int:
    echo(f"kerbstone recorder: {text}", err=True)
    return code
