"""`kerbstone doctor [DEVICE|BUS|LANE ...]`: what is wrong between the wires and the city, and what
to do.

Without a word it looks at everything: each bus and device, the lanes, the box and its clock, the
site file, the outbox, and the way to the broker up to a login. With names it looks at these only.
`--check ID` asks one thing, or a group of them; `--list` lists all.

While the gateway runs, the doctor asks the gateway, sends nothing on the wires, and does not log in
at the broker. Otherwise it reads each device once, looks for the cause if that fails, and logs in
as this gateway. Ctrl-C ends it and prints what was found so far. Exit codes: 0 all well, 1 a fault
or a warning, 2 wrong use, 3 somebody cannot be reached, or what was asked for could not be checked.
"""

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.cli.site_options import CONFIG_HELP, is_closed, load_site_or_report
from edge.config import Site, Store
from edge.control.handover import find_hand_over
from edge.control.protocol import VerbError, ask_daemon
from edge.core import ConfigError
from edge.core.boxfiles import find_site_file
from edge.core.humanize import without_errno
from edge.diagnose.brokersteps import ELSEWHERE, GONE, RUNNING, is_held, is_this_box
from edge.diagnose.checks import CHECKS, GROUPS, CheckId, CheckResult, checks_of, pick_checks
from edge.diagnose.confined import unseen_checks, unseen_results
from edge.diagnose.daemonuser import installed_user, running_user
from edge.diagnose.diagnosis import ENDED_EARLY, Doctor, make_exams
from edge.diagnose.doctorpage import DoctorReport, list_lines, report_lines, report_object
from edge.diagnose.exam import Exam
from edge.diagnose.examination import Examination, closed_text
from edge.diagnose.issueresults import issue_results, without_contradictions
from edge.diagnose.lanechecks import LANES
from edge.diagnose.livesource import LiveSource
from edge.diagnose.passivechecks import HeldValues, fill_from_status
from edge.diagnose.wholeway import WholeWay, make_steps
from edge.diagnose.withoutsite import steps_without_site
from edge.durable.timelimit import GLANCE_S, within
from edge.gateway.livestatus import not_known
from edge.health.kernelfiles import ROOT
from edge.health.openissues import whose_issue
from edge.terminal import echo, echo_json, progress

ON_BUSES: Final = ("devices", "lanes", "bays", "signals", "contacts")  # in the status
WIRES: Final = frozenset[CheckId]([*checks_of("wires"), "bus_rights"])
ON_WIRES: Final = "read on the wires; the daemon does not run"
BY_DAEMON: Final = "as the daemon reports; nothing was sent on the wires"
NO_WIRES: Final = "no wire was looked at"


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "doctor", help="say what is wrong, from the wires to the city, and what to do",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("names", nargs="*", metavar="DEVICE|BUS|LANE",
        help="as in the configuration; default: everything")  # fmt: skip
    add("--check", action="append", default=[], metavar="ID|GROUP", type=_check_word,
        choices=(*CHECKS, *GROUPS), help="only this; may be repeated")  # fmt: skip
    add("--list", action="store_true", help="list all checks")
    add("--connect", action="store_true",
        help="log in at the broker as this gateway, though this machine is not known to be it; a "
        "gateway that runs elsewhere is thrown off")  # fmt: skip
    add("--config", type=Path, default=find_site_file(), metavar="FILE", help=CONFIG_HELP)
    add("--json", action="store_true", help="one JSON object")
    add("--confined", action="store_true", help=argparse.SUPPRESS)  # for the page's own service
    parser.set_defaults(run=run)


def _check_word(word: str) -> str:
    """Raises ArgumentTypeError: better than a list of all that may stand there."""
    try:
        pick_checks([word])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return word


def run(args: argparse.Namespace) -> int:
    if args.list:
        echo(*list_lines())
        return 0
    wanted = pick_checks(args.check)
    if is_closed(args.config):
        return _look_without_site(args, wanted)
    site = load_site_or_report(args.config)
    if site is None:
        return 2
    try:
        exams = make_exams(site, args.names)
    except ValueError as error:
        echo(f"kerbstone doctor: {error}", err=True)
        return 2
    if args.names and not args.check:
        wanted = WIRES.union(LANES, ("site_in_use",))
    # a library's words are not for people: each failure is an answer
    logging.getLogger("kerbstone").addHandler(logging.NullHandler())
    try:
        return _look(args, site, exams if wanted & WIRES or args.names else [], wanted)
    except ConfigError as error:
        echo(f"kerbstone doctor: {args.config}: {error}", err=True)
        return 2
    except OSError as error:
        echo(f"kerbstone doctor: {error}", err=True)
        return 3


