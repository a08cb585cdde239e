"""`kerbstone doctor [DEVICE|BUS ...]`: what is wrong with each bus and device, and what to do.

While the gateway runs, the doctor asks the gateway and sends nothing on the wires. Otherwise it
reads each device once, and looks for the cause if that fails. Ctrl-C ends it and prints what was
found so far.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from edge.cli.site_options import CONFIG_HELP, load_site_or_report
from edge.control.protocol import VerbError, ask_daemon
from edge.core import ConfigError
from edge.core.boxfiles import find_site_file
from edge.core.displayname import with_name
from edge.diagnose.diagnosis import ENDED_EARLY, Doctor, make_exams
from edge.diagnose.exam import Exam, ExamFinding
from edge.diagnose.passivechecks import fill_from_status
from edge.terminal import echo, echo_json, progress


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "doctor", help="say what is wrong with a bus or a device, and what to do",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("names", nargs="*", metavar="DEVICE|BUS", help="as in the configuration; default: all")
    add("--config", type=Path, default=find_site_file(), metavar="FILE", help=CONFIG_HELP)
    add("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    site = load_site_or_report(args.config)
    if site is None:
        return 2
    try:
        exams = make_exams(site, args.names)
    except ValueError as error:
        echo(f"kerbstone doctor: {error}", err=True)
        return 2
    why = ""
    try:
        status = ask_daemon(Path(site.store.run_dir), "status")
        if status is not None:
            findings = fill_from_status(exams, status)
            findings = (
                [] if args.names else findings
            )  # what is wrong with the gateway was not asked
        else:
            doctor = Doctor(exams)
            why = doctor.run(lambda: _show_progress(doctor))
            findings = []
            progress("")
    except ConfigError as error:
        echo(f"kerbstone doctor: {args.config}: {error}", err=True)
        return 2
    except (VerbError, OSError) as error:
        echo(f"kerbstone doctor: {error}", err=True)
        return 3
    through = (
        "read on the wires; the daemon does not run"
        if status is None
        else "as the daemon reports; nothing was sent on the wires"
    )
    if args.json:
        echo_json(_report(exams, findings, through, why), indent=2)
    else:
        echo(through, *_lines(exams, findings, args.config.name))
    if why:
        echo(f"kerbstone doctor: {why}; this is what was found so far", err=True)
    everything = [*findings, *(one for exam in exams for one in exam.findings())]
    if why == ENDED_EARLY:
        return 130
    if any(one.finding.severity == "fault" for one in everything):
        return 1
    return 3 if why or any(exam.refused for exam in exams) else 0


def _show_progress(doctor: Doctor) -> None:
    busy = [one for one in doctor.exams if not one.finished]
    step = f"{busy[0].bus}: {busy[0].step}"[:60] if busy else ""
    done = len(doctor.exams) - len(busy)
    progress(f"{done} of {len(doctor.exams)} buses, {doctor.took_s:.0f} s  {step}")


def _lines(exams: Sequence[Exam], findings: Sequence[ExamFinding], file: str) -> list[str]:
    """A line for each finding, its remedy under it, and one for all that is fine."""
    out = [line for one in findings for line in _line(one, "gateway")]
    for exam in exams:
        findings = list(exam.findings())
        for name in ("", *exam.names):
            who = f"{exam.bus}/{with_name(name, exam.site.names)}" if name else exam.bus
            mine = [one for one in findings if one.device == name]
            if exam.is_fine(name):
                out.append(f"{'fine':<9}{who}")
            for one in mine:
                out += _line(one, f"{who} ({file}:{one.line})")
    return out


def _line(one: ExamFinding, who: str) -> list[str]:
    found = one.finding
    out = [f"{found.severity:<9}{who}: {' '.join(found.sentence.split())}"]
    if found.remedy:
        out.append(f"{'':<9}{' '.join(found.remedy.split())}")
    return out


def _report(
    exams: Sequence[Exam], findings: Sequence[ExamFinding], through: str, why: str
) -> dict[str, object]:
    everything = [*findings, *(one for exam in exams for one in exam.findings())]
    return {
        "through": through,
        "whole": not why,
        "fine": [name for exam in exams for name in exam.names if exam.is_fine(name)],
        "not_reached": [exam.bus for exam in exams if exam.refused],
        "findings": [
            {
                "bus": one.bus,
                "device": one.device,
                "severity": one.finding.severity,
                "sentence": one.finding.sentence,
                "remedy": one.finding.remedy,
                "line": one.line,
            }
            for one in everything
        ],
    }
