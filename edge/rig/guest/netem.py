"""Packet loss on a network card, by the kernel's own netem, through a netlink socket.

The command tc does the same; a minimal guest has none. Sources: Linux
include/uapi/linux/rtnetlink.h, pkt_sched.h (struct tc_netem_qopt) and gen_stats.h (struct
gnet_stats_queue).
"""

import errno
import os
import socket
import struct
import subprocess
from collections.abc import Iterator
from typing import Final

NEW_QDISC, DELETE_QDISC, GET_QDISC = 36, 37, 38
REQUEST, ACK, CREATE, REPLACE, DUMP = 1, 4, 0x400, 0x100, 0x300
KIND, OPTIONS, STATISTICS = 1, 2, 7
QUEUE_STATISTICS: Final = 3
ROOT: Final = 0xFFFFFFFF
HEAD: Final = struct.Struct("=IHHII")
MESSAGE: Final = struct.Struct("=BxxxiIII")
QUEUE: Final = struct.Struct("=IIIIII")  # latency, limit, loss, gap, duplicate, jitter
COUNTS: Final = struct.Struct("=III")  # waiting packets, waiting bytes, drops
ATTRIBUTE: Final = struct.Struct("=HH")
LIMIT: Final = 1000
ERROR, DONE = 2, 3
ANSWER_BYTES: Final = 65536


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


def dropped(net: str) -> int:
    """How many packets netem has lost on this card since it began to; 0 without it. Raises
    OSError."""
    index = socket.if_nametoindex(net)
    body = MESSAGE.pack(socket.AF_UNSPEC, index, 0, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as asking:
        asking.send(HEAD.pack(HEAD.size + len(body), GET_QDISC, REQUEST | DUMP, 1, 0) + body)
        found = 0
        while True:
            for kind, message in messages(asking.recv(ANSWER_BYTES)):
                if kind == ERROR:
                    code = -int(struct.unpack_from("=i", message)[0])
                    raise OSError(code, f"queues of {net}: {os.strerror(code)}")
                if kind == DONE:
                    return found
                if MESSAGE.unpack_from(message)[1] == index:
                    found += netem_drops(message)


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and body of each netlink message of a datagram."""
    at = 0
    while at + HEAD.size <= len(data):
        size, kind, *_ = HEAD.unpack_from(data, at)
        if size < HEAD.size:
            raise OSError(errno.EPROTO, "the kernel gives a message without a size")
        yield kind, data[at + HEAD.size : at + size]
        at += size + 3 & ~3


def netem_drops(message: bytes) -> int:
    """The drops of the queue that a message tells of; 0 for one of another kind."""
    told = _attributes(message[MESSAGE.size :])
    if told.get(KIND, b"").rstrip(b"\0") != b"netem":
        return 0
    counts = _attributes(told.get(STATISTICS, b"")).get(QUEUE_STATISTICS, b"")
    return int(COUNTS.unpack_from(counts)[2]) if len(counts) >= COUNTS.size else 0


def _attributes(data: bytes) -> dict[int, bytes]:
    found, at = dict[int, bytes](), 0
    while at + ATTRIBUTE.size <= len(data):
        size, kind = ATTRIBUTE.unpack_from(data, at)
        if size < ATTRIBUTE.size:
            break
        found[kind & 0x3FFF] = data[at + ATTRIBUTE.size : at + size]  # without flags
        at += size + 3 & ~3
    return found


def _attribute(kind: int, data: bytes) -> bytes:
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(data), kind) + data + bytes(-len(data) % 4)


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
