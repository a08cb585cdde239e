"""A bench on one machine: its chip and that of the box are simulated, and a thread is the wires."""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from drivers.sim.gpio import SimChip

STEP_S = 0.002


class Wires:
    """From lines of the bench to lines that they lead to; each at the level that its part makes.

    `pulls`: the part is on at a high level, and closes the other line to ground; the pull-up of the
    other side makes it high else.
    """

    def __init__(
        self, bench: SimChip, other: SimChip, wires: Mapping[str, Sequence[str]], *, pulls: bool
    ) -> None:
        self._bench, self._other, self._wires, self._pulls = bench, other, wires, pulls
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        before: dict[str, bool] = {}
        while not self._end.is_set():
            found: dict[str, bool] = {}
            for line, ends in self._wires.items():
                held = bool(self._bench.consumer(line)) and self._bench.level(line)
                for end in ends:
                    if self._pulls:
                        found[end] = found.get(end, True) and not held
                    else:
                        found[end] = found.get(end, False) or held
            for end, high in found.items():
                if before.get(end) is not high:
                    self._other.drive(end, high, time.monotonic_ns())
            before = found
            time.sleep(STEP_S)


def bench_text(chip: Path, listen: str, more: str = "") -> str:
    """Two loops of `tests.rig.scenes` by optocouplers, each read back."""
    return f"""
[bench]
name = "Desk 2"
site = "site.toml"
listen = "{listen}"

[[output]]
contact = "north_1"
chip = "sim:{chip}"
line = "OUT0"
circuit = "optocoupler"
back_chip = "sim:{chip}"
back_line = "BACK0"

[[output]]
contact = "north_1.trail"
chip = "sim:{chip}"
line = "OUT1"
circuit = "optocoupler"
back_chip = "sim:{chip}"
back_line = "BACK1"
{more}"""
