"""`make fuzz`: a million injured frames for each decoder, and what they cost in memory.

Each decoder has a process of its own. It ends with 1 if a decoder raised what it must not, or if
its process grew by 5 MB or more after the first tenth.
"""

import argparse
import os
import sys
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random

from tests.fuzz.target import Target, decoders

GROWTH_MB = 5.0


@dataclass
class Fired:
    """What became of one decoder."""

    decoder: str
    frames: int
    seconds: float
    grown_mb: float
    error: str = ""

    @property
    def fine(self) -> bool:
        return not self.error and self.grown_mb < GROWTH_MB

    def __str__(self) -> str:
        rate = self.frames / self.seconds if self.seconds else 0
        text = f"{self.decoder:16} {self.frames:9,} frames {rate:9,.0f}/s  {self.grown_mb:+6.2f} MB"
        return f"{text}  {'ok' if self.fine else 'FAILED'}"


def fire(decoder: str, frames: int, seed: int) -> Fired:
    """All attacks on one decoder; the seed of a failure is told."""
    random = Random(f"{seed} {decoder}")
    with closing(Target(decoder, random)) as target:
        return _fire(target, decoder, frames, seed)


def _fire(target: Target, decoder: str, frames: int, seed: int) -> Fired:
    started, base = time.monotonic(), 0.0
    for count in range(1, frames + 1):
        try:
            target.shoot()
        except Exception:  # noqa: BLE001  whatever it is, it is a finding
            text = f"{decoder}, frame {count} of seed {seed}:\n{traceback.format_exc()}"
            return Fired(decoder, count, time.monotonic() - started, 0.0, text)
        if count == max(1, frames // 10):
            base = resident_mb()
    return Fired(decoder, frames, time.monotonic() - started, resident_mb() - base)


def resident_mb() -> float:
    """What this process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("decoders", nargs="*", help="all of them if none is named")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    chosen = args.decoders or decoders()
    failed = []
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(fire, name, args.frames, args.seed) for name in chosen]
        for count, future in enumerate(as_completed(waiting), 1):
            fired = future.result()
            print(f"{count:3}/{len(chosen)}  {fired}", flush=True)
            if not fired.fine:
                failed.append(fired)
    for fired in failed:
        print(fired.error or f"{fired.decoder} grew by {fired.grown_mb:.2f} MB", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
