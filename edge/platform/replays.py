"""Manifests that say word for word what another one says: one of them stands in a place of another.

A signature covers what a manifest says, and not its number, which nobody knows yet when it signs.
So who can write the store can fill the place of a manifest that he has taken away with a copy of
one that holds, and what the first one sealed is sealed by nobody.
"""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any

from edge.platform.auditreport import AuditFinding, record_name
from edge.platform.receivedrecord import Key
from edge.platform.seals import Seal
from edge.wire import signed_bytes
from edge.wire.records import HEADER_KEYS


class Replays:
    """Fed with the manifests of one gateway. `resealed` is where some seal nothing new: the first
    one there, and all of those, are remembered. An honest box hardly ever has any."""

    def __init__(self, resealed: Collection[tuple[int, str, int]]) -> None:
        self._resealed = resealed
        self._first: dict[bytes, Key] = {}

    def look(self, seal: Seal, sent: Mapping[str, Any]) -> AuditFinding | None:
        """Whether another one has said the same before."""
        if "former" in sent:
            return None  # the first of its epoch, and it can stand nowhere else
        if seal.count and (seal.epoch, seal.stream, seal.first) not in self._resealed:
            return None
        body = {field: value for field, value in sent.items() if field not in HEADER_KEYS}
        digest = hashlib.sha256(signed_bytes(body)).digest()
        first = self._first.setdefault(digest, seal.key)
        if first == seal.key:
            return None
        text = (
            f"{seal.text} has exactly the content of {record_name(*first)}: a copy has replaced a "
            "manifest that is missing"
        )
        return AuditFinding("replay", text, seal.key)
