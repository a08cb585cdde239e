"""Nobody can reach the gateway: a running daemon with all its parts listens at no port."""

import contextlib
import json
import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.kit.gateway import AIR, LOOPS, GatewayProcess

LISTENS = "0A"  # TCP_LISTEN of the kernel's include/net/tcp_states.h


def inodes(pid: int) -> set[str]:
    found = set()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own one is gone by now
            if named := re.fullmatch(r"socket:\[(\d+)\]", str(fd.readlink())):
                found.add(named[1])
    return found


def open_ports(pid: int) -> list[str]:
    """Sockets of a process that somebody else may speak to first: as proc(5) has them."""
    own, found = inodes(pid), []
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            words = line.split()
            if words[9] in own and (kind.startswith("udp") or words[3] == LISTENS):
                found.append(f"{kind} {words[1]}")
    return found


def test_the_daemon_listens_at_no_port(site: Callable[..., GatewayProcess]) -> None:
    one = site(AIR, LOOPS)
    one.start()
    end = time.monotonic() + 60
    while True:
        said = one.ask("status")
        if said.stdout and json.loads(said.stdout).get("link", {}).get("connected"):
            break
        assert time.monotonic() < end, one.log.read_text()
        time.sleep(0.1)
    assert one._daemon is not None
    assert inodes(one._daemon.pid), "its own connection would be found"
    assert open_ports(one._daemon.pid) == []


def test_a_port_would_be_found() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        datagrams.bind(("127.0.0.1", 0))
        ports = sorted(each.partition(":")[0] for each in open_ports(os.getpid()))
        assert any(each.startswith("tcp ") for each in ports), server
        assert any(each.startswith("udp ") for each in ports)