@dataclass(frozen=True, slots=True)
class AskedDaemon:
    """What the daemon said; or why it said nothing, though it is there."""

    status: Mapping[str, Any] | None
    silent: str = ""


def _ask(run_dir: Path) -> AskedDaemon:
    try:
        return AskedDaemon(ask_daemon(run_dir, "status"))
    except VerbError as error:
        return AskedDaemon(None, str(error))


def _held(site: Site) -> HeldValues:
    """The values that the daemon holds; no device is asked."""
    try:
        answer = LiveSource(Path(site.store.run_dir)).ask() or {}
    except (VerbError, OSError) as error:
        return HeldValues(why=str(error))
    rows = answer.get("devices")
    return HeldValues({str(row["name"]): row for row in rows} if isinstance(rows, list) else {})


def _barred(args: argparse.Namespace, site: Site) -> str:
    """Why there must be no login at the broker now; empty: there may be one."""
    try:
        # by one that is starting, too
        asked = _ask(Path(site.store.run_dir))
        there = asked != AskedDaemon(None) or within(GLANCE_S, lambda: is_held(site))
    except TimeoutError as error:
        hangs = f"{site.store.dir}: {error}: the disk is slow or hangs"
        return f"whether a gateway runs is not known: {hangs}"
    except PermissionError as error:
        return f"whether a gateway runs is not known: {closed_text(error)}"
    except OSError as error:
        return f"whether a gateway runs is not known: {without_errno(str(error))}"
    if there:
        return RUNNING
    if find_hand_over(Path(site.store.dir)) is not None:
        return GONE
    usual = Path(Store().run_dir)
    if usual != Path(site.store.run_dir):  # the file may be a copy of that of a gateway that runs
        try:
            other = ask_daemon(usual, "status")
        except (VerbError, OSError):
            return RUNNING
        if other is not None and other.get("gateway") == site.place.gateway:
            return RUNNING
    return "" if args.connect or is_this_box(site, args.config) else ELSEWHERE


def _look(
    args: argparse.Namespace, site: Site, exams: Sequence[Exam], wanted: frozenset[CheckId]
) -> int:
    run_dir = Path(site.store.run_dir)
    daemon = _ask(run_dir)
    alone = daemon.status is None and not daemon.silent
    unseen = wanted & unseen_checks(daemon.status is None) if args.confined else frozenset()
    if unseen and daemon.status is None:
        exams = []
    user = installed_user(ROOT) if alone else running_user(run_dir)
    buses = [exam.bus for exam in exams]
    words = {*args.names}
    lanes = [
        name for name, lane in site.lanes.items() if not words or words & {name, lane.bus}
    ]  # fmt: skip
    way = WholeWay(
        site, daemon.status, daemon.silent, user, buses, lanes, lambda: _barred(args, site), ROOT
    )
    examination = Examination(make_steps(way, wanted - unseen))
    examination.start()
    why, issues = "", list[Mapping[str, Any]]()
    if daemon.status is not None:
        issues = fill_from_status(exams, daemon.status, _held(site) if exams else None)
    elif exams and alone:
        doctor = Doctor(exams)
        why = doctor.run(lambda: _show_wires(doctor))
    if why != ENDED_EARLY:
        why = examination.wait(lambda: progress(examination.progress)) or why
    progress("")
    told = [] if args.names else issue_results(issues)
    wires = [one for exam in exams for one in exam.results() if one.is_wrong]
    own = _seen(told, without_contradictions([*told, *wires], examination.results()), unseen)
    report = DoctorReport(
        results=[each for each in own if each.check in wanted],
        exams=[] if daemon.silent else exams,
        through=NO_WIRES if not exams or daemon.silent else ON_WIRES if alone else BY_DAEMON,
        why=why,
        asked=wanted - (unseen & WIRES),  # what the exams say
        file=args.config.name,
        names=site.names,
        lines_only=alone and any(site.buses[exam.bus].kind == "gpio" for exam in exams),
    )
    return _tell(args, report, daemon)


