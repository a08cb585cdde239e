"""Packet loss on a network card, by the kernel's own netem, through a netlink socket.

The command tc does the same; a minimal guest has none. Sources: Linux
include/uapi/linux/rtnetlink.h and pkt_sched.h (struct tc_netem_qopt).
"""

import errno
import os
import socket
import struct
import subprocess
from pathlib import Path
from typing import Final

NEW_QDISC, DELETE_QDISC = 36, 37
REQUEST, ACK, CREATE, REPLACE = 1, 4, 0x400, 0x100
KIND, OPTIONS = 1, 2
ROOT: Final = 0xFFFFFFFF
HEAD: Final = struct.Struct("=IHHII")
MESSAGE: Final = struct.Struct("=BxxxiIII")
QUEUE: Final = struct.Struct("=IIIIII")  # latency, limit, loss, gap, duplicate, jitter
LIMIT: Final = 1000
ERROR: Final = 2
SNMP: Final = Path("/proc/net/snmp")


def set_loss(net: str, share: float) -> None:
    """Lose this share of the packets that this card sends, 0: none. Raises OSError."""
    index = socket.if_nametoindex(net)
    if share <= 0:
        code = _send(DELETE_QDISC, REQUEST | ACK, index, b"")
        if code not in (0, -errno.ENOENT, -errno.EINVAL):
            raise OSError(-code, f"netem of {net}: {os.strerror(-code)}")
    else:
        subprocess.run(["modprobe", "sch_netem"], check=True, capture_output=True)
        queue = QUEUE.pack(0, LIMIT, min(0xFFFFFFFF, round(share * 0xFFFFFFFF)), 0, 0, 0)
        extra = _attribute(KIND, b"netem\0") + _attribute(OPTIONS, queue)
        code = _send(NEW_QDISC, REQUEST | ACK | CREATE | REPLACE, index, extra)
        if code:
            raise OSError(-code, f"netem of {net}: {os.strerror(-code)}")


def sent_again() -> int:
    """How many segments TCP has sent again since the machine began."""
    names, values = (
        line.split() for line in SNMP.read_text("ascii").splitlines() if line.startswith("Tcp:")
    )
    return int(values[names.index("RetransSegs")])


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _send(kind: int, flags: int, index: int, extra: bytes) -> int:
    """What the kernel answers: 0, or minus an errno."""
    body = MESSAGE.pack(socket.AF_UNSPEC, index, 0, ROOT, 0) + extra
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as asking:
        asking.send(HEAD.pack(HEAD.size + len(body), kind, flags, 1, 0) + body)
        answer = asking.recv(4096)
    _, found, *_ = HEAD.unpack_from(answer)
    if found != ERROR:
        raise OSError(errno.EPROTO, "the kernel gives another answer")
    return int(struct.unpack_from("=i", answer, HEAD.size)[0])
