"""One decoder under fire: its recorded conversations, injured, through `explain` and the driver."""

import asyncio
import math
from collections.abc import Iterator
from random import Random
from typing import Any, cast

import drivers
from drivers.meters.register_map import list_maps
from edge.core import Bad, BusError, DataError, Polled, Sample, UncertainValue
from tests.drivers import bench
from tests.fuzz.mutate import mutated
from tests.fuzz.wires import FuzzedBus

TABLES = "tables"  # one interpreter reads all tables of registers, so it is one decoder


LENGTH = 2  # bytes in front of each frame of a packed conversation


def packed(frames: list[bytes]) -> bytes:
    """A conversation as one input."""
    return b"".join(len(frame).to_bytes(LENGTH) + frame for frame in frames)


def unpacked(data: bytes) -> list[bytes]:
    """Any bytes as a conversation."""
    frames: list[bytes] = []
    while data and len(frames) < 64:
        size = int.from_bytes(data[:LENGTH])
        frames.append(data[LENGTH : LENGTH + size])
        data = data[LENGTH + size :]
    return frames


def decoders() -> list[str]:
    """What can be put under fire."""
    polled = [name for name in drivers.names() if drivers.spec(name).wiring != "gpio"]
    return [*(name for name in polled if name not in list_maps()), TABLES]


class Target:
    """`shoot(random)` makes one attack; what comes out is an error of ours, or values in range."""

    def __init__(self, decoder: str, random: Random) -> None:
        names = sorted(list_maps()) if decoder == TABLES else [decoder]
        self.random, self.loop = random, asyncio.new_event_loop()
        self.attacks: list[tuple[str, list[bytes], Polled]] = []
        for name in names:
            for case in bench.cases(name):
                _, wire = bench.build(name, case)
                device = drivers.build(
                    name, FuzzedBus(wire.replies, random), bench.options(name, case)
                )
                self.attacks.append((name, wire.frames(), cast(Polled, device)))

    def close(self) -> None:
        """No more attacks."""
        self.loop.close()

    def shoot(self) -> None:
        """One injured conversation to explain, or one reading over an injured wire."""
        name, frames, device = self.random.choice(self.attacks)
        if self.random.random() < 0.5:
            self._explain(name, frames)
        else:
            self._read(device)

    def corpus(self) -> Iterator[tuple[int, list[bytes]]]:
        """What `explain` may begin with: each recorded conversation, and the number of it."""
        for number, (_, frames, _) in enumerate(self.attacks):
            yield number, frames

    def explain(self, pick: int, frames: list[bytes]) -> None:
        """These frames, for who has better ideas (atheris); `pick` is whose they are to be."""
        self._said(self.attacks[pick % len(self.attacks)][0], frames)

    def _explain(self, name: str, frames: list[bytes]) -> None:
        injured = list(frames)
        place = self.random.randrange(len(injured))
        injured[place] = mutated(injured[place], frames, self.random)
        if self.random.random() < 0.1:
            del injured[self.random.randrange(len(injured))]
        self._said(name, injured)

    def _said(self, name: str, frames: list[bytes]) -> None:
        try:
            said = drivers.explain(name, frames)
        except DataError:
            return
        for sample, _ in said.values():
            _value(sample)

    def _read(self, device: Polled) -> None:
        try:
            if self.random.random() < 0.2:
                self.loop.run_until_complete(device.open())
            samples = self.loop.run_until_complete(device.read())
        except (DataError, BusError):
            return
        for point, sample in zip(device.points, samples, strict=True):
            value: Any = _value(sample)
            if value is not None:
                assert point.low <= value <= point.high, (point.key, value)


def _value(sample: Sample) -> float | int | None:
    value = sample.value if isinstance(sample, UncertainValue) else sample
    if isinstance(value, Bad):
        return None
    assert isinstance(value, float | int)
    assert math.isfinite(value)
    return value
