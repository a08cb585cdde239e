"""Bytes of a month, counted with a clock that may be wrong; and what the kernel says of network
interfaces, in /sys/class/net, that they are counted by.

A month is known only while the clock is synchronised. Bytes of other times belong to the last known
month. Only one error loses bytes: a synchronised clock that shows an earlier month than it is.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec

LONG_S: Final = 31 * 86400.0  # of life without a clock: that is a month, whatever it is called
MONTHS_KEPT: Final = 4  # months: this one, and those that a clock went to and came from
LEVEL_AT_PERCENT: Final = ((95, 2), (80, 1))  # percent -> level
LEVEL_TEXTS: Final = (
    "within the budget",
    "80 % of the month's bytes are used: records wait and are sent together",
    "95 % of the month's bytes are used: minutes are merged into quarter hours",
)
NET: Final = Path("/sys/class/net")


class Month(msgspec.Struct, frozen=True):
    """`label` is "2026-11", or "" before any clock. First and last used at ages of the box."""

    label: str
    used: int
    since_s: float
    last_s: float


class Counter(msgspec.Struct, frozen=True):
    """An interface's bytes as they stood; by the index a new one of the same name is known."""

    index: int
    value: int


def month_label(wall_s: float, day: int = 1) -> str:
    """The month of account. `day` is when the contract begins anew, 1 to 28."""
    moment = datetime.fromtimestamp(wall_s, UTC) - timedelta(days=day - 1)
    return f"{moment:%Y-%m}"


def bytes_since(old: Mapping[str, Counter], new: Mapping[str, Counter]) -> int:
    """Bytes since the last look. A counter that is smaller, or of another device, began at 0."""
    total = 0
    for name, now in new.items():
        then = old.get(name)
        fresh = then is None or then.index != now.index or now.value < then.value
        total += now.value if fresh or then is None else now.value - then.value
    return total


def add_bytes(
    months: Sequence[Month], delta: int, known: str | None, lived_s: float
) -> tuple[Month, ...]:
    """Add bytes; the month that they belong to comes last.

    `known` is the label of today, None while the clock is not synchronised. Nothing is ever taken
    from a month when the clock moves: it may move back. What has not been the month of today for a
    month of life goes.
    """
    now = months[-1] if months else Month("", 0, lived_s, lived_s)
    others = [month for month in months[:-1] if lived_s - month.last_s < LONG_S]
    if known is None:
        if lived_s - now.since_s >= LONG_S and now.label:
            others, now = [*others, now], Month("", 0, lived_s, lived_s)
        elif lived_s - now.since_s >= LONG_S:
            now = Month("", 0, lived_s, lived_s)
    elif now.label != known:
        found = [month for month in others if month.label == known]
        others = [month for month in (*others, now) if month.label not in (known, "")]
        fresh = found[0] if found else Month(known, 0, lived_s, lived_s)
        # bytes from before the clock was set count for the month that it then shows
        now = fresh if now.label else _add_to_month(fresh, now.used, lived_s)
    return (*others[1 - MONTHS_KEPT :], _add_to_month(now, delta, lived_s))


def month_used(months: Sequence[Month]) -> int:
    """Bytes of the last one. A month later than today's was a lie: its bytes are today's."""
    now = months[-1]
    return now.used + sum(month.used for month in months[:-1] if month.label > now.label > "")


def saver_level(used: int, budget: int) -> int:
    """0 as usual, 1 batch longer, 2 downsample. A budget of 0 is none."""
    if budget <= 0:
        return 0
    return next((level for percent, level in LEVEL_AT_PERCENT if used * 100 >= budget * percent), 0)


def _add_to_month(month: Month, delta: int, lived_s: float) -> Month:
    return Month(month.label, month.used + delta, month.since_s, lived_s)


def read_counters(patterns: Sequence[str], net: Path = NET) -> dict[str, Counter]:
    """Name -> bytes in and out. An interface that goes away meanwhile is left out."""
    found: dict[str, Counter] = {}
    for name in matching_interfaces(patterns, net):
        folder = net / name
        try:
            value = sum(_number(folder / f"statistics/{way}_bytes") for way in ("rx", "tx"))
            found[name] = Counter(_number(folder / "ifindex"), value)
        except (OSError, ValueError):
            continue
    return found


def read_carrier(patterns: Sequence[str], net: Path = NET) -> bool | None:
    """False when every interface says that it has none. None when none of them says anything.

    The kernel gives an error for one that is administratively down, and modems have no carrier.
    """
    carriers: list[bool] = []
    for name in matching_interfaces(patterns, net):
        try:
            carriers.append(_number(net / name / "carrier") != 0)
        except (OSError, ValueError):
            continue
    return any(carriers) if carriers else None


def matching_interfaces(patterns: Sequence[str], net: Path = NET) -> list[str]:
    try:
        names = sorted(entry.name for entry in net.iterdir())
    except OSError:
        return []
    return [name for name in names if any(fnmatchcase(name, one) for one in patterns)]


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
