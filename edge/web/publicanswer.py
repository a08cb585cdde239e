"""What of the daemon's answers is told to who has not logged in, where `web.without_login` is
"read": nothing that names people, and no sentence that may name the file of a secret.
"""

from collections.abc import Mapping
from typing import Any, Final

from edge.control.handover import GONE_ON_TEXT

Path = tuple[str, ...]
EACH: Final = "*"  # in a path: all of a list
PRIVATE: Final[Mapping[str, tuple[Path, ...]]] = {
    "commission": (("by",), ("acceptance", "by"), ("steps", EACH, "by")),
    "status": (("acceptance", "by"), ("problems", "configuration")),
    "config": (("file",), ("text",)),  # why a site file is refused: its password file, its key
}
"""Verb: the words of its answer that become ""."""

PRIVATE_ISSUES: Final = ("configuration_refused",)  # their cause is that same sentence


def public_answer(verb: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The same, without what needs a login; `answer` stays as it is."""
    found: Any = answer
    for path in PRIVATE.get(verb, ()):
        found = _without(found, path)
    issues = answer.get("issues")
    return {**found, "issues": _public_issues(issues)} if isinstance(issues, list) else {**found}


def public_text(state: str, text: str) -> str:
    """Why the daemon gives no answer; who has made a backup is a person."""
    return GONE_ON_TEXT if state == "handed_over" else text


def _without(value: Any, path: Path) -> Any:
    key, rest = path[0], path[1:]
    if key == EACH:
        return [_without(each, rest) for each in value] if isinstance(value, list) else value
    if not isinstance(value, Mapping) or key not in value:
        return value
    return {**value, key: _without(value[key], rest) if rest else ""}


def _public_issues(issues: list[Any]) -> list[Any]:
    return [
        {**each, "cause": ""}
        if isinstance(each, Mapping) and each.get("kind") in PRIVATE_ISSUES
        else each
        for each in issues
    ]
