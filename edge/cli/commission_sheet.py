"""`kerbstone commission export` and `verify`: a sheet leaves the box; the city checks it."""

import argparse
from pathlib import Path
from typing import Final

from edge.cli.commission_asked import CommissionAsker
from edge.control.protocol import VerbError
from edge.core import ConfigError
from edge.core.printable import json_line_text, printable
from edge.durable.atomicwrite import own_name, replace_file
from edge.durable.readfile import read_file
from edge.platform.acceptancecheck import FILE_LIMIT, CheckedSheet, check_sheet
from edge.platform.signatures import CertificateKeys, MissingLibraryError
from edge.terminal import echo, echo_json

FORMS: Final = {".html": "html", ".json": "json"}
MODE: Final = 0o644


def export_sheet(args: argparse.Namespace, asker: CommissionAsker) -> int:
    """Into a file, whose ending says the form. Raises VerbError."""
    path: Path = args.file
    form = FORMS.get(path.suffix)
    if form is None:
        raise VerbError(f"{path}: its name ends with .html (for people) or .json (to be checked)")
    answer = asker.state(number=args.number, form=form)
    text = answer["page"] if form == "html" else f"{json_line_text(answer['file'], 1)}\n"
    try:
        replace_file(path, text.encode(), MODE, new=own_name(path))
    except OSError as error:
        raise VerbError(f"{path}: {error.strerror or error}") from error
    if args.json:
        echo_json({"file": str(path), "number": answer["number"]})
    else:
        echo(f"sheet {answer['number']} is in {path}")
    return 0


def add_verify_options(parser: argparse.ArgumentParser) -> None:
    """A sheet, and by what it is checked."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a sheet, as .json")
    parser.add_argument(
        "--keys", type=Path, metavar="FOLDER", help="certificates of gateways, as *.pem"
    )
    parser.add_argument(
        "--keys-ca", type=Path, metavar="FILE", help="the authority that has issued them"
    )
    parser.add_argument(
        "--told", metavar="SHA256", help="digest in the event `acceptance` of the gateway"
    )


def verify_sheet(args: argparse.Namespace) -> int:
    """Exit codes: 0 it holds, 1 it does not, 2 wrong use."""
    try:
        keys = None if args.keys is None else CertificateKeys(args.keys, args.keys_ca)
        data = read_file(args.file, FILE_LIMIT)
        if data is None:
            raise ValueError("there is no such file")
        checked = check_sheet(data, keys, args.told)
    except (ConfigError, MissingLibraryError) as error:
        echo(f"kerbstone commission: {error}", err=True)
        return 2
    except (OSError, ValueError) as error:
        echo(f"kerbstone commission: {args.file}: {error}", err=True)
        return 2
    if args.json:
        echo_json({
            "sha256": checked.sha256, "faults": list(checked.faults),
            "notes": list(checked.notes), "signed_by": checked.signed_by or None,
        })  # fmt: skip
    else:
        echo(*_lines(checked))
    return 1 if checked.faults else 0


def _lines(checked: CheckedSheet) -> list[str]:
    sheet = checked.sheet
    who = f"sheet {sheet.get('number')} of {sheet.get('gateway')} at {sheet.get('site')}"
    lines = [
        printable(f"{who}: {sheet.get('state')}, signed by {sheet.get('by')} at {sheet.get('at')}"),
        f"SHA-256 {checked.sha256}",
    ]
    if checked.signed_by:
        lines.append(f"the signature holds (certificate {checked.signed_by:.16})")
    return [*lines, *(f"note: {each}" for each in checked.notes),
            *(f"FAULT: {each}" for each in checked.faults)]  # fmt: skip
