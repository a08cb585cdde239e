"""TCP ports of this machine for what a rig starts."""

import contextlib
import secrets
import socket
from pathlib import Path
from typing import Final

RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
SPREAD: Final = 20_000
LOWEST: Final = 1024


def free_port() -> int:
    """One that stays free while its server is down: the kernel gives none from below this range to
    those who connect."""
    lowest = int(RANGE.read_text(encoding="ascii").split()[0])
    while True:
        port = lowest - 1 - secrets.randbelow(min(SPREAD, lowest - LOWEST))  # none is given twice
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
