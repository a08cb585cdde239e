"""The bytes of an acceptance sheet that its digest and its signature are made over.

Both sides calculate them: the box when a technician signs, the city when it checks a sheet. JSON
with sorted keys, without blanks, in UTF-8; whole numbers are written without a point.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

SHEET_PREFIX: Final = b"kerbstone-acceptance-1\n"


def sheet_bytes(sheet: Mapping[str, Any]) -> bytes:
    """Of the part `sheet` of the file. Raises ValueError for a number that JSON has not."""
    text = json.dumps(
        _plain(sheet), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def sheet_digest(sheet: Mapping[str, Any]) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(sheet_bytes(sheet)).hexdigest()


def signed_sheet_bytes(sheet: Mapping[str, Any]) -> bytes:
    """What the signature is made over."""
    return SHEET_PREFIX + sheet_bytes(sheet)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
