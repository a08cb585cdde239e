"""Start mosquitto on loopback with the city's own configuration and a test PKI.

    python deploy/broker/start.py DIR [--port 8883]

DIR gets what `python -m edge.provision.pki DIR` makes, and the broker's files. The gateways'
listener has the port, the platform's the next one. It runs until it is ended.
"""

import argparse
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
from edge.provision import pki

HERE: Final = Path(__file__).parent / "mosquitto"
PLACES: Final = "/etc/mosquitto/kerbstone"


def configure(folder: Path, ports: tuple[int, int]) -> Path:
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
    ]
    for old, new in changes:
        if old not in text:
            raise ValueError(f"kerbstone.conf has no {old!r} any more")
        text = text.replace(old, new)
    path = folder / "mosquitto.conf"
    path.write_text(f"user {getpass.getuser()}\n{text}", encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--port", type=int, default=8883)
    args = parser.parse_args(arguments)
    binary = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")
    if binary is None:
        print("mosquitto is not installed: apt install mosquitto", file=sys.stderr)
        return 3
    folder: Path = args.folder.absolute()
    try:
        pki.make(folder, datetime.datetime.now(datetime.UTC))  # noqa: TID251
        path = configure(folder, (args.port, args.port + 1))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"gateways: mqtts://127.0.0.1:{args.port}, platform: mqtts://127.0.0.1:{args.port + 1}")
    print(f"ca {folder}/ca.crt, gateways {folder}/gateways/, platform {folder}/platform.crt")
    sys.stdout.flush()
    return os.execv(binary, [binary, "-c", str(path)])


if __name__ == "__main__":
    sys.exit(main())
