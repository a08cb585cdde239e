"""Spans, sizes, shares and counts in words, and errors as sentences: what people read."""

import re
from typing import Any, Final

ERRNO: Final = re.compile(r"\[Errno -?\d+\] ")
UNKNOWN: Final = "not known"
MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86_400.0, 31_557_600.0


def span_text(seconds: float | None) -> str:
    """A time in its one or two largest units, rounded down: people plan by it."""
    if seconds is None:
        return UNKNOWN
    s = max(0.0, float(seconds))
    if s < 10:
        return f"{int(s * 10) / 10:g} s"
    if s < 2 * MINUTE:
        return f"{int(s)} s"
    if s < 2 * HOUR:
        return f"{int(s // MINUTE)} min"
    if s < 2 * DAY:
        minutes = int(s % HOUR // MINUTE)
        return f"{int(s // HOUR)} h" + (f" {minutes} min" if minutes else "")
    if s < 2 * YEAR:
        return f"{int(s // DAY)} days"
    if s < 100 * YEAR:
        return f"{int(s // YEAR)} years"
    return "more than 100 years"


def megabytes_text(size: float | None) -> str:
    """In MB as the configuration means them (2**20 bytes); what is very large in GB."""
    if size is None:
        return UNKNOWN
    mb = size / (1 << 20)
    if mb >= 10_000:
        return f"{mb / 1024:.0f} GB"
    return f"{mb:.0f} MB" if mb >= 10 else f"{mb:.1f} MB" if mb >= 0.1 or not mb else "0.1 MB"


def percent_text(part: float) -> str:
    """A share; what is not nothing is not shown as nothing."""
    if part == 0 or part >= 0.1:
        return f"{part:.0%}"
    return f"{part:.1%}" if part >= 0.001 else "less than 0.1%"


def count_text(number: Any, one: str, many: str = "") -> str:
    """`1 record`, `1,234 records`, `no records`; `not known` for None."""
    many = many or f"{one}s"
    if number is None:
        return f"{many} {UNKNOWN}"
    return f"no {many}" if number == 0 else f"{number:,} {one if number == 1 else many}"


def without_errno(error: str) -> str:
    """An error of the system without its number."""
    return ERRNO.sub("", str(error))


def as_sentence(text: str) -> str:
    """With a capital and a full stop; names of devices are left as they are."""
    text = text.strip()
    return text if not text or text[-1] in ".!?" else f"{text}."
