"""Make a scenario of a running gateway, or of a recording of its flight recorder.

DIR gets scenario.toml, the edges of all lines, what devices measured, and the site file without its
secrets. What the gateway said in that time stands in it as expectations: nobody has looked yet
whether that was right. It passes on the layer sim if the box says the same again.

It runs on the gateway, as root or in the group kerbstone, and is a command on the box as
`kerbstone recorder save` is: `privacy.passages` does not forbid it. DIR tells when single vehicles
have passed; treat it as personal data. Recordings that a flag has made may give way to those that
this makes (`store.recorder_mb`).

Exit codes: 0 written; 1 written, and shorter than it was to be; 2 wrong use; 3 no daemon answers,
or it cannot be written. Ctrl-C writes what there is.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import drivers
from edge.config import Problems, load_site
from edge.config.maskedtext import mask_secrets
from edge.control.protocol import VerbError, ask_daemon
from edge.core import ConfigError
from edge.core.boxfiles import find_site_file
from edge.durable.atomicwrite import replace_file
from edge.durable.readfile import read_file
from edge.rig.boxrecorder import BoxRecorder
from edge.rig.recordedinput import RecordedInput, read_input
from edge.rig.recordedscenario import SITE, recorded_files
from edge.rig.scenariofile import check_scenario
from edge.rig.scenariosite import ScenarioSite
from edge.terminal import echo, progress

SCENARIO: Final = "scenario.toml"
PRIVATE: Final = 0o700
LONGEST_MIN: Final = 24 * 60.0
NO_DAEMON: Final = "no daemon runs: it has in memory what came in"
TITLE: Final = "What {gateway} heard at {site}"


def add_acts(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = acts.add_parser(
        "record", help="make a scenario of a running gateway", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("out", type=Path, metavar="DIR", help="a new folder for the scenario and its files")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--minutes", type=_minutes, metavar="N", help="record the gateway that "
                        "runs here, from now on")  # fmt: skip
    source.add_argument("--from", dest="recording", type=Path, metavar="RECORDING",
                        help="what `kerbstone recorder save` wrote")  # fmt: skip
    add("--config", type=Path, default=find_site_file(), metavar="FILE",
        help="site file (default: that of this gateway)")  # fmt: skip
    add("--name", default="", metavar="TEXT", help="what is tried, in a few words")
    parser.set_defaults(act_run=run)


def run(args: argparse.Namespace) -> int:
    """Raises ConfigError for wrong words."""
    try:
        site = load_site(args.config, drivers.catalogue())
    except Problems as error:
        echo(*error.lines, err=True)
        return 2
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise ConfigError(f"{args.out} is there already: give the name of a new folder")
    ending = ""
    try:
        if args.recording is not None:
            recorded = read_input(args.recording)
        else:
            recorder = BoxRecorder(_asking(Path(site.store.run_dir)), _show)
            recorded = recorder.record(args.minutes * 60.0)
            ending = recorder.ending
    except VerbError as error:
        progress("")
        return _wrong(str(error), 3)
    progress("")
    title = args.name or TITLE.format(gateway=recorded.head.gateway, site=recorded.head.site)
    files = recorded_files(recorded, ScenarioSite(site), title)
    text = mask_secrets((read_file(args.config) or b"").decode())
    try:
        _write(args.out, {**files, SITE: text})
    except OSError as error:
        return _wrong(f"{args.out}: {error.strerror or error}", 3)
    return _tell(args.out, recorded, ending)


def _tell(out: Path, recorded: RecordedInput, ending: str) -> int:
    file = out / SCENARIO
    lasted_s = (recorded.to_ns - recorded.head.from_ns) / 1e9
    try:
        checked = check_scenario(file)
    except Problems as error:
        echo(*error.lines, err=True)
        return _wrong(f"{file} is written, and is not in order: without the secrets of the site "
                      "file, or with another one than the gateway had?", 2)  # fmt: skip
    echo(f"{file}: {lasted_s:.0f} s with {len(checked.scenario.expects)} expectations. These are "
         "what the box said: look at them.",
         f"{out} tells when single vehicles have passed. Try it: kerbstone rig run {file} --layer "
         "sim")  # fmt: skip
    return 0 if not ending else _wrong(f"it is shorter than it was to be: {ending}", 1)


def _write(out: Path, files: Mapping[str, str]) -> None:
    """The scenario last: it is not there without what it names."""
    out.mkdir(PRIVATE, parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name == SCENARIO):
        path = out / name
        path.parent.mkdir(PRIVATE, exist_ok=True)
        replace_file(path, files[name].encode())


def _asking(run_dir: Path) -> Any:
    def ask(**arguments: Any) -> Mapping[str, Any]:
        answer = ask_daemon(run_dir, "recorder", **arguments)
        if answer is None:
            raise VerbError(NO_DAEMON)
        return answer

    return ask


def _show(recorded_s: float, text: str) -> None:
    progress(f"{recorded_s:.0f} s recorded; {text}")


def _wrong(text: str, code: int) -> int:
    echo(f"kerbstone rig: {text}", err=True)
    return code


def _minutes(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= LONGEST_MIN:
        raise argparse.ArgumentTypeError(f"{text!r:.30}: write minutes, up to {LONGEST_MIN:g}")
    return found
