"""JSON that any browser reads, of what a daemon says, and of what a browser sends.

Python writes and reads NaN, Infinity and halves of letters (lone surrogates); a browser refuses the
whole answer for one of them, and UTF-8 has no bytes for the last.
"""

import json
import math
from typing import Any


def json_text(value: Any) -> str:
    """In one line. A number that is none becomes null, half a letter a "?".

    Raises RecursionError: it nests too deep, which depends on who calls.
    """
    try:
        text = _dumps(value)
    except ValueError:
        text = _dumps(_with_numbers(value))
    return text.encode("utf-8", "replace").decode()


def parse_plain_json(data: bytes) -> Any:
    """What a browser has sent. Raises ValueError and RecursionError, also for what no browser can
    mean."""
    found = json.loads(data)
    _dumps(found).encode()
    return found


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _with_numbers(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _with_numbers(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_numbers(each) for each in value]
    return value
