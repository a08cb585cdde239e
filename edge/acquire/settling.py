"""How long a device may warm up, or answer without a value, before that is no warm-up any more."""

from collections.abc import Mapping
from typing import Final

from edge.core import Condition, PacedDevice, Polled, Reason, SettlingDevice, Sweep

SETTLE_LEAST_NS: Final = 900_000_000_000  # the slowest chip heats up for five minutes
SETTLE_TIMES: Final = 3  # so much longer than its driver says: it may have been started twice


def settle_limit_ns(polled: Polled, every_ns: int) -> int:
    """By its driver's own warm-up and pace; whatever these are, some readings have to fit."""
    reads = polled.settle_reads if isinstance(polled, SettlingDevice) else 0
    pace_s = polled.pace_s if isinstance(polled, PacedDevice) else 0.0
    own_ns = max((reads + 1) * every_ns, int(pace_s * 1e9))
    return max(SETTLE_LEAST_NS, SETTLE_TIMES * own_ns)


def unsettled_reason(result: Sweep, health: Mapping[Condition, str]) -> Reason | None:
    """Why this answer is none of a device that has settled; None when it is one."""
    for quality in result.qualities:
        if quality.reason is Reason.WARMUP:
            return Reason.WARMUP
    if Condition.WARMUP in health:
        return Reason.WARMUP
    if any(value is not None for value in result.values):
        return None
    return next((each.reason for each in result.qualities), None)
