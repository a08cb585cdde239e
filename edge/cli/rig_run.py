"""Run a scenario on a box under test, judge what came, and report it.

The box is the daemon of this installation, or what --box says: a command with {site} for its site
file and {broker} for the URL of its broker, or mqtt://HOST:PORT for a box that runs elsewhere and
is connected to that broker. A box that is not ours needs an --adapter.

Exit codes: 0 passed, 1 failed, 2 wrong use, 3 the rig could not run it, 4 not evaluated.
Ctrl-C ends the run, and what there is by then is reported.
"""

import argparse
import contextlib
import logging
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from edge.cli.rig_report import EXIT_CODES, write_report
from edge.cli.sim_site import parse_ports
from edge.config import Problems
from edge.core import ConfigError
from edge.rig.faultcatalogue import able_layers
from edge.rig.judging import judge
from edge.rig.layer import Layer
from edge.rig.layertable import MAKERS, BoxWords
from edge.rig.outcome import verdict_of
from edge.rig.runfile import write_run
from edge.rig.runfolder import hold_folder, remove_leftovers
from edge.rig.runlog import RunLog
from edge.rig.runner import run as run_scenario
from edge.rig.scenario import Scenario
from edge.rig.scenariofile import CheckedScenario, check_scenario
from edge.rig.textreport import outcome_lines
from edge.terminal import echo

RUN_FILE: Final = "run.json"
REPORTS: Final = {"html": "report.html", "junit": "junit.xml"}
LOGS: Final = ("box.log", "broker/log", "guest1/console", "guest1/qemu.log")
PREFIX: Final = "kerbstone-rig-"
CANNOT_RUN: Final = 3
MQTT_LOG: Final = "mqtt"  # of the client library


def add_acts(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = acts.add_parser(
        "run", help="run a scenario on a box under test, and judge what came", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("file", type=Path, metavar="SCENARIO", help="such as incident.toml")
    add("--layer", choices=[*MAKERS], default="pty", help="how: sim is this daemon in virtual "
        "time, pty real processes on simulated wires, in real time (default), qemu a guest with a "
        "kernel of its own, bench a real box on real wires")  # fmt: skip
    add("--guest", type=Path, metavar="FOLDER", help="of --layer qemu: what its guest is made of")
    add("--seed", type=_seed, metavar="N", help="draw other traffic than the scenario says")
    add("--bench", type=Path, metavar="FILE", help="of --layer bench: which wire is which")
    add("--box", default="", metavar="COMMAND|URL", help="the box under test (default: kerbstone)")
    add("--adapter", default="", metavar="MODULE:FUNCTION|FILE",
        help="how messages of a box that is not ours are read")  # fmt: skip
    add("--broker", default="", metavar="URL", help="a broker that is there, such as "
        "mqtt://127.0.0.1:1883 (default: a mosquitto of the rig's own)")  # fmt: skip
    add("--on", action="append", default=[], metavar="BUS=PORT",
        help="play a serial bus on a real port; may be repeated")  # fmt: skip
    add("--out", type=Path, metavar="FOLDER",
        help=f"write {RUN_FILE}, {', '.join(REPORTS.values())} and logs there")  # fmt: skip
    add("-q", "--quiet", action="store_true", help="do not say what happens now")
    parser.set_defaults(act_run=run)


def run(args: argparse.Namespace) -> int:
    """Raises ConfigError for wrong words."""
    try:
        checked = check_scenario(args.file)
    except Problems as error:
        echo(*error.lines, err=True)
        return 2
    scenario = _chosen(checked, args)
    # a broker that goes is what was asked for: its client need not say so on this terminal
    logging.getLogger(MQTT_LOG).setLevel(logging.CRITICAL)
    if args.out is not None:
        try:
            args.out.mkdir(parents=True, exist_ok=True)
            for name in (RUN_FILE, *REPORTS.values()):  # whatever comes, they are none of this run
                (args.out / name).unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"--out {args.out}: {error.strerror or error}") from error
    for left in remove_leftovers(Path(tempfile.gettempdir()), PREFIX):
        echo(f"kerbstone rig: {left} is removed: a run that was killed has left it", err=True)
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX) as name, _terminable(),
        contextlib.ExitStack() as stack,
    ):  # fmt: skip
        folder = Path(name)
        lock = hold_folder(folder)
        stack.callback(lock.release)
        words = BoxWords(
            args.box, args.adapter, args.broker, parse_ports(args.on),
            bench=str(args.bench or ""), guest=str(args.guest or ""),
        )  # fmt: skip
        layer: Layer = MAKERS[args.layer](words, folder)
        log = run_scenario(scenario, layer, (lambda t_s, text: None) if args.quiet else _progress)
        written = args.out is None or _keep(args.out, folder, log)
    return _tell(args, scenario, log) if written else CANNOT_RUN


def _chosen(checked: CheckedScenario, args: argparse.Namespace) -> Scenario:
    """Raises ConfigError for one that this layer cannot do."""
    scenario = checked.scenario
    able = scenario.about.layers or able_layers(checked.kinds.values())
    if args.layer not in able:
        cannot = [
            f"{name}: {row.cannot[args.layer]}"
            for name, row in checked.kinds.items() if args.layer in row.cannot
        ]  # fmt: skip
        raise ConfigError("; ".join((
            f"{args.file} cannot be run on {args.layer}, only on {', '.join(able) or 'no layer'}",
            *cannot,
        )))  # fmt: skip
    if args.seed is None:
        return scenario
    return replace(scenario, about=replace(scenario.about, seed=args.seed))


def _tell(args: argparse.Namespace, scenario: Scenario, log: RunLog) -> int:
    if log.text:
        echo(f"kerbstone rig: {log.text}", err=True)
    outcomes = judge(scenario, log)
    has_failed = log.ending == "rig_failed"
    if not has_failed:
        echo(*outcome_lines(scenario, log, outcomes))
    if args.out is not None:
        for name, file in REPORTS.items():
            if not write_report(name, args.out / file, scenario, log, outcomes):
                return CANNOT_RUN
        echo(f"{args.out / REPORTS['html']} shows it on one time axis")
    return CANNOT_RUN if has_failed else EXIT_CODES[verdict_of(outcomes)]


def _keep(out: Path, folder: Path, log: RunLog) -> bool:
    """The run, and logs of what took part. False, after a word, if they cannot be written."""
    try:
        write_run(out / RUN_FILE, log)
        for name in LOGS:
            if (folder / name).exists():
                target = out / f"{name.replace('/', '.').removesuffix('.log')}.log"
                target.write_bytes((folder / name).read_bytes())
    except OSError as error:
        echo(f"kerbstone rig: --out {out}: {error.strerror or error}", err=True)
        return False
    return True


def _progress(t_s: float, text: str) -> None:
    echo(f"{t_s:8.1f} s  {text}", err=True)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: nothing of it is left running."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < 2**31):
        raise argparse.ArgumentTypeError(f"{text!r:.30}: write a whole number from 0")
    return int(text)
