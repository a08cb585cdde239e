"""`kerbstone propose FILE`: send a site file from this box to the operator, who signs it.

FILE is a site file, or only its tables, as `kerbstone scan` prints them: `[site]` and `[uplink]` of
this box, or its present site file, are added. It is checked as `kerbstone check` does, and sent by
kerbstone-enrol with this box's certificate. Nothing changes before the operator has signed it.

Exit codes: 0 sent, or with --wait signed; 1 refused, or not answered yet; 2 wrong use or a wrong
file; 3 this box cannot send it now: the text says why, and whether it goes on trying.
"""

import argparse
import os
import secrets
import sys
from pathlib import Path
from typing import Final

from edge.config import Problem, Problems
from edge.core import ConfigError
from edge.core.boxfiles import find_site_file
from edge.core.release import VERSION
from edge.core.tomltext import TomlError, parse_toml
from edge.durable import atomicwrite
from edge.durable.readfile import read_file
from edge.gateway.sitecheck import check_site_text
from edge.identity import runfiles
from edge.identity.proposal import (
    PROPOSAL_LIMIT,
    PROPOSAL_NAME,
    Proposal,
    encode_proposal,
)
from edge.identity.runfiles import BoxNames, ProposalProgress
from edge.kernelclock import KernelClock
from edge.terminal import echo, echo_json

SENT_WITHIN_S: Final = 60.0
ANSWERED_WITHIN_S: Final = 3600.0
LOOK_S: Final = 0.5
DONE: Final = {"signed": 0, "refused": 1, "late": 1}
SPOOL_MODE: Final = 0o640  # kerbstone-enrol reads it by its group


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "propose", help="send a site file to the operator, who signs it", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("file", type=Path, metavar="FILE", help="site file; - reads it from stdin")
    parser.add_argument("--wait", action="store_true", help="wait for the answer, an hour at most")
    parser.add_argument("--show", action="store_true", help="only print what would be sent")
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    name = "stdin" if str(args.file) == "-" else str(args.file)
    try:
        data = _stdin() if name == "stdin" else read_file(args.file, PROPOSAL_LIMIT)
        if data is None:
            raise ConfigError(f"{name}: there is no such file")
        text = data.decode().replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        return _say(f"{name} cannot be read: {error}", 2)
    return propose(args, text, name)


def propose(args: argparse.Namespace, text: str, name: str) -> int:
    """Complete it, check it, hand it over, and wait as long as `args` says. Raises ConfigError."""
    names = runfiles.read_box_names()
    if names is None:
        return _say(
            "this box has no certificate yet, so nobody would take it: `kerbstone status` says "
            "what enrolment waits for", 3,
        )  # fmt: skip
    whole = complete_site(text, names, name)
    if getattr(args, "show", False):
        echo(*whole.rstrip("\n").split("\n"), fold=False)
        return 0
    if problems := check_text(whole, name):
        echo(*Problems(problems).lines, err=True)
        return _say(f"{name} is not sent: mend it first (--show prints all that would be sent)", 2)
    proposal = Proposal(id=secrets.token_hex(8), text=whole, version=VERSION)
    try:
        leave(encode_proposal(proposal))
    except PermissionError:
        text = "only members of the group kerbstone may propose a site file, one at a time"
        return _say(text, 3)
    except OSError as error:
        return _say(f"{runfiles.spool_folder()}: {error.strerror}: is this a box?", 3)
    return _await(args, proposal.id)


def complete_site(text: str, names: BoxNames, name: str) -> str:
    """A whole site file: what is missing is added. Raises ConfigError.

    At the end, so that the lines of what is wrong stay those of the file; but after the present
    site file, whose first keys may belong to no table.
    """
    try:
        tables = parse_toml(text)
    except TomlError as error:
        raise ConfigError(f"{name}: no TOML: {error}") from None
    if "site" in tables:
        return text
    if names.configured:
        present = find_site_file()
        if not os.access(present, os.R_OK):
            raise ConfigError(
                f"{name} has no [site], and the present site file, which it would be added to, is "
                "for root only: do this as root"
            )
        return f"{present.read_text(encoding='utf-8').rstrip()}\n\n{text}"
    text = f'{text.rstrip()}\n\n[site]\nid = "{names.site}"\ngateway = "{names.gateway}"\n'
    if "uplink" not in tables and names.broker is not None:
        text += f'\n[uplink]\nurl = "{names.broker}"\n'
    return text


def check_text(text: str, name: str) -> list[Problem]:
    """All that `kerbstone check` would refuse in it."""
    return list(check_site_text(text, name, KernelClock().now()).errors)


def leave(message: bytes) -> None:
    """Put it where kerbstone-enrol looks. Raises OSError."""
    path = runfiles.spool_folder() / PROPOSAL_NAME
    new = atomicwrite.own_name(path)
    atomicwrite.replace_file(path, message, SPOOL_MODE, new=new, exact_mode=True, sync=False)


def _await(args: argparse.Namespace, name: str) -> int:
    """Show each step that is new, until it is sent or (with --wait) answered."""
    clock, shown = KernelClock(), ""
    began_ns = clock.now().mono_ns
    within_s = ANSWERED_WITHIN_S if args.wait else SENT_WITHIN_S
    step = None
    while clock.now().mono_ns - began_ns < within_s * 1e9:
        found = runfiles.read_progress()
        step = found if found is not None and found.id == name else None
        if step is not None and step.text != shown and not args.json:
            shown = step.text
            echo(f"proposal {name}: {shown}")
        if step is not None and (step.state in DONE or (step.state == "sent" and not args.wait)):
            return _result(args, step, DONE.get(step.state, 0))
        clock.wait_until(clock.now().mono_ns + int(LOOK_S * 1e9))
    if step is not None and step.state == "sent":
        return _result(args, step, 1)
    if step is not None:  # it is here, and the server is not reached
        _say("this box goes on trying, also after a restart", 3)
        return _result(args, step, 3)
    text = "kerbstone-enrol has not taken it: `journalctl -u kerbstone-proposal` may say why"
    return _say(text, 3)


def _result(args: argparse.Namespace, step: ProposalProgress, code: int) -> int:
    if args.json:
        echo_json({"id": step.id, "state": step.state, "text": step.text})
    return code


def _stdin() -> bytes:
    """Up to one byte more than is taken."""
    return sys.stdin.buffer.read(PROPOSAL_LIMIT + 1)


def _say(text: str, code: int) -> int:
    echo(f"kerbstone propose: {text}", err=True)
    return code
