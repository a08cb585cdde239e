"""A long series through `kerbstone score`, as a pipe: how quick it is, and how much it keeps."""

import math
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.kit.process import ROOT

CHUNK = 5000  # rows that are written at once


@dataclass(frozen=True, slots=True)
class Scored:
    """Sizes of the process in memory, in KiB: after `first` rows, and the largest from there on."""

    rows: int
    first_kib: int
    most_kib: int
    rows_per_s: float

    @property
    def grown_kib(self) -> int:
        return self.most_kib - self.first_kib


def score(rows: int, first: int) -> Scored:
    """Feed `rows` rows, look at the memory each time CHUNK answers have come, `first` the first."""
    words = [sys.executable, "-W", "error", "-m", "edge.cli.main", "score", "-"]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        feeder = threading.Thread(target=_feed, args=(one.stdin, rows))
        feeder.start()
        answers, sizes, begin = 0, list[int](), 0.0
        for line in one.stdout:
            answers += not line.startswith(b"timestamp")
            if answers == 1 and not begin:
                begin = time.perf_counter()
            if answers >= first and not answers % CHUNK:
                sizes.append(rss_kib(one.pid))
        took_s = time.perf_counter() - begin
        feeder.join()
    assert one.returncode == 0
    assert answers == rows
    return Scored(rows, sizes[0], max(sizes), rows / took_s)


def _feed(out: IO[bytes], rows: int) -> None:
    with out:
        out.write(b"timestamp,value\n")
        for begin in range(0, rows, CHUNK):
            made = (f"{n},{value(n)}\n" for n in range(begin, min(rows, begin + CHUNK)))
            out.write("".join(made).encode())


def value(n: int) -> str:
    """Waves, a spike now and then, a step, and what is missing: all that a series has."""
    if n % 997 == 0:
        return ""
    level = 10 + 3 * (n // 20_000 % 3) + math.sin(n / 50) + 0.2 * math.sin(n * 1.7)
    return f"{level + (30 if n % 1499 == 0 else 0):.3f}"


def rss_kib(pid: int) -> int:
    """VmRSS of a process; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(r.split()[1]) for r in text.splitlines() if r.startswith("VmRSS:")), 0)
