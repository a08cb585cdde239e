"""The chain of digests over records, in the order of their numbers: what a manifest says.

Both sides calculate it: the gateway at hand-over, the platform over what it has received. Defined
in docs/decisions/0013-manifests.md.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgpack

from edge.core import Record
from edge.wire.records import HEADER_KEYS

CHAIN_START: Final = bytes(32)
SIGNATURE_PREFIX: Final = b"kerbstone-manifest-1\n"
SIGNATURE_KEYS: Final = frozenset({"alg", "sig", "cert_sha256"})


def chain_link(chain: bytes, head: tuple[int, str, int, str, int, int, int], body: bytes) -> bytes:
    """The next link. `head`: epoch, stream, seq, source, boot, mono from and to in microseconds."""
    return hashlib.sha256(chain + msgpack.packb(head) + body).digest()


def chain_record(chain: bytes, record: Record) -> bytes:
    """The next link, of a record that is about to be sent."""
    key = record.key
    head = (
        key.epoch, str(key.stream), key.seq, record.source, record.boot,
        record.from_ns // 1000, record.to_ns // 1000,
    )  # fmt: skip
    return chain_link(chain, head, msgpack.packb(record.body))


def chain_map(chain: bytes, data: Mapping[str, Any]) -> bytes:
    """The same from a map that was received, as it came (a batch not in its readable form)."""
    start_us, end_us = data["mono"]
    head = (
        data["epoch"], data["stream"], data["seq"], data.get("source", ""), data["boot"],
        start_us, end_us,
    )  # fmt: skip
    body = {name: value for name, value in data.items() if name not in HEADER_KEYS}
    return chain_link(chain, head, msgpack.packb(body))


def signed_bytes(body: Mapping[str, Any]) -> bytes:
    """What the signature of a manifest is made over."""
    packed: bytes = msgpack.packb({k: v for k, v in body.items() if k not in SIGNATURE_KEYS})
    return SIGNATURE_PREFIX + packed
