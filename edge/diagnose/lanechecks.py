"""The lanes as answers of the doctor: whether their loops change, and what is said of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from edge.core.humanize import count_text, span_text
from edge.diagnose.checks import ALONE, CheckId, CheckResult, passed, unchecked, warn

LANES: Final[tuple[CheckId, ...]] = ("lane_edges", "lane_verdict")
QUIET_S: Final = 600.0  # without an edge since the start: then a loop is worth a look


def lane_results(
    status: Mapping[str, Any] | None, names: Sequence[str], why: str = ALONE
) -> Iterator[CheckResult]:
    """When the loops of each lane have changed last, and how often; and that nothing is said
    against them. What is said is in the list of open issues."""
    for name in names:
        if status is None:
            yield unchecked("lane_edges", why, name)
            yield unchecked("lane_verdict", why, name)
            continue
        yield from _lane_edges(status, name)
        yield passed("lane_verdict", "no fault of its loops is open", name)


def _lane_edges(status: Mapping[str, Any], name: str) -> Iterator[CheckResult]:
    lane = status.get("lanes", {}).get(name)
    edges = lane.get("edges") if isinstance(lane, Mapping) else None
    if not isinstance(edges, Mapping):
        yield unchecked("lane_edges", "the running gateway does not count them", name)
        return
    for part, seen in edges.items():
        about = name if len(edges) == 1 else f"{name} {part}"
        last_s, count = _number(seen.get("last_s")), int(_number(seen.get("edges")) or 0)
        over_s = _number(seen.get("over_s")) or 0.0
        if last_s is not None:
            rate = f"{count_text(count, 'edge')} in {span_text(over_s)}"
            if over_s >= 3600:
                rate = f"{count_text(count, 'edge')} in the last hour"
            yield passed("lane_edges", f"the last edge {span_text(last_s)} ago, {rate}", about)
        elif over_s < QUIET_S:
            yield unchecked("lane_edges", f"no edge yet, in {span_text(over_s)}", about)
        else:
            up_s = _number(status.get("uptime_s")) or over_s
            cause = f"{name}: its {part} loop has not changed since the start {span_text(up_s)} ago"
            remedy = (
                "Let a vehicle drive over it. If the light of the loop card changes and this does "
                "not, check the wire to the line, `active` and `bias`; if it does not, the loop"
            )
            yield warn("lane_edges", cause, remedy, about)


def _number(value: object) -> float | None:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return float(cast("float", value)) if known else None
