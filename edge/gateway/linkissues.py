"""What is wrong with the way to the city while records go through: another broker, few bytes."""

from collections.abc import Iterator
from datetime import date
from typing import Final

from edge.gateway.datasaver import SaverLevel
from edge.health.openissues import IssueFinding
from edge.uplink.delivery import ConnectionState

FALLBACK_NS: Final = 120_000_000_000  # the first broker may be restarted
MERGING_LEVEL: Final = 2  # from here on minutes are lost to the city
MB: Final = 1e6


def fallback_findings(
    connection: ConnectionState, first: str, *, connected: bool, now_ns: int
) -> Iterator[IssueFinding]:
    """`first`: the broker of uplink.url. Another one is left now and then to try it again, so what
    is open stays until the first is reached."""
    if connected and connection.broker in ("", first):
        return
    if not connected or now_ns - connection.since_ns < FALLBACK_NS:
        yield IssueFinding("on_fallback", unknown=True)
        return
    cause = f"The first broker {first} is not reached, or takes too little: the box sends by its"
    yield IssueFinding("on_fallback", cause=f"{cause} fallback {connection.broker}")


def budget_findings(
    saver: SaverLevel, *, counted: bool, billing_day: int
) -> Iterator[IssueFinding]:
    """As kerbstone-link has counted. `counted`: it does, so after a start it is waited for."""
    if counted and not saver.set_ns:
        yield IssueFinding("data_budget", unknown=True)
    if saver.level < MERGING_LEVEL:
        return
    used = f"{saver.used / MB:,.0f} of {saver.budget / MB:,.0f} MB are used"
    until = _next_month(saver.month, billing_day)
    end = f"on {until}" if until else "with the next month of the contract"
    yield IssueFinding(
        "data_budget",
        cause=f"{used}, so minutes are merged into quarter hours: this ends {end}",
    )


def _next_month(month: str, day: int) -> date | None:
    """When the month of account after this one begins."""
    year, mark, number = month.partition("-")
    if not mark or not (year + number).isdecimal() or not 1 <= int(number) <= 12:
        return None
    return date(int(year) + int(number) // 12, int(number) % 12 + 1, day)
