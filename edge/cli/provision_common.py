"""What all acts of `kerbstone provision` share: the server's folder, the time, their voice."""

import argparse
from datetime import datetime
from typing import TYPE_CHECKING, Any

from edge.kernelclock import KernelClock
from edge.terminal import echo, echo_json

if TYPE_CHECKING:
    from edge.provision.serverdir import ServerDirectory


def server_folder(args: argparse.Namespace) -> "ServerDirectory":
    from edge.provision.serverdir import ServerDirectory

    return ServerDirectory(args.dir)


def utc_now() -> datetime:
    return KernelClock().now().utc()


def print_result(args: argparse.Namespace, fields: dict[str, Any], *lines: str) -> int:
    if args.json:
        echo_json(fields)
    else:
        echo(*lines)
    return 0


def print_line(text: str, code: int) -> int:
    echo(f"kerbstone provision: {text}", err=True)
    return code
