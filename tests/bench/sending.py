"""The sender and the outbox of the daemon alone, as a process: it sends what lies in an outbox.

    python -m tests.bench.sending JSON

`folder` holds the outbox and `run` its journal; `port` is the broker's; `receipt_s` null: a PUBACK
confirms; `per_s` bounds the backlog, null: as the daemon does. Each `live_s` a live record of
stream air is committed, with the moment in it; 0: none. Every 0.5 s it prints what it has done.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from edge.acquire.clock import SystemClock
from edge.core import Draft, Stamp, Stream
from edge.outbox import AsyncOutbox
from edge.process.merge import merge_bodies
from edge.uplink.broker import make_broker
from edge.uplink.sender import Sender, SenderHooks, SenderOptions
from edge.wire import Topics
from tests.kit.clock import NTP

GW: Final = "gw"
REPORT_S: Final = 0.5


def summary(mono_ns: int) -> Draft:
    """A record of an air sensor, and when it was committed."""
    gauge = {"mean": 12.25, "n": 60, "min": 11.0, "max": 14.5, "sum": 735, "sq": 9120,
             "origin": 12, "step": 0.1, "quality": {"good": 60}}  # fmt: skip
    points = {"pm2_5": gauge, "pm10": gauge, "temperature": gauge, "humidity": gauge}
    body = {"covered_s": 60.0, "points": points, "committed_ns": mono_ns}
    return Draft(Stream.AIR, "live", mono_ns - 60_000_000_000, mono_ns, body)


async def live(writer: AsyncOutbox, sender: Sender, clock: SystemClock, every_s: float) -> None:
    """Goes on until it is cancelled."""
    due_ns = clock.now().mono_ns
    while True:
        now = clock.now()
        rows = await writer.commit(
            [summary(now.mono_ns)], clock=Stamp(now.mono_ns, now.wall_ns, NTP)
        )
        sender.offer(rows, now.mono_ns)
        due_ns = max(due_ns + int(every_s * 1e9), now.mono_ns)
        await clock.sleep_until(due_ns)


async def main(words: dict[str, Any]) -> None:
    """Until it is killed."""
    clock = SystemClock()
    writer = await AsyncOutbox.start(
        Path(words["folder"]), limit_bytes=256 << 20, boot_id="b", run_dir=Path(words["run"]),
        merge=merge_bodies, ballast_bytes=0,
        on_rows=lambda rows: sender.offer(rows, clock.now().mono_ns),
    )  # fmt: skip
    receipt_s, per_s = words["receipt_s"], words["per_s"]
    usual = SenderOptions(receipt_s=receipt_s)
    sender = Sender(
        [make_broker(f"mqtt://127.0.0.1:{words['port']}", GW)],
        Topics("kerbstone/v1", "bench", GW),
        GW,
        writer,
        clock,
        boot=writer.epoch.boot,
        epoch=writer.epoch.epoch,
        options=usual if per_s is None else SenderOptions(receipt_s=receipt_s, backlog_per_s=per_s),
        hooks=SenderHooks(
            status=lambda: {"epoch": writer.epoch.epoch},
            meta=lambda: {"devices": {}},
            alarm=lambda kind, text: print(kind, text, file=sys.stderr, flush=True),
        ),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(sender.run())
        if words["live_s"]:
            group.create_task(live(writer, sender, clock, words["live_s"]))
        while True:
            counts = sender.counts
            print(
                json.dumps(
                    {
                        "at_ns": time.monotonic_ns(),
                        "confirmed": counts.confirmed,
                        "backfilled": counts.sent_backfilled,
                        "redelivered": counts.sent_redelivered,
                        "cpu_s": time.process_time(),
                    }
                ),
                flush=True,
            )
            await clock.sleep_until(clock.now().mono_ns + int(REPORT_S * 1e9))
            # as a daemon does each minute: what is confirmed leaves, with all that rides along
            if not words["live_s"]:
                rows = await writer.commit(())
                sender.offer(rows, clock.now().mono_ns)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
