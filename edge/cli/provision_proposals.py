"""`kerbstone provision`, of proposals: what boxes ask an operator to sign, seen before it is."""

import argparse
import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from edge.cli.propose import check_text
from edge.cli.provision_common import print_line, print_result, server_folder
from edge.config import Problem
from edge.core.release import VERSION
from edge.terminal import echo, echo_json

if TYPE_CHECKING:
    from edge.provision.proposals import KeptProposal
    from edge.provision.serverdir import ServerDirectory


def proposals(args: argparse.Namespace) -> int:
    """One line for each box that has sent one, the oldest first."""
    directory = server_folder(args)
    rows = [_row(directory, each) for each in directory.proposals.all()]
    words = ("gateway", "site", "state", "received", "check", "version", "from", "reason")
    lines = ["  ".join(row[word] for word in words if row[word]) for row in rows]
    refused = _refusals(directory)
    lines += [
        f"{row['gateway']}  {row['site']}  does not take configuration number {row['serial']} "
        f"(Kerbstone {row['version']}): {row['error']}"
        for row in refused
    ]
    fields = {"proposals": rows, "not_taken": refused}
    return print_result(args, fields, *(lines or ["no box proposes a site file"]))


def proposal(args: argparse.Namespace) -> int:
    """Show it, write it to a file, or refuse it. 1: this version finds mistakes in it."""
    from edge.provision import operatorfiles

    directory = server_folder(args)
    if args.refuse is not None:
        kept = directory.proposals.refuse(args.gateway, args.refuse)
        return print_result(
            args, _row(directory, kept), f"{kept.gateway}: refused, the box is told"
        )
    found = directory.proposals.find(args.gateway)
    if found is None:
        return print_line(f"{args.gateway}: no proposal; see `provision proposals`", 2)
    wrong = check_text(found.text, args.gateway)
    code = 1 if wrong else 0
    if args.out is not None:
        operatorfiles.create_file(args.out, found.text.encode())
        todo = (
            f"kerbstone provision config {args.out} --gateway {found.gateway} --key ... --out ..."
        )
        print_result(args, {"file": str(args.out)}, f"written to {args.out}; to sign it: {todo}")
        return code
    if args.json:
        echo_json({**_row(directory, found), "text": found.text, "errors": [str(w) for w in wrong]})
        return code
    echo(_head(found), *_shown(directory, found), *_verdict(wrong), fold=False)
    return code


def _refusals(directory: "ServerDirectory") -> list[dict[str, Any]]:
    """The boxes that cannot use what is signed for them now."""
    from edge.provision.proposals import serial_of

    return [
        {"gateway": each.gateway, "site": each.site, **msgspec.to_builtins(each.report)}
        for each in directory.reports.all()
        if each.report.serial == serial_of(directory.config(each.gateway))
    ]


def _row(directory: "ServerDirectory", kept: "KeptProposal") -> dict[str, Any]:
    from edge.provision.proposals import serial_of

    state = kept.standing(serial_of(directory.config(kept.gateway))).state
    check = ""
    if state == "waiting":  # a city has thousands of answered ones, and each takes a moment
        wrong = check_text(kept.text, kept.gateway)
        check = f"{len(wrong)} errors" if wrong else "in order"
    return {
        "gateway": kept.gateway,
        "site": kept.site,
        "state": state,
        "received": kept.received,
        "check": check,
        "version": kept.version,
        "from": kept.address,
        "reason": kept.refused,
        "id": kept.id,
    }


def _head(kept: "KeptProposal") -> str:
    own = VERSION
    other = "" if kept.version == own else f" (here: {own}: a driver may be unknown to the box)"
    return (
        f"# {kept.gateway} at {kept.site}, received {kept.received} from {kept.address}, proposal "
        f"{kept.id}, Kerbstone {kept.version}{other}"
    )


def _shown(directory: "ServerDirectory", kept: "KeptProposal") -> Iterator[str]:
    """What would change; all of it where nothing is signed yet."""
    from edge.identity import siteconfig

    data, new = directory.config(kept.gateway), kept.text.rstrip("\n").split("\n")
    if data is None:
        yield from new
        return
    signed = siteconfig.parse_signed_config(data)
    old = signed.config.rstrip("\n").split("\n")
    names = (f"signed, number {signed.serial}", "proposed")
    changes = list(difflib.unified_diff(old, new, *names, lineterm=""))
    yield from changes or [f"# no change to what is signed, number {signed.serial}"]


def _verdict(wrong: list[Problem]) -> list[str]:
    if not wrong:
        return ["# kerbstone check: in order"]
    return [f"# {len(wrong)} errors:", *(f"#   {each}" for each in wrong)]
