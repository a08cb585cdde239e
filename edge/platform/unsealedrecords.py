"""Records that have come and that no manifest has sealed yet, kept for the digest: bounded."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import msgpack

from edge.platform.auditreport import AuditFinding
from edge.platform.receivedrecord import Key
from edge.platform.seals import Seal, SealProof, prove_seal

KEPT_BYTES: Final = 16 << 20  # bytes of records, all gateways together
OVERHEAD: Final = 400  # bytes that a kept record takes beside its own
WAITING_MANIFESTS: Final = 1000  # manifests some of whose records are not here (yet)


class UnsealedRecords:
    """A manifest usually comes after what it seals; where it does not, it waits."""

    def __init__(self) -> None:
        self.proved = 0
        self._records: OrderedDict[Key, bytes] = OrderedDict()
        self._bytes = 0
        self._waiting: OrderedDict[Key, Seal] = OrderedDict()
        self._given_up = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting) + self._given_up

    def add(self, key: Key, sent: Mapping[str, Any]) -> None:
        """The oldest go when there is no more room."""
        packed: bytes = msgpack.packb(sent)
        self._records[key] = packed
        self._bytes += len(packed) + OVERHEAD
        while self._bytes > KEPT_BYTES:
            _, oldest = self._records.popitem(last=False)
            self._bytes -= len(oldest) + OVERHEAD

    def add_seal(self, gw: str, seal: Seal) -> AuditFinding | None:
        """A manifest has come. What it seals need not be kept any longer."""
        proof = self._prove(gw, seal)
        if proof.absent:
            self._waiting[seal.key] = seal
            if len(self._waiting) > WAITING_MANIFESTS:
                self._waiting.popitem(last=False)
                self._given_up += 1
        return proof.finding

    def retry_waiting(self) -> list[AuditFinding]:
        """Once more those that waited: by now their records may have come."""
        found: list[AuditFinding] = []
        for key, seal in list(self._waiting.items()):
            proof = self._prove(key[0], seal)
            if not proof.absent:
                del self._waiting[key]
            if proof.finding is not None:
                found.append(proof.finding)
        return found

    def _prove(self, gw: str, seal: Seal) -> SealProof:
        keys = [(gw, seal.epoch, seal.stream, seq) for seq in seal.numbers]
        here = [(key[3], msgpack.unpackb(self._records[key])) for key in keys if self._has(key)]
        proof = prove_seal(seal, here)
        if not proof.absent:
            self.proved += proof.proved
            for key in keys:
                if self._has(key):
                    self._bytes -= len(self._records.pop(key)) + OVERHEAD
        return proof

    def _has(self, key: Key) -> bool:
        return key in self._records
