"""The last values that the running gateway holds, judged as those that the doctor reads himself."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from drivers.buses.finding import Finding
from edge.core import Reason
from edge.diagnose.exam import missing_findings

NEW_S: Final = 7.0  # without a value for so long: alone, the doctor asks for as long

REASONS: Final[Mapping[str, Reason]] = {str(each): each for each in Reason}


def held_findings(device: Mapping[str, Any], points: Sequence[str]) -> Iterator[Finding]:
    """Which values it has not. `device` as in the answer of `live`; it answers. `points` are
    those of its driver."""
    missing: dict[Reason, list[str]] = {}
    rows = device.get("readings", ())
    if (why := _valueless(device)) is not None:
        missing[why] = [str(row.get("point")) for row in rows] or list(points)
    else:
        for row in rows:
            if row.get("value") is None:
                why = _reason(str(row.get("quality")).partition(":")[2])
                missing.setdefault(why, []).append(str(row.get("point")))
    return missing_findings(missing, len(rows) or len(points))


def _valueless(device: Mapping[str, Any]) -> Reason | None:
    """Why it has had no value for some time; None when it has one, or has just been asked."""
    since_s, age_s = device.get("unsettled_age_s"), device.get("age_s")
    if since_s is None or since_s < NEW_S or (age_s is not None and age_s < since_s):
        return None
    return _reason(str(device.get("unsettled")))


def _reason(word: str) -> Reason:
    """A newer gateway may know more of them."""
    return REASONS.get(word, Reason.FAULT)
