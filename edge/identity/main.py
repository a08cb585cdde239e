"""`kerbstone-enrol`: first boot, renewal, proposals, the way by USB stick, what opens the page, and
factory reset.

Exit codes: 0 fine, 1 a finding, 2 wrong use or a file that cannot be used, 3 try again later, 4
no claim, nothing to do. If the program itself fails, it ends with 1.
"""

import argparse
import logging
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.core import ConfigError
from edge.durable.filelock import FolderLock
from edge.durable.readfile import read_file
from edge.identity import certs, configtrial, httpsclient
from edge.identity.accesskeeping import board_serial, keep_access, provide_access
from edge.identity.bootpartition import BOOT_FOLDER, BootPartition
from edge.identity.claim import parse_claim
from edge.identity.enrol import Enrolment
from edge.identity.enrolstatus import StatusWriter
from edge.identity.floorclock import FloorClock
from edge.identity.identitybundle import IdentityBundle
from edge.identity.names import comparison_code
from edge.identity.offline import enrol_offline
from edge.identity.pageaccess import (
    access_page,
    make_access,
    network_name,
    read_access_point,
)
from edge.identity.proposing import ProposalCourier
from edge.identity.renew import LINE_LIMIT, MARKER, Renewal
from edge.identity.runfiles import RUN_NAMES, identity_run_folder, runtime_folder, spool_folder
from edge.identity.statefolder import ACCESS_POINT, LABEL_KEPT, SITE, StateFolder
from edge.kernelclock import KernelClock
from edge.terminal import Parser, echo, log_faults, log_to_stderr, run_command

LOG: Final = logging.getLogger(__name__)
STATE: Final = Path("/var/lib/kerbstone-identity")
STATE_HELP: Final = "where key, certificate and configuration are (default: %(default)s)"
BOOT_HELP: Final = "the boot partition (default: %(default)s)"
MARKER_HELP: Final = "says that the broker has taken the certificate (default: %(default)s)"
SPOOL_HELP: Final = "where a proposed site file is put (default: %(default)s)"
RESTART: Final = "restart"  # in the unit's RuntimeDirectory: the daemon has to start anew
ENROLLED: Final = "enrolled"  # there: this box has all that the daemon needs
# of `run`; the unit counts it as success. Not 1, with which Python ends a program that failed
NO_CLAIM: Final = 4
UNATTENDED: Final = ("take", "run", "renew", "propose")  # a full card may have room tomorrow
RESTART_HINT: Final = (
    "the gateway takes the configuration when it starts anew, and watches it: "
    "`sudo systemctl restart kerbstone-link kerbstone-egress kerbstone`"
)
UNCOUNTED_S: Final = 600.0  # between two starts of `propose`, as its timer has it
VERBS: Final = {
    "take": "copy claim and network from the boot partition; runs before the network starts",
    "run": "get an identity with the claim on the boot partition; waits for days if necessary",
    "renew": "renew the certificate when it is due; fetch a changed configuration",
    "propose": "send a site file that a technician proposes, and fetch what the operator signs",
    "offline": "ask for an identity, or fetch one, on a USB stick",
    "status": "which identity this box has",
    "access": "show the key of the access point; --new makes it and the page's secret anew",
    "forget": "factory reset: remove key, certificate and configuration",
}


EXAMPLES: Final = """\
examples:
  # which identity this box has
  sudo kerbstone-enrol status
  # enrol without a network: a stick goes to the operator and back
  sudo kerbstone-enrol offline /media/stick
  # before a box is given away
  sudo kerbstone-enrol forget --yes
"""


