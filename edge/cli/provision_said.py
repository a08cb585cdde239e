"""What all acts of `kerbstone provision` share: the server's folder, the time, their voice."""

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from edge.acquire.clock import SystemClock

if TYPE_CHECKING:
    from edge.provision.home import Home


def folder(args: argparse.Namespace) -> "Home":
    from edge.provision.home import Home

    return Home(args.dir)


def now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now().wall_ns / 1_000_000_000, UTC)


def result(args: argparse.Namespace, said: dict[str, Any], text: str) -> int:
    print(json.dumps(said) if args.json else text, flush=True)
    return 0


def say(text: str, code: int) -> int:
    print(f"kerbstone provision: {text}", file=sys.stderr)
    return code
