"""What all acts of `kerbstone provision` share: the server's folder, the time, their voice."""

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edge.acquire.clock import SystemClock
from edge.terminal import echo, echo_json

if TYPE_CHECKING:
    from edge.provision.home import Home


def folder(args: argparse.Namespace) -> "Home":
    from edge.provision.home import Home

    return Home(args.dir)


def now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now().wall_ns / 1_000_000_000, UTC)


def result(args: argparse.Namespace, fields: dict[str, Any], *lines: str) -> int:
    if args.json:
        echo_json(fields)
    else:
        echo(*lines)
    return 0


def say(text: str, code: int) -> int:
    echo(f"kerbstone provision: {text}", err=True)
    return code
