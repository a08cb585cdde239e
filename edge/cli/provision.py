"""`kerbstone provision`: give certificates to boxes (by claim), brokers and programs (by name).

new      write a claim for a box          ca       make a CA, a server's key, an operator's key
pending  list boxes that wait             serve    run the enrolment server
approve  approve a box                    config   sign a box's site.toml
revoke   revoke certificates              offline  approve a box by USB stick
label    draw the QR code for the case, or the label of the door
issue    issue a certificate for a broker or program
broker   install the files for mosquitto  issued   list certificates of brokers and programs
proposals  list site files that boxes propose  proposal  show, write or refuse one of them

Exit codes: 0 fine, 1 a finding (another comparison code, a refused request, a certificate that
expires soon), 2 wrong use, 3 the store cannot be used, or the address is in use.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.cli import provision_boxes as boxes
from edge.cli import provision_city as city
from edge.cli import provision_proposals as proposing
from edge.cli.provision_common import print_line
from edge.core import ConfigError
from edge.provision.registry import FOLDER, REASONS, NamedKind

DAYS = 28
CITY_DAYS = 730
HOME = "KERBSTONE_PROVISION"
ID = "claim, or the gateway's name"


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "provision", help="claims for new boxes, and the enrolment server for their certificates",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(run=run)
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    _add_request_commands(acts)
    _add_proposal_commands(acts)
    _server(acts)
    _city(acts)


def _add_request_commands(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    new = _act(acts, "new", boxes.new, "write a claim for a box; --out is its boot partition")
    for name, text in (
        ("site", "id of the site, as in its site.toml"),
        ("role", "role of the box at the site; a new box in a role replaces the previous one"),
        ("gateway", "name of the gateway"),
    ):
        new.add_argument(f"--{name}", required=True, metavar="NAME", help=text)
    new.add_argument("--enrol", required=True, metavar="URL", help="https://host:8443")
    new.add_argument("--broker", required=True, metavar="URL", help="mqtts://host:8883")
    new.add_argument("--ca", type=Path, required=True, metavar="FILE",
                     help="certificate of the CA")  # fmt: skip
    new.add_argument("--key", type=Path, required=True, metavar="FILE", help="operator's key")
    new.add_argument("--out", type=Path, required=True, metavar="DIR",
                     help="folder for the claim: the boot partition of the box")  # fmt: skip
    new.add_argument("--label", default="kerbstone", help=argparse.SUPPRESS)
    new.add_argument("--days", type=int, default=DAYS, help=f"validity in days (default {DAYS})")
    new.add_argument("--labels", type=Path, default=Path("labels"), metavar="DIR",
                     help="folder for Wi-Fi key and page secret; keep it")  # fmt: skip
    new.add_argument("--without-access", action="store_true",
                     help="neither: for a box or a server that refuses them")  # fmt: skip
    new.add_argument("--network", action="append", default=[], metavar="KEY=VALUE",
                     help="kind=wifi, ssid=..., psk=@FILE: see docs/provision.md")  # fmt: skip
    config = _act(
        acts, "config", boxes.config, "sign a box's site.toml; --out is the folder configs"
    )
    config.add_argument("file", type=Path, help="the box's site.toml")
    config.add_argument("--gateway", required=True, metavar="NAME", help="name of the gateway")
    config.add_argument("--key", type=Path, required=True, metavar="FILE", help="operator's key")
    config.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="folder with all signed configurations; keep it")  # fmt: skip
    config.add_argument("--after", type=int, default=0, metavar="N",
                        help="the number that the box shows; sign with a higher one")  # fmt: skip


def _add_proposal_commands(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "list the site files that boxes propose"
    _add_directory_option(_act(acts, "proposals", proposing.proposals, text))
    one = _add_directory_option(
        _act(acts, "proposal", proposing.proposal, "show, write or refuse what a box proposes")
    )
    one.add_argument("gateway", help="the gateway's name")
    one.add_argument("--out", type=Path, metavar="FILE", help="write the site file, to sign it")
    one.add_argument("--refuse", metavar="WHY", help="refuse it; the box shows why")


def _server(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    found = _add_directory_option(
        _act(acts, "ca", city.ca, "make a CA, a server's certificate, an operator's key")
    )
    found.add_argument(
        "--name", default="Kerbstone CA", help="name of the CA (default %(default)s)"
    )
    found.add_argument("--host", action="append", required=True, help="host name; repeatable")
    found.add_argument("--renew", action="store_true", help="renew only the server's certificate")
    _add_directory_option(_act(acts, "pending", boxes.pending, "list boxes that wait for approval"))
    approve = _add_directory_option(_act(acts, "approve", boxes.approve, "approve a box"))
    approve.add_argument("id", help=ID)
    approve.add_argument("--code", metavar="XXXX-XXXX", help="what the box shows")
    revoke = _add_directory_option(
        _act(acts, "revoke", boxes.revoke, "refuse a box, or revoke certificates")
    )
    revoke.add_argument("id", help=f"{ID}, or the name of a broker or program")
    revoke.add_argument("--reason", choices=REASONS, default=REASONS[1],
                        help="as in the list of revoked certificates")  # fmt: skip
    label = _add_directory_option(
        _act(acts, "label", boxes.label, "draw the QR code for the case, or the label of the door")
    )
    label.add_argument("id", nargs="?", help=f"{ID}: the QR code for the case, not secret")
    label.add_argument("--access", type=Path, metavar="FILE",
                       help="what `new` has kept: the label inside the door, with Wi-Fi key and "
                       "page secret")  # fmt: skip
    label.add_argument("--out", type=Path, metavar="FILE",
                       help="NAME.svg, NAME.png, or - for this terminal; "
                       "with --access NAME.html")  # fmt: skip
    stick = _add_directory_option(
        _act(acts, "offline", boxes.offline, "approve a box by USB stick")
    )
    stick.add_argument("stick", type=Path, metavar="DIR", help="folder of the USB stick")
    stick.add_argument("--code", metavar="XXXX-XXXX", help="what the box shows")
    serve = _add_directory_option(
        _act(acts, "serve", city.serve, "run the enrolment server until SIGTERM")
    )
    serve.add_argument("--listen", metavar="HOST:PORT",
                       help="address of the server (default: that in provision.toml)")  # fmt: skip


def _city(acts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    issue = _add_directory_option(
        _act(acts, "issue", city.issue, "issue or renew a certificate without a claim")
    )
    issue.add_argument("kind", choices=[str(kind) for kind in NamedKind],
                       help="what it is for")  # fmt: skip
    issue.add_argument("name", help="name; of a program: platform, or platform-MORE")
    for word, text in (("dns", "DNS name of a broker"), ("ip", "IP address of a broker")):
        issue.add_argument(f"--{word}", action="append", default=[], metavar=word.upper(),
                           help=f"{text}; repeatable")  # fmt: skip
    issue.add_argument("--csr", type=Path, metavar="FILE",
                       help="certificate request (PKCS#10) with CN=NAME")  # fmt: skip
    issue.add_argument("--days", type=_days, default=CITY_DAYS,
                       help=f"validity in days (default {CITY_DAYS})")  # fmt: skip
    issue.add_argument("--out", type=Path, default=Path(), metavar="DIR",
                       help="for NAME.crt, NAME.key, ca.crt (default: this folder)")  # fmt: skip
    _add_directory_option(
        _act(acts, "issued", city.issued, "list certificates; exit 1 if one expires within 30 days")
    )
    broker = _add_directory_option(
        _act(acts, "broker", city.broker, "install the files that mosquitto reads")
    )
    broker.add_argument("name", help="name of the broker")
    broker.add_argument("--out", type=Path, required=True, metavar="DIR",
                        help="folder from which mosquitto reads its files")  # fmt: skip
    broker.add_argument("--key", type=Path, metavar="FILE",
                        help="key of the broker, if server.key is not there yet")  # fmt: skip


def _act(acts: Any, name: str, call: Callable[..., int], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = acts.add_parser(name, help=text, description=text)
    parser.add_argument("--json", action="store_true", help="print the result as one line of JSON")
    parser.set_defaults(call=call)
    return parser


def _add_directory_option(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--dir", type=Path, default=Path(os.environ.get(HOME) or FOLDER),
                        metavar="DIR", help=f"the server's folder (default ${HOME}, else {FOLDER})",
    )  # fmt: skip
    return parser


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 3650:
        raise argparse.ArgumentTypeError("1 to 3650 days")
    return int(text)


def run(args: argparse.Namespace) -> int:
    try:
        from edge.provision.approvals import CodeMismatchError, OfflineDeniedError
        from edge.provision.enroldatabase import EnrolStoreError
    except ImportError as error:
        return print_line(f"{error}: install the extra `sign`: pip install kerbstone[sign]", 2)
    try:
        return int(args.call(args))
    except (CodeMismatchError, OfflineDeniedError) as error:
        return print_line(str(error), 1)
    except ConfigError as error:
        return print_line(str(error), 2)
    except (EnrolStoreError, OSError) as error:
        return print_line(str(error), 3)
