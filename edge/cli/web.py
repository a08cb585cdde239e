"""`kerbstone web`: the page of this gateway, for a browser on a phone or a laptop.

As a service it listens on a Unix socket, and systemd leads the interfaces there that may reach it.
By hand it listens on this machine only. `kerbstone web secret` makes a new secret for the login and
prints it once; `kerbstone web --fingerprint` prints what the phone's warning is compared with.
Exit codes: 0 fine, 2 wrong use, 3 it cannot listen, or has no certificate.
"""

import argparse
import os
import secrets
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edge.core.boxfiles import find_site_file
from edge.core.pagecertificate import LOGIN_NAME, PAGE_STATE
from edge.core.secrethash import hash_secret
from edge.durable.atomicwrite import replace_file
from edge.kernelclock import KernelClock
from edge.terminal import echo, log_to_stderr
from edge.web.pagesettings import SettingsFile
from edge.web.webcertificate import PageCertificateError, ensure_certificate

LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another one
GROUPS, GROUP = 4, 4  # 79 bits
# as in site_options.py, which brings the whole model of the configuration along: 8 MB
CONFIG_HELP: Final = "site file (default: that of this gateway)"
NO_LIBRARY: Final = "starlette and uvicorn are not installed: `pip install 'kerbstone[web]'`"


def register(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = verbs.add_parser(
        "web", help="the page of this gateway, for a browser", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("action", nargs="?", choices=("serve", "secret"), default="serve",
        help="serve the page (default), or make a new secret for its login")  # fmt: skip
    add("--fingerprint", action="store_true", help="print the certificate's, and end")
    add("--listen", default="127.0.0.1:8443", metavar="HOST:PORT", help="where (127.0.0.1:8443)")
    add("--socket", type=Path, metavar="FILE", help="a Unix socket instead, for the service")
    add("--login", type=Path, metavar="FILE", help="the line of the secret (default: of this box)")
    add("--config", type=Path, default=find_site_file(), metavar="FILE", help=CONFIG_HELP)
    add("--state", type=Path, default=PAGE_STATE, metavar="DIR",
        help=f"certificate, key and secret ({PAGE_STATE})")  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.fingerprint:
        return _fingerprint(args)
    if args.action == "secret":
        return _secret(args)
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        return _fail(NO_LIBRARY, 2)
    host, _, port = args.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        return _fail(f"--listen is HOST:PORT, not {args.listen}", 2)

    from edge.web.serve import ServeOptions, serve  # where the libraries are there

    log_to_stderr("%(levelname)s %(name)s: %(message)s", 20)
    options = ServeOptions(
        args.state, args.config, args.login, args.socket, host.strip("[]"), int(port)
    )
    try:
        serve(options, _ready)
    except PageCertificateError as error:
        return _fail(str(error), 3)
    except OSError as error:
        where = args.socket or args.listen
        return _fail(f"cannot listen on {where}: {error.strerror or error}", 3)
    return 0


def _ready(address: str, fingerprint: str) -> None:
    echo(f"page on {address}", f"SHA-256 fingerprint of its certificate: {fingerprint}", fold=False)


def _fingerprint(args: argparse.Namespace) -> int:
    try:
        name = SettingsFile(args.config).read().gateway
        found = ensure_certificate(args.state, name, KernelClock().now())
        echo(found.fingerprint, fold=False)
    except PageCertificateError as error:
        return _fail(str(error), 3)
    return 0


def _secret(args: argparse.Namespace) -> int:
    """Written before it is shown: what is on the screen is what opens the page."""
    secret = "-".join("".join(secrets.choice(LETTERS) for _ in range(GROUP)) for _ in range(GROUPS))
    path = args.login or args.state / LOGIN_NAME
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, f"{hash_secret(secret)}\n".encode())
        if os.geteuid() == 0:  # the page's user reads it, and nobody else
            folder = path.parent.stat()
            os.chown(path, folder.st_uid, folder.st_gid)
    except OSError as error:
        return _fail(f"{path}: {error.strerror or error}; use sudo", 3)
    echo(secret, fold=False)
    echo(
        "This is the secret of the page, and is shown only now. "
        "Write it on the label inside the door.", err=True,
    )  # fmt: skip
    return 0


def _fail(text: str, code: int) -> int:
    echo(f"kerbstone web: {text}", err=True)
    return code
