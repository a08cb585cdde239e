"""A week without network, made once: what the benchmarks of it and its drain share."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.model import Store
from edge.outbox import OutboxCounts
from edge.outbox.outbox import Outbox
from edge.process.merge import merge_bodies
from tests.kit.virtualgateway import S, lived
from tests.week.offline import Account, Again, Fed, account

MINUTES: Final = 7 * 1440
ASKED: Final = 1440  # minutes: after a day it is asked how long its room lasts
LIMIT: Final = Store().limit_mb << 20


@dataclass(frozen=True, slots=True)
class Week:
    """`folder` holds the outbox as it was left; the rest is what was counted."""

    folder: Path
    fed: Fed
    counts: OutboxCounts
    found: Account
    foretold_s: float  # after a day: so long from the beginning on
    true_s: float  # as the week's size says
    downsampled_s: float  # as above, with downsampling
    took_s: float


def week(folder: Path, minutes: int = MINUTES) -> Week:
    """Commit it all, check that every number is there, and leave the outbox as a power cut would
    find it."""
    begin_s = time.perf_counter()
    hour = lived(60, models=True)
    outbox = Outbox.open(
        folder, limit_bytes=LIMIT, boot_id="b", merge=merge_bodies, ballast_bytes=0
    )
    outbox.begin()
    fed, foretold_s, downsampled_s = Fed(), 0.0, 0.0
    for commit in Again(hour):
        fed.take(outbox, commit)
        if fed.minutes == ASKED and not foretold_s:
            counts = outbox.counts()
            foretold_s = ASKED * 60 + (counts.forecast_s or 0)
            downsampled_s = ASKED * 60 + (counts.forecast_downsampled_s or 0)
        if fed.minutes == minutes:
            break
    took_s = time.perf_counter() - begin_s
    counts = outbox.counts()
    found = account(outbox, commit.at_ns + S)
    found.check(fed)
    outbox.close()
    true_s = minutes * 60 * LIMIT / (counts.size - counts.wal)
    return Week(folder, fed, counts, found, foretold_s, true_s, downsampled_s, took_s)