class StateBusyError(OSError):
    """Not now: another one has the folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    return run_command("kerbstone-enrol", lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    args = enrol_parser().parse_args(arguments)
    log_to_stderr("%(message)s", logging.INFO)
    log_faults()
    os.umask(0o077)
    try:
        args.state.mkdir(0o700, parents=True, exist_ok=True)
        if args.verb == "propose":
            return _propose(args)
        with _holding_lock(args.state):
            return _run(args)
    except (ConfigError, OSError) as error:
        echo(f"kerbstone-enrol {args.verb}: {error}", err=True)
        return 3 if isinstance(error, OSError) and args.verb in UNATTENDED else 2
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace) -> int:
    store, boot = StateFolder(args.state), BootPartition(args.boot)
    if args.verb == "forget":
        return _forget(store, boot, bool(args.yes))
    if args.verb == "status":
        return _status(store)
    clock = FloorClock(KernelClock(), args.state)
    courier, status_writer = _courier(args, store, clock, boot)
    # jitter has to differ between boxes that got power in the same second
    enrolment = Enrolment(
        store, boot, clock, httpsclient.https_request, status_writer, random.SystemRandom(), courier
    )
    if args.verb == "take":
        enrolment.take()
        return 0
    if args.verb == "access":
        return _access(enrolment, bool(args.new))
    before, configured = _ready(store), store.get(SITE)
    if args.verb == "renew":
        done: str = Renewal(
            store, clock, httpsclient.https_request, status_writer, args.marker, _restart, courier
        ).run()
    elif args.verb == "offline":
        done = enrol_offline(enrolment, args.folder)
    else:
        if not _claim_brings_access(enrolment):
            provide_access(store, boot, board_serial())
        done = enrolment.run()
    _leave_word(before if store.get(SITE) == configured else None, _ready(store), args.marker)
    _name_box(store, courier)
    echo(f"kerbstone-enrol {args.verb}: {done}", err=True)
    if args.verb == "offline" and store.get(SITE) != configured and runtime_folder() is None:
        echo(RESTART_HINT, err=True)
    # a TPM that comes late is found by a new process only: OpenSSL looks for it at its start
    codes = {"not enrolled": 1, "bad claim": 2, "trouble": 3, "no key": 3,
             "no claim": NO_CLAIM if args.verb == "run" else 1}  # fmt: skip
    return codes.get(done, 0)


def _propose(args: argparse.Namespace) -> int:
    """While somebody may stand at the box: for an hour. Later one look, when a timer asks for it.

    The folder is ours only while we look, so that a renewal does not wait for an operator.
    """
    store, boot = StateFolder(args.state), BootPartition(args.boot)
    clock = FloorClock(KernelClock(), args.state)
    courier, status_writer = _courier(args, store, clock, boot)
    renewal = Renewal(
        store, clock, httpsclient.https_request, status_writer, args.marker, _restart, courier
    )
    missed_s = 0.0 if courier.attended() else UNCOUNTED_S  # since the timer's last start
    while True:
        with _holding_lock(args.state):
            store.remove_leftovers()
            before, configured = _ready(store), store.get(SITE)
            courier.count(missed_s)
            done = renewal.ask()
            _name_box(store, courier)
            wait_s = courier.wait_s()
            changed = store.get(SITE) != configured
            _leave_word(None if changed else before, _ready(store), args.marker)
        missed_s = 0.0
        if changed or wait_s is None or not courier.attended():
            echo(f"kerbstone-enrol propose: {done}", err=True)
            return 1 if done == "not enrolled" else 0
        courier.wait(wait_s)


def _name_box(store: StateFolder, courier: ProposalCourier) -> None:
    if (bundle := store.current()) is not None:
        courier.name_box(bundle)


def _courier(
    args: argparse.Namespace, store: StateFolder, clock: FloorClock, boot: BootPartition
) -> tuple[ProposalCourier, StatusWriter]:
    folder = runtime_folder()
    courier = ProposalCourier(
        store, clock, httpsclient.https_request, args.spool, folder, configtrial.why_unusable
    )
    return courier, StatusWriter(boot, folder=folder, proposal=courier.text)


def _claim_brings_access(enrolment: Enrolment) -> bool:
    """Whether a claim is here that has them; `run` says what is wrong with one that is no claim."""
    try:
        enrolment.store.remove_leftovers()
        enrolment.take()
        data = None if enrolment.store.current() is not None else enrolment.claim_file()
        return data is not None and parse_claim(data).access is not None
    except ConfigError:
        return True


def _waiting_claim(enrolment: Enrolment) -> str:
    """The id of the claim that is here; "" for none, or for what is none."""
    try:
        data = enrolment.claim_file()
        return "" if data is None else parse_claim(data).claim
    except ConfigError:
        return ""


def _access(enrolment: Enrolment, new: bool) -> int:
    """Say how the access point is called; with `new` make both secrets, and print them once."""
    store = enrolment.store
    if new:
        access, secret = make_access()
        bundle = store.current()
        name = board_serial() if bundle is None else bundle.target.gateway
        keep_access(store, enrolment.boot, access, name)
        if bundle is None and (claim := _waiting_claim(enrolment)):
            store.put(LABEL_KEPT, claim.encode())  # it is taken again and again until it is used
        echo(*access_page(network_name(name), access.wifi_psk, secret).splitlines()[1:], fold=False)
        return 0
    key = read_access_point(store.get(ACCESS_POINT))
    if key is None:
        echo("no access point: `kerbstone-enrol access --new` makes a key and a secret")
        return 1
    echo(f"{'Wi-Fi:':<13}{key.network}", f"{'passphrase:':<13}{key.psk}", fold=False)
    return 0


def _forget(store: StateFolder, boot: BootPartition, sure: bool) -> int:
    if not sure:
        echo("kerbstone-enrol forget: this removes the identity of this box; confirm it with --yes")
        return 2
    store.forget()
    boot.remove_access()
    for word in (ENROLLED, RESTART, *RUN_NAMES):
        Path(identity_run_folder(), word).unlink(missing_ok=True)
    return 0


def _status(store: StateFolder) -> int:
    bundle, damaged = store.current() or store.whole(), store.damaged()
    if damaged:
        echo(damaged)
    if bundle is None:
        echo("no identity")
        return 1
    last = bundle.certificate.not_valid_after_utc
    code = comparison_code(certs.certificate_key(bundle.certificate))
    name = f"{bundle.target.gateway} at {bundle.target.site}"
    echo(f"{name}, key {code}, {bundle.folder.name}, until {last:%Y-%m-%d}")
    if damaged:
        echo(f"the next `kerbstone-enrol renew`, or start of the box, takes {bundle.folder.name}")
    return 1 if damaged else 0


def _ready(store: StateFolder) -> IdentityBundle | None:
    """The identity, if the daemon has all that it needs."""
    return store.current() if store.get(SITE) else None


def _leave_word(before: IdentityBundle | None, now: IdentityBundle | None, marker: Path) -> None:
    """For the unit, which starts the daemon, or starts it anew; this process may not.

    Anew also when the daemon says that it uses another certificate: the process that has
    installed this one ended before it wrote that.
    """
    folder = os.environ.get("RUNTIME_DIRECTORY")
    if folder is None:
        return
    if now is None:
        Path(folder, ENROLLED).unlink(missing_ok=True)
        return
    Path(folder, ENROLLED).touch(0o644)
    used = [certs.fingerprint(now.certificate)]
    if (
        before is None
        or before.folder != now.folder
        or _marked_certificate(marker) not in ([], used)
    ):
        _restart()


def _restart() -> None:
    if folder := os.environ.get("RUNTIME_DIRECTORY"):
        Path(folder, RESTART).touch()


def _marked_certificate(marker: Path) -> list[str]:
    """The certificate that the daemon says it uses; nothing when it says nothing."""
    try:
        return (read_file(marker, LINE_LIMIT) or b"").decode("ascii", "replace").split()[1:]
    except OSError as error:
        LOG.warning("%s: %s; whether the daemon has the new identity is not known", marker, error)
        return []


@contextmanager
def _holding_lock(folder: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process."""
    lock = FolderLock(folder)
    if not lock.take():
        raise StateBusyError("another kerbstone-enrol is running: stop it, or wait")
    try:
        yield
    finally:
        lock.release()


def enrol_parser() -> Parser:
    parser = Parser(prog="kerbstone-enrol", description=__doc__, epilog=EXAMPLES)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        verb.add_argument("--state", type=Path, default=STATE, metavar="DIR", help=STATE_HELP)
        verb.add_argument("--boot", type=Path, default=BOOT_FOLDER, metavar="DIR", help=BOOT_HELP)
        verb.add_argument("--marker", type=Path, default=MARKER, metavar="FILE", help=MARKER_HELP)
        verb.add_argument(
            "--spool", type=Path, default=spool_folder(), metavar="DIR", help=SPOOL_HELP
        )
        if name == "offline":
            verb.add_argument("folder", type=Path, help="the stick")
        elif name == "access":
            text = "make both anew, and print them once; the label is wrong then"
            verb.add_argument("--new", action="store_true", help=text)
        elif name == "forget":
            verb.add_argument("--yes", action="store_true", help="needed: it cannot be undone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