def _look_without_site(args: argparse.Namespace, wanted: frozenset[CheckId]) -> int:
    """A technician who is not root: what cannot be looked at is said to be so."""
    daemon = _ask(Path(Store().run_dir))
    status = daemon.status
    names = {} if status is None else dict(status.get("names", {}))
    meant: Sequence[str] = args.names
    if status is not None:
        meant = _on_buses(status, args.names)
        known = _known(status)
        for name in args.names:
            if name not in known:
                echo(f"kerbstone doctor: {not_known(name, known)}", err=True)
                return 2
    if args.names and not args.check:
        wanted = WIRES.union(LANES)
    unseen = wanted & unseen_checks(status is None) if args.confined else frozenset()
    steps = steps_without_site(args.config, status, daemon.silent, meant, ROOT)
    examination = Examination([one for one in steps if (wanted - unseen) & {*one.checks}])
    examination.start()
    why = examination.wait(lambda: progress(examination.progress))
    progress("")
    issues = () if status is None else status.get("issues", ())
    told = issue_results(one for one in issues if _is_meant(one, meant))
    own = _seen(told, without_contradictions(told, examination.results()), unseen)
    report = DoctorReport(
        results=[each for each in own if each.check in wanted],
        exams=[],
        through=NO_WIRES if status is None else BY_DAEMON,
        why=why,
        asked=wanted,
        file=args.config.name,
        names=names,
    )
    return _tell(args, report, daemon)


def _seen(
    told: Sequence[CheckResult], found: Iterable[CheckResult], unseen: frozenset[CheckId]
) -> list[CheckResult]:
    """What the gateway tells, what was found, and what cannot be seen from here."""
    return [
        *told, *(each for each in found if each.check not in unseen), *unseen_results(unseen, told)
    ]  # fmt: skip


def _on_buses(status: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """These, and all that is on those of them that are buses."""
    things = (each for kind in ON_BUSES for each in status.get(kind, {}).items())
    return [*names, *(name for name, thing in things if thing.get("bus") in names)]


def _known(status: Mapping[str, Any]) -> list[str]:
    """The names that may be asked for; a gateway of an older version tells of a contact only when
    something is wrong with it."""
    told = (name for kind in ("buses", *ON_BUSES) for name in status.get(kind, {}))
    return [*dict.fromkeys(filter(None, (*told, *map(_whose, status.get("issues", ())))))]


def _is_meant(issue: Mapping[str, Any], names: Sequence[str]) -> bool:
    """An open issue of one of these; without a name each is."""
    return not names or _whose(issue) in names


def _whose(issue: Mapping[str, Any]) -> str:
    return whose_issue(str(issue.get("kind")), str(issue.get("about", "")))


def _tell(args: argparse.Namespace, report: DoctorReport, daemon: AskedDaemon) -> int:
    if args.json:
        echo_json(report_object(report), indent=2)
    else:
        echo(*report_lines(report))
    if report.why:
        echo(f"kerbstone doctor: {report.why}; this is what was found so far", err=True)
    return _code(report, daemon, asked=bool(args.check))


def _code(report: DoctorReport, daemon: AskedDaemon, *, asked: bool) -> int:
    if report.why == ENDED_EARLY:
        return 130
    if daemon.silent:
        echo(f"kerbstone doctor: {daemon.silent}", err=True)
        return 3
    outcomes = {each.outcome for each in report.checks}
    if "fault" in outcomes:
        return 1
    if report.why or report.refused or (asked and outcomes <= {"not checked"}):
        return 3
    return 1 if "warning" in outcomes else 0  # as `kerbstone status`


def _show_wires(doctor: Doctor) -> None:
    busy = [one for one in doctor.exams if not one.finished]
    step = f"{busy[0].bus}: {busy[0].step}"[:60] if busy else ""
    done = len(doctor.exams) - len(busy)
    progress(f"{done} of {len(doctor.exams)} buses, {doctor.took_s:.0f} s  {step}")
