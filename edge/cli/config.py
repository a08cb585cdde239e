"""`kerbstone config`: change the site file of this gateway as a transaction.

`apply` replaces the file when it is in order, and the gateway takes it: only what has changed
starts anew. For five minutes it is watched. If the broker or devices are lost by it, or the process
fails, the last good one comes back by itself. With --confirm-within it also comes back unless
somebody says `confirm` in time: so a change that locks you out undoes itself. On a box whose
operator signs its configuration, `apply` proposes the file to him (`kerbstone propose`).

Exit codes: 0 fine; 1 refused, or rolled back; 2 wrong use, or a file with errors; 3 not now: no
right to do it, no room for it, or the daemon cannot be reached.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge.cli.config_spool import spool
from edge.cli.site_options import CONFIG_HELP, is_signed_box
from edge.control.protocol import OLDER_TEXT, UnknownVerbError, VerbError
from edge.core import ConfigError
from edge.core.boxfiles import OWN_SITE_FILE, find_site_file
from edge.core.humanize import span_text
from edge.durable.readfile import read_file
from edge.gateway.configapply import (
    ApplyRefusedError,
    ConfigApplier,
    UnusableTextError,
    daemon_of,
    no_trial_text,
    run_dir_of,
    why_none_runs,
)
from edge.gateway.configdiff import ConfigDiff
from edge.gateway.lastgood import LIMIT
from edge.gateway.sitefile import SiteFile, SiteFileChangedError
from edge.identity.configoutcome import OUTCOME_FILE, OUTCOME_NAME, read_config_outcome
from edge.identity.configspool import CONFIRM_LIMIT_S
from edge.kernelclock import KernelClock
from edge.terminal import echo, echo_json

SPAN: Final = re.compile(r"(\d{1,6})(s|m|min|h)?")
SECONDS: Final = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}
EGRESS: Final = ("systemctl", "start", "kerbstone-egress.service")
EGRESS_S: Final = 30.0
STOPPED_TEXT: Final = "the daemon does not run: `sudo systemctl start kerbstone`"
STATES: Final = {
    "none": "in use, never on trial here",
    "trial": "in use, on trial",
    "confirmed": "in use, has run well",
    "unwatched": "in use by a daemon that was started by hand, which watches no change",
    "rolled_back": "not used: the last good configuration runs",
}


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "config", help="change the site file as a transaction", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, text in (
        ("diff", "what a file would change, and what would start anew"),
        ("apply", "replace the site file, and have the gateway take it"),
        ("confirm", "say that the configuration on trial may stay"),
        ("rollback", "end the trial: the last good configuration again"),
        ("status", "which configuration runs, and how its trial goes"),
        ("spool", "for kerbstone-config.service: apply what the page has left"),
    ):
        step = steps.add_parser(name, help=text, description=text)
        step.add_argument(
            "--config", type=Path, default=find_site_file(), metavar="FILE", help=CONFIG_HELP
        )
        if name != "spool":
            step.add_argument("--json", action="store_true", help="for programs")
        if name in ("diff", "apply"):
            step.add_argument(
                "file", type=Path, metavar="FILE", help="the new site file; - is stdin"
            )
        if name == "apply":
            step.add_argument(
                "--confirm-within", type=_span, default=0, metavar="TIME", dest="confirm_s",
                help="roll back unless it is confirmed in this time: 10m, 600s, 1h",
            )  # fmt: skip
            step.add_argument(
                "--base", default="", metavar="DIGEST",
                help="only if the present file has this digest, as `diff` prints it",
            )  # fmt: skip
            step.add_argument("--wait", action="store_true", help="do not wait for the signature")
        if name == "spool":
            step.add_argument("--take", action="store_true", help="the file is in place: use it")
            step.add_argument("--outcome", type=Path, default=OUTCOME_FILE, metavar="FILE")
        step.set_defaults(run=STEPS[name])


def diff(args: argparse.Namespace) -> int:
    """What is in a file, against the present one."""
    text = _text(args.file)
    applier = ConfigApplier(args.config, KernelClock().now())
    found, base = _compared(applier, text, str(args.file))
    if args.json:
        echo_json({"base": base, **found.to_map()}, indent=2)
        return 0 if found.site is not None else 2
    _print_diff(found, str(args.file))
    if found.site is None:
        return 2
    echo(f"apply it with: kerbstone config apply {args.file} --base {base[:12]}")
    return 0


def apply(args: argparse.Namespace) -> int:
    """Check, compare, replace, take."""
    text = _text(args.file)
    if is_signed_box(args.config):
        return _propose(args, text)
    applier = ConfigApplier(args.config, KernelClock().now())
    base = args.base or applier.file.digest
    try:
        found, _ = _compared(applier, text, str(args.file))
        if not args.json:
            _print_diff(found, str(args.file))
        if found.site is None:
            return _end(args, {"state": "refused", **found.to_map()}, "", 2)
        applied = applier.replace(text, str(args.file), base, args.confirm_s)
        _open_egress(args.config)
        taken = applier.take(applied.digest) if applied.daemon else None
    except UnusableTextError as error:
        return _end(args, {"state": "refused", "text": str(error)}, str(error), 2)
    except SiteFileChangedError as error:
        return _end(args, {"state": "refused", "text": str(error)}, str(error), 1)
    except ApplyRefusedError as error:
        return _end(args, {"state": "refused", "text": str(error)}, str(error), 3)
    except PermissionError as error:
        why = f"{error.filename or args.config} is not yours to change: do this as root"
        return _end(args, {"state": "refused", "text": why}, why, 3)
    except OSError as error:
        why = f"{args.config} cannot be replaced: {error.strerror or error}"
        return _end(args, {"state": "refused", "text": why}, why, 3)
    answer = {"state": "replaced", "digest": applied.digest, **(taken or {})}
    if taken is None:
        why = why_none_runs(args.config, "no daemon runs: its next start uses it")
        return _end(args, answer, f"{args.config} is replaced; {why}", 0)
    return _end(args, answer, _taken_text(args, taken), 0)


def _taken_text(args: argparse.Namespace, taken: Mapping[str, Any]) -> str:
    """What is true of a file that the daemon has taken."""
    if why := no_trial_text(taken):
        return f"{args.config} is replaced: {taken['restarts_text']}\n{why}"
    text = f"{args.config} is replaced, and is on trial: {taken['restarts_text']}"
    if args.confirm_s:
        within = span_text(args.confirm_s)
        text += f"\nit is rolled back unless you confirm within {within}: kerbstone config confirm"
    return text


def confirm(args: argparse.Namespace) -> int:
    """The configuration that is on trial may stay."""
    return _ask_step(args, "confirm", "confirmed; it stays if it runs well until its trial is over")


def rollback(args: argparse.Namespace) -> int:
    """The last good one again."""
    code = _ask_step(args, "rollback", "rolled back: the last good configuration runs")
    if code == 0 and not is_signed_box(args.config):
        outcome = read_config_outcome(run_dir_of(args.config) / OUTCOME_NAME)
        try:
            if outcome is not None:
                SiteFile(args.config).settle(outcome)
        except OSError:
            return code  # not root: kerbstone-config.service does it
    return code


def status(args: argparse.Namespace) -> int:
    """How it stands. 1: what lies there is not what runs."""
    try:
        found = _asked(args, "config")
    except ApplyRefusedError as error:
        return _end(args, {"state": "unknown", "text": str(error)}, str(error), 3)
    if args.json:
        echo_json(found, indent=2)
    else:
        echo(*_status_lines(found))
    return 1 if found["state"] == "rolled_back" else 0


STEPS: Final = {
    "diff": diff, "apply": apply, "confirm": confirm, "rollback": rollback, "status": status,
    "spool": spool,
}  # fmt: skip


def _compared(applier: ConfigApplier, text: str, name: str) -> tuple[ConfigDiff, str]:
    try:
        return applier.compare(text, name), applier.file.digest
    except PermissionError as error:
        raise ConfigError(
            f"{error.filename}: not yours to read: do this as root, or use the page"
        ) from error


def _propose(args: argparse.Namespace, text: str) -> int:
    from edge.cli.propose import propose

    if not args.json:
        echo("the operator signs the configuration of this box: the file is proposed to him")
    return propose(args, text, str(args.file))


def _ask_step(args: argparse.Namespace, op: str, done: str) -> int:
    try:
        known = _asked(args, "config")
        trial = known.get("trial")
        if not isinstance(trial, Mapping):
            return _end(args, {"state": known["state"]}, "no configuration is on trial", 1)
        found = _asked(args, "config_step", op=op, digest=trial["digest"])
    except ApplyRefusedError as error:
        return _end(args, {"state": "unknown", "text": str(error)}, str(error), 3)
    if args.json:
        echo_json(found)
    else:
        echo(f"{done}: {found['restarts_text']}" if found.get("restarts_text") else done)
    return 0


def _asked(args: argparse.Namespace, verb: str, **words: Any) -> dict[str, Any]:
    try:
        found = daemon_of(args.config)(verb, **words)
    except UnknownVerbError as error:
        raise ApplyRefusedError(OLDER_TEXT) from error
    except (VerbError, OSError) as error:
        raise ApplyRefusedError(str(error)) from error
    if found is None:
        raise ApplyRefusedError(why_none_runs(args.config, STOPPED_TEXT))
    return found


def _open_egress(file: Path) -> None:
    """On a box only the brokers of its site file can be reached: let the new ones in first."""
    if file != OWN_SITE_FILE or not Path("/run/systemd/system").is_dir():
        return
    try:
        subprocess.run(EGRESS, timeout=EGRESS_S, check=False, capture_output=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        echo(f"kerbstone-egress cannot be started: {error}", err=True)


def _print_diff(found: ConfigDiff, name: str) -> None:
    echo(*(f"error: {each}" for each in found.errors), err=True)
    if found.site is None:
        echo(f"{name} cannot be used: {len(found.errors)} errors", err=True)
        return
    echo(*(f"warning: {each}" for each in found.warnings), err=True)
    echo(*(str(each) for each in found.changes))
    echo(*(f"= {each}" for each in found.meaning))
    echo(f"* {found.scope.text}")


def _status_lines(found: Mapping[str, Any]) -> list[str]:
    lines = [f"{found['file']}: {STATES.get(str(found['state']), found['state'])}"]
    if found["text"]:
        lines.append(str(found["text"]))
    if found["changed"] and found["state"] != "rolled_back":
        lines.append("the file has been edited since, and is not in use: `kerbstone config apply`, "
                     "or restart the daemon")  # fmt: skip
    if found["waiting"]:
        lines.append(f"under way: {found['waiting']}")
    trial = found["trial"]
    if isinstance(trial, Mapping):
        if trial["confirm_left_s"] is not None:
            left = span_text(trial["confirm_left_s"])
            lines.append(
                f"rolled back in {left} unless somebody confirms it: kerbstone config confirm"
            )
        if trial["health_left_s"] is not None:
            lines.append(f"good health still to come: {span_text(trial['health_left_s'])}")
        if trial["held"]:
            lines.append(f"stays open: {trial['held']}")
    return lines


def _end(args: argparse.Namespace, fields: Mapping[str, Any], text: str, code: int) -> int:
    if args.json:
        echo_json(fields)
    elif text:
        echo(*text.split("\n"), err=code != 0)
    return code


def _text(path: Path) -> str:
    """Raises ConfigError."""
    try:
        data = sys.stdin.buffer.read(LIMIT) if str(path) == "-" else read_file(path, LIMIT)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    if data is None:
        raise ConfigError(f"{path}: there is no such file")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: this is not UTF-8 text") from error


def _span(text: str) -> int:
    found = SPAN.fullmatch(text)
    seconds = int(found[1]) * SECONDS[found[2] or ""] if found else 0
    if not 30 <= seconds <= CONFIRM_LIMIT_S:
        raise argparse.ArgumentTypeError("a time such as 10m, from 30s to 24h")
    return seconds
