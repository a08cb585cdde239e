"""What of a record is its content, and what is only the envelope of one sending."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

# may differ when a record is sent again; decision 13 keeps them out of the manifest's digest too
ENVELOPE: Final = frozenset({"from", "to", "tq", "bounds", "backfilled", "redelivered"})
TIME_QUALITY_RANK: Final = {"none": 0, "floor": 1, "rtc": 2, "ntp": 3, "nts": 4}


def content_digest(sent: Mapping[str, Any]) -> bytes:
    """12 bytes that say whether two records have the same content, whatever their encoding."""
    content = {name: value for name, value in sent.items() if name not in ENVELOPE}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=_bytes)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _bytes(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(value)
