"""Killed while it downsamples or drops: each number is in a row, or declared, or never was."""

import subprocess
import sys
from pathlib import Path

from edge.core import Stream
from tests.kit.outbox import everything, kill
from tests.long import more, size
from tests.outbox.test_downsample import covered, opened

ROOT = Path(__file__).parents[2]
LIVE = """
import sys
from pathlib import Path
from tests.outbox.test_downsample import SOURCES, mark, minute, opened
outbox = opened(Path(sys.argv[1]), boot=sys.argv[2])
for number in range(int(sys.argv[3]), 1 << 30):
    outbox.commit([minute(number, source) for source in SOURCES], clock=mark(number))
    if outbox._handover.downsampler.rows or outbox._stats.dropped:
        print(number, flush=True)
"""


@more
def test_a_kill_while_it_downsamples_loses_no_number_and_doubles_none(tmp_path: Path) -> None:
    number = 0
    for turn in range(0, 6, size(2, 1)):
        process = subprocess.Popen(
            [sys.executable, "-c", LIVE, str(tmp_path), f"b{turn}", str(number)],
            stdout=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert process.stdout is not None
        for _ in range(1 + 23 * turn):  # it downsamples now, or has done so a few commits ago
            number = int(process.stdout.readline())
        process.kill()
        said = [int(line) for line in process.stdout.read().split()]
        number = (said or [number])[-1] + 5
        process.stdout.close()
        process.wait()

        outbox = opened(tmp_path, boot=f"b{turn}")
        assert outbox.opened.damage is None
        rows = everything(outbox)
        assert outbox.counts().rows == len(rows)
        for epoch in {s.record.key.epoch for s in rows}:
            for stream in (Stream.AIR, Stream.ENERGY):
                mine = [
                    s for s in rows if (s.record.key.epoch, s.record.key.stream) == (epoch, stream)
                ]
                numbers = sorted(n for s in mine for n in covered(s))
                drop = outbox._losses.pending.get((epoch, stream, "full"))
                lost = drop.count if drop is not None else 0
                assert numbers == sorted(set(numbers))
                assert not numbers or len(numbers) + (lost or 0) == numbers[-1]
        kill(outbox)
