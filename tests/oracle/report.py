"""The counts of a run: for people as a table, for programs as one line."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from tests.oracle.findings import OracleVerdict
from tests.oracle.found import PlatformFindings
from tests.oracle.inject import Injector
from tests.oracle.world import OracleRun

RECORD: Final = re.compile(
    r"Received PUBLISH from .*'kerbstone/v1/[^/]+/[^/]+/(?:up|down)/"
    r"(traffic|energy|event|health|manifest|receipt)[/']"
)


def figures(
    world: OracleRun,
    found: PlatformFindings,
    injector: Injector,
    verdict: OracleVerdict,
    fresh_us: int,
) -> dict[str, Any]:
    """All counts."""
    log = world.broker.log
    published = Counter(RECORD.findall(log))
    last_us = injector.last_ns // 1000
    delays = [r.came_us - r.span[1] for r in found.rows]
    after = [r.came_us - r.span[1] for r in found.rows if r.span[0] > last_us]
    return {
        **verdict.figures,
        "findings": len(verdict.findings),
        "conflicts": found.conflicts,
        "backfilled": sum(bool(r.body.get("backfilled")) for r in found.rows),
        "redelivered": sum(bool(r.body.get("redelivered")) for r in found.rows),
        "records_at_broker": sum(published.values()) - published["receipt"],
        "receipts_at_broker": published["receipt"],
        "connections": world.proxy.counts.connections,
        "daemon_starts": world.daemon.starts,
        "daemon_ended_by_itself": world.daemon.codes,
        "platform_starts": world.platform.starts,
        "platform_ended_by_itself": world.platform.codes,
        "epochs": len({r.epoch for r in found.rows}),
        "fresh_s": round(fresh_us / 1e6, 2),
        "oldest_on_arrival_s": round(max(delays, default=0) / 1e6, 2),
        "oldest_on_arrival_after_the_last_fault_s": round(max(after, default=0) / 1e6, 2),
    }  # fmt: skip


def table(
    reported: Mapping[str, Any], faults: Mapping[Any, int], skipped: Mapping[str, str]
) -> str:
    lines = [f"  {kind:<42} {count:>10}" for kind, count in sorted(faults.items())]
    lines += [f"  {kind:<42} {'-':>10}  {why}" for kind, why in skipped.items()]
    lines += [""] + [f"  {name:<42} {value!s:>10}" for name, value in reported.items()]
    return "\n".join(["", *lines])
