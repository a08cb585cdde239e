"""A few words for a lane's or a bay's record, whatever it holds."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

NUMBER_LIMIT: Final = 1e12  # what is larger is no number of ours


def lane_line(data: Mapping[str, Any]) -> str:
    """`5 vehicles, occupied 12.5%, about 32 km/h, a queue for 5 s`."""
    return ", ".join(_lane(data))


def bay_line(data: Mapping[str, Any]) -> str:
    """`occupied for 8 min, 100.0% of the time, 1 arrival, 1 overstay`."""
    return ", ".join(_bay(data))


def _lane(data: Mapping[str, Any]) -> Iterator[str]:
    count = shown_number(data.get("volume"))
    by = {"trail": " by the trail loop", "both": " by both loops"}.get(
        str(data.get("counted_by")), ""
    )
    yield "vehicles not known" if count is None else _count_text(count, "vehicle") + by
    share = shown_number(data.get("occupancy"))
    yield "occupied -" if share is None else f"occupied {share:.1%}"
    mean, alone = (
        shown_number(_value_of(data.get("speed"), "mean")),
        shown_number(_value_of(data.get("speed_single"), "kmh")),
    )
    if mean:
        yield f"{mean:g} km/h"
    elif alone:
        yield f"about {alone:.0f} km/h"
    if stopped := shown_number(data.get("stopped")):
        yield f"{stopped:.0f} stopped"
    if queue_us := shown_number(data.get("queue_us")):
        yield f"a queue for {queue_us / 1e6:.0f} s"
    if failures := shown_number(_value_of(data.get("signal"), "split_failures")):
        yield _count_text(failures, "split failure")
    later = shown_number(data.get("p_congested_15"))
    if later is not None and later >= 0.5:
        yield f"congested in 15 min: {later:.2f}"
    loops = data.get("loops")
    for part, doubt in loops.items() if isinstance(loops, dict) else ():
        yield f"{part} loop doubted" + (
            f" ({fault})" if (fault := _value_of(doubt, "fault")) else ""
        )
    if data.get("health") not in (None, "ok"):
        yield str(data["health"])


def _bay(data: Mapping[str, Any]) -> Iterator[str]:
    occupied, since_s = data.get("occupied"), shown_number(data.get("since_s"))
    if occupied is None:
        yield "not known whether it is free"
    elif not occupied:
        yield "free"
    else:
        yield "occupied" if since_s is None else f"occupied for {_minutes(since_s)}"
    share = shown_number(data.get("occupancy"))
    if share is not None:
        yield f"{share:.1%} of the time"
    for key in ("arrival", "departure", "overstay"):
        if count := shown_number(data.get(f"{key}s")):
            yield _count_text(count, key)
    if data.get("health") not in (None, "ok"):
        yield str(data["health"])


def shown_number(value: Any) -> float | None:
    """`value` when it is a number that can be shown."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < NUMBER_LIMIT else None  # NaN is not, either


def _value_of(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _count_text(count: float, what: str) -> str:
    return f"{count:g} {what}" + ("" if count == 1 else "s")


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
