"""Whether what comes again is the same, and was expected to come again."""

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, Final

from edge.platform.auditreport import AuditFinding, record_name
from edge.platform.contentdigest import content_digest
from edge.platform.receivedrecord import Key

DIGESTS_KEPT: Final = 50_000  # contents of a stream, for telling a duplicate from a conflict
IN_FLIGHT: Final = 200  # messages that a broker may send again after our connection was lost


class Repeats:
    """Remembers the contents of the newest records of each epoch and stream."""

    def __init__(self) -> None:
        self._contents: dict[tuple[str, int, str], OrderedDict[int, tuple[bytes, bool]]] = {}
        self._latest: deque[Key] = deque(maxlen=IN_FLIGHT)
        self._forgiven: set[Key] = set()
        self.redelivered = 0

    def reconnected(self) -> None:
        """Our own connection was lost: the broker may send its last messages again."""
        self._forgiven = set(self._latest)

    def compare(
        self, key: Key, sent: Mapping[str, Any], new: bool
    ) -> tuple[bool, AuditFinding | None]:
        """Whether the record is to be counted, and what is wrong with a second one."""
        contents = self._contents.setdefault(key[:3], OrderedDict())
        content, redelivered = content_digest(sent), bool(sent.get("redelivered"))
        before = contents.get(key[3])
        if before is None:
            contents[key[3]] = content, redelivered
            if len(contents) > DIGESTS_KEPT:
                contents.popitem(last=False)
            if new:
                self._latest.append(key)
            elif not redelivered:
                text = f"{record_name(*key)} arrived twice, the first time long ago"
                return False, AuditFinding("duplicate", text, key)
            return new, None
        if before[0] != content:
            text = f"{record_name(*key)} arrived with two different contents"
            return False, AuditFinding("conflict", text, key)
        if key in self._forgiven:
            self.redelivered += 1
        elif not (redelivered or before[1]):
            text = f"{record_name(*key)} arrived twice, and neither is marked `redelivered`"
            return False, AuditFinding("duplicate", text, key)
        return False, None
