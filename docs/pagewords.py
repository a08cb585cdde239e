"""English words of the page that are those of the program: kinds of issues, checks of the doctor.

A test compares the other languages with them, so a new kind or check needs its words there.
"""

import json

from edge.diagnose.checks import CHECKS
from edge.health.issuekinds import ISSUE_KINDS


def issue_words() -> str:
    """KIND: what is wrong, in a line; KIND.remedy: what to do."""
    words = {}
    for name, kind in ISSUE_KINDS.items():
        words[name] = kind.short[:1].upper() + kind.short[1:]
        words[f"{name}.remedy"] = kind.remedy
    return _as_file(words)


def check_words() -> str:
    """check.ID: what is asked."""
    return _as_file({f"check.{name}": check.asks for name, check in CHECKS.items()})


def _as_file(words: dict[str, str]) -> str:
    return json.dumps(words, ensure_ascii=False, indent=0) + "\n"
