"""Ten meters once a second, as on a street: CPU, memory, bytes to the disk and to the broker."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from edge.config.model import Streams
from tests.bench.report import Report
from tests.bench.rig import (
    LONG_S,
    METERS,
    VALUES,
    MeterBench,
    Moment,
    Who,
    clear_of_long_windows,
    values_between,
    world,
)
from tests.kit.link import CountingProxy
from tests.kit.process import MeasuredProgram, bare_rss_mib

pytestmark = pytest.mark.bench

SECONDS = 30.0
PERIOD_S = 10  # of the summaries; a street has 60
COMMIT_S = Streams().raw_commit_s  # as a site has it that says nothing
WARM_S = 4.0  # the models load, and imports are over
RATE = METERS * VALUES  # values read in a second
KINDS: dict[str, tuple[Who, dict[str, Any]]] = {
    "raw": ("ours", {"raw": "true", "raw_commit_s": COMMIT_S, "period_s": LONG_S}),
    "summaries": ("ours", {"raw": "false", "models": "true", "period_s": PERIOD_S, "last_s": 1}),
    "script": ("script", {}),
}


class SteadyUse(NamedTuple):
    cpu_percent: float
    rss_mib: float
    written_per_s: float
    up_per_s: float
    last_per_s: float  # of these, retained messages that repeat a summary
    values_per_s: float


def measure(folder: Path) -> dict[str, SteadyUse]:
    """All three side by side, each with meters, a broker and a counted line of its own."""
    clear_of_long_windows(WARM_S + 2 * PERIOD_S + SECONDS)
    with ExitStack() as stack:
        running: dict[str, tuple[MeterBench, CountingProxy, MeasuredProgram]] = {}
        for kind, (who, words) in KINDS.items():
            one = stack.enter_context(world(folder / kind))
            proxy = stack.enter_context(CountingProxy(one.broker_port))
            gateway = one.gateway(who, 1.0, broker_port=proxy.port, **words)
            running[kind] = one, proxy, stack.enter_context(gateway)
        time.sleep(WARM_S)
        wall_s = time.time()
        time.sleep(PERIOD_S - wall_s % PERIOD_S + PERIOD_S / 2)  # in the middle of a window
        begin = Moment.now()
        before = {kind: reading(*parts[1:]) for kind, parts in running.items()}
        time.sleep(SECONDS)
        end = Moment.now()
        after = {kind: reading(*parts[1:]) for kind, parts in running.items()}
        rss = {kind: gateway.rss_mib() for kind, (_, _, gateway) in running.items()}
        time.sleep(COMMIT_S + 1.5)  # what was read last is committed and sent
        found = {}
        for kind, (one, _, _) in running.items():
            cpu_s, written, up = (b - a for a, b in zip(before[kind], after[kind], strict=True))
            heard = one.listener.heard()
            assert any(message.values for message in heard), kind
            values = values_between(KINDS[kind][0], heard, begin, end) or RATE * SECONDS
            last = sum(
                len(message.topic) + len(message.payload)
                for message in heard
                if "/up/last/" in message.topic and begin.mono_ns <= message.at_ns < end.mono_ns
            )
            per_s = (written / SECONDS, up / SECONDS, last / SECONDS, values / SECONDS)
            found[kind] = SteadyUse(100 * cpu_s / SECONDS, rss[kind], *per_s)
    return found


def reading(proxy: CountingProxy, gateway: MeasuredProgram) -> tuple[float, float, float]:
    return gateway.cpu_s(), gateway.written(), proxy.up


def test_a_quiet_street(tmp_path: Path, report: Report) -> None:
    used = measure(tmp_path)
    raw, summaries, script = used["raw"], used["summaries"], used["script"]
    how = f"10 meters x 20 values, 1 s polls, {SECONDS:.0f} s"
    scaled = PERIOD_S / 60  # a summary of a minute is as long as one of ten seconds
    add = report.add
    add("CPU at 200 values/s, raw", raw.cpu_percent, script.cpu_percent, "%", "script", how)
    add(
        "CPU at 200 values/s, summaries", summaries.cpu_percent, script.cpu_percent, "%", "script",
        f"{how}; models on, period {PERIOD_S} s: six times as many windows as on a street",
    )  # fmt: skip
    memory = "memory (RSS), no models"
    add(memory, raw.rss_mib, script.rss_mib, "MiB", "script", how)
    add(memory, raw.rss_mib, bare_rss_mib(), "MiB", "python, asyncio", how)
    memory = "memory (RSS), anomaly model"
    add(memory, summaries.rss_mib, script.rss_mib, "MiB", "script", how)
    script_b = script.up_per_s / script.values_per_s
    add("bytes up per value, raw", raw.up_per_s / raw.values_per_s, script_b, "B", "script", how)
    how = f"measured with a period of {PERIOD_S} s, divided by {1 / scaled:.0f}"
    per_value = scaled / RATE
    records_b = per_value * (summaries.up_per_s - summaries.last_per_s)
    add("bytes up per value, summaries", records_b, script_b, "B", "script", how)
    add(
        "  with the retained last ones",
        per_value * summaries.up_per_s,
        script_b,
        "B",
        "script",
        how,
    )
    hour = 3600 / 2**20
    json_mib = hour * script.up_per_s
    against = "script's JSON, not kept"
    add(
        "disk written, raw", hour * raw.written_per_s, json_mib, "MiB/h", against,
        f"a commit each {COMMIT_S:.0f} s",
    )  # fmt: skip
    add(
        "disk written, summaries", scaled * hour * summaries.written_per_s, json_mib, "MiB/h",
        against, how,
    )  # fmt: skip
