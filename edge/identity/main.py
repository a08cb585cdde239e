"""`kerbstone-enrol`: first boot, renewal, the way by USB stick, and factory reset.

Exit codes: 0 fine, 1 a finding, 2 wrong use or a file that cannot be used, 3 not reachable.
"""

import argparse
import fcntl
import logging
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.core import ConfigError
from edge.identity import tls
from edge.identity.boot import FOLDER, Boot
from edge.identity.certs import public
from edge.identity.enrol import Enrolment
from edge.identity.moment import SystemTime, Watch
from edge.identity.names import comparison
from edge.identity.offline import offline
from edge.identity.renew import MARKER, Renewal
from edge.identity.status import Teller
from edge.identity.store import Store

STATE: Final = Path("/var/lib/kerbstone/identity")
RESTART: Final = "restart"  # in the unit's RuntimeDirectory: there is another identity now
VERBS: Final = {
    "run": "get an identity with the claim on the boot partition; waits for days if need be",
    "renew": "renew the certificate when it is time to; remove the one that it replaced",
    "offline": "ask for an identity, or take one, on a USB stick",
    "status": "which identity this box has",
    "forget": "factory reset: remove key, certificate and configuration",
}


def main(arguments: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.umask(0o077)
    try:
        args.state.mkdir(0o700, parents=True, exist_ok=True)
        with _alone(args.state):
            return _run(args)
    except (ConfigError, OSError) as error:
        print(f"kerbstone-enrol {args.verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace) -> int:
    store, boot = Store(args.state), Boot(args.boot)
    if args.verb == "forget":
        return _forget(store, bool(args.yes))
    if args.verb == "status":
        return _status(store)
    watch, teller = Watch(SystemTime(), args.state), Teller(boot)
    # jitter has to differ between boxes that got power in the same second
    box = Enrolment(store, boot, watch, tls.ask, teller, random.SystemRandom())
    before = store.current()
    if args.verb == "renew":
        done: str = Renewal(store, watch, tls.ask, teller, args.marker).run()
    elif args.verb == "offline":
        done = offline(box, args.folder)
    else:
        done = box.run()
    now = store.current()
    if now is not None and (before is None or before.folder != now.folder):
        _restart()
    print(f"kerbstone-enrol {args.verb}: {done}", file=sys.stderr)
    return {"no claim": 1, "not enrolled": 1, "bad claim": 2, "trouble": 3}.get(done, 0)


def _forget(store: Store, sure: bool) -> int:
    if not sure:
        print("kerbstone-enrol forget: --yes says that this box shall lose its identity")
        return 2
    store.forget()
    return 0


def _status(store: Store) -> int:
    bundle = store.current()
    if bundle is None:
        print("no identity")
        return 1
    last = bundle.certificate.not_valid_after_utc
    code = comparison(public(bundle.certificate))
    name = f"{bundle.home.gateway} at {bundle.home.site}"
    print(f"{name}, key {code}, {bundle.folder.name}, until {last:%Y-%m-%d}")
    return 0


def _restart() -> None:
    """Leave word for the unit, which starts the daemon anew; this process may not."""
    folder = os.environ.get("RUNTIME_DIRECTORY")
    if folder:
        Path(folder, RESTART).touch()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError("another kerbstone-enrol is at work: stop it, or wait") from None
        yield
    finally:
        os.close(fd)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kerbstone-enrol", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        verb.add_argument("--state", type=Path, default=STATE)
        verb.add_argument("--boot", type=Path, default=FOLDER)
        if name == "renew":
            verb.add_argument("--marker", type=Path, default=MARKER)
        elif name == "offline":
            verb.add_argument("folder", type=Path, help="the stick")
        elif name == "forget":
            verb.add_argument("--yes", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
