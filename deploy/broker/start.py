"""Start mosquitto on loopback with the city's own configuration.

    python deploy/broker/start.py DIR [--port 8883] [--provision HOME]

DIR gets the broker's files, and a test PKI as `python -m edge.provision.pki DIR` makes it. With
--provision the CA is that of the enrolment server in HOME: a box that got its identity there is
accepted, and DIR gets a certificate for this broker and one for `platform`. The gateways'
listener has the port, the platform's and that of `subscribe --dropped` the next two. It runs until
it is ended.
"""

import argparse
import contextlib
import datetime
import getpass
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parents[2]))  # from a checkout, wherever it is called

from edge.core import ConfigError
from edge.identity.names import PLATFORM
from edge.provision import brokerexport, issuing, pki
from edge.provision.enroldatabase import EnrolStoreError
from edge.provision.issuing import IssueRequest
from edge.provision.registry import NamedKind
from edge.provision.serverdir import ServerDirectory
from edge.terminal import echo

WATCH: Final = f"{PLATFORM}-watch"
BROKER: Final = "broker-loopback"  # its name on the roll
HERE: Final = Path(__file__).parent / "mosquitto"
PLACES: Final = "/etc/mosquitto/kerbstone"


def configure(folder: Path, ports: tuple[int, int, int]) -> Path:
    """The configuration that ships, with these ports on loopback and its files in `folder`."""
    shutil.copy(HERE / "acl", folder)
    (folder / "acl").chmod(0o600)  # a later mosquitto refuses one that all may read
    (folder / "lib").mkdir(exist_ok=True)
    text = (HERE / "kerbstone.conf").read_text(encoding="utf-8")
    changes = [
        (PLACES, str(folder)),
        ("/var/lib/mosquitto/", f"{folder}/lib/"),
        ("listener 8883\n", f"listener {ports[0]} 127.0.0.1\n"),
        ("listener 8884\n", f"listener {ports[1]} 127.0.0.1\n"),
        ("listener 8885\n", f"listener {ports[2]} 127.0.0.1\n"),
    ]
    for old, new in changes:
        if old not in text:
            raise ValueError(f"kerbstone.conf has no {old!r} any more")
        text = text.replace(old, new)
    path = folder / "mosquitto.conf"
    path.write_text(f"user {getpass.getuser()}\n{text}", encoding="utf-8")
    return path


def join(folder: Path, provision: Path, now: datetime.datetime) -> None:
    """What the broker and a platform need from this enrolment server, as far as it is missing."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = ServerDirectory(provision)
    with contextlib.closing(directory.store()) as store:
        for wanted in (
            IssueRequest(NamedKind.BROKER, BROKER, pki.LOOPBACK),
            IssueRequest(NamedKind.PLATFORM, PLATFORM),
        ):
            if not issuing.has_valid_certificate(store, wanted.name, folder, now):
                issuing.issue_certificate(
                    directory, store, directory.authority(), wanted, folder, now
                )
        brokerexport.export_for_broker(
            directory, store, BROKER, folder, folder / f"{BROKER}.key", now
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--port", type=int, default=8883)
    parser.add_argument("--provision", type=Path, metavar="HOME", help="enrolment server folder")
    args = parser.parse_args(arguments)
    binary = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        echo("mosquitto is not installed: apt install mosquitto", err=True)
        return 3
    folder: Path = args.folder.absolute()
    now = datetime.datetime.now(datetime.UTC)
    try:
        if args.provision is None:
            pki.make_pki(folder, now, programs=(PLATFORM, WATCH))
        else:
            join(folder, args.provision.absolute(), now)
        path = configure(folder, (args.port, args.port + 1, args.port + 2))
    except (ConfigError, EnrolStoreError, OSError) as error:
        echo(str(error), err=True)
        return 2 if isinstance(error, ConfigError) else 3
    boxes = f"gateways {folder}/gateways/, " if args.provision is None else ""
    echo(f"gateways: mqtts://127.0.0.1:{args.port}, platform: mqtts://127.0.0.1:{args.port + 1}")
    echo(f"ca {folder}/ca.crt, {boxes}platform {folder}/platform.crt")
    return os.execv(binary, [binary, "-c", str(path)])


if __name__ == "__main__":
    sys.exit(main())
