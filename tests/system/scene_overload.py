"""A site that asks for more than a box can do, and somebody who counts what was made."""

import json
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import msgpack

from drivers.sim.gpio import SimChip
from tests.bench.rig import TABLES, BenchSubscriber, forget_folders, write_site
from tests.kit.process import MeasuredProgram, quiet_broker

BUSES: Final = 4
EACH: Final = 25  # devices of a bus
EVERY_S: Final = 0.01  # ten thousand questions a second
SLOW: Final = [f"pulse{n}" for n in range(8)]
FAST: Final = "fast"  # more edges in a stop than the kernel's buffer holds
HZ: Final = 5.0  # pulses of a slow line
FAST_HZ: Final = 16.0
"""As fast as pulses may be: at least 30 ms long, and as far apart (EN 62053-31). What is closer is
chatter, and does not count (`tests/process/test_chattercheck.py`)."""
PERIOD_S: Final = 2
STARTED_S: Final = 120.0  # at most
IMP_PER_KWH: Final = 1000


class Overloaded:
    """The running site. `made` counts the pulses of each line."""

    def __init__(self, chip: SimChip, daemon: MeasuredProgram, listener: BenchSubscriber) -> None:
        self.daemon, self._chip, self._listener = daemon, chip, listener
        self.made: Counter[str] = Counter()
        self._high = dict.fromkeys((*SLOW, FAST), True)
        self._due = dict.fromkeys(self._high, 0.0)

    def drive(self, seconds: float) -> None:
        """Pulses for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._turn()

    def stop(self, edges: int) -> None:
        """SIGSTOP until the fast line has made so many edges."""
        self.daemon.send(signal.SIGSTOP)
        until = self.made[FAST] + edges // 2
        while self.made[FAST] < until:
            self._turn()
        self.daemon.send(signal.SIGCONT)

    def end(self) -> None:
        """Each pulse that was begun ends, and not before its time: a short one would be chatter."""
        while begun := [line for line, high in self._high.items() if not high]:
            for line in begun:
                if time.monotonic() >= self._due[line]:
                    self._toggle(line)
            time.sleep(0.001)

    def _turn(self) -> None:
        now = time.monotonic()
        for line, due in self._due.items():
            if now >= due:
                self._toggle(line)
        time.sleep(0.001)

    def _toggle(self, line: str) -> None:
        """With the moment at which it comes, as the kernel stamps it; the next one follows after
        half a period from there, so that a busy machine makes no chatter."""
        self._high[line] = high = not self._high[line]
        at_ns = time.monotonic_ns()
        self._chip.drive(line, high, at_ns)
        self._due[line] = at_ns / 1e9 + 0.5 / (FAST_HZ if line == FAST else HZ)
        self.made[line] += not high

    def records(self) -> list[dict[str, Any]]:
        """What has come to the broker so far, without retained copies."""
        return [
            msgpack.unpackb(each.payload) if each.payload[:1] != b"{" else json.loads(each.payload)
            for each in self._listener.heard()
            if "/up/energy/" in each.topic or "/up/event/" in each.topic
        ]

    def reported(self, records: Sequence[dict[str, Any]]) -> Counter[str]:
        """Pulses of each line in records."""
        found: Counter[str] = Counter()
        for each in records:
            if each["source"] in self.made and "points" in each:
                delta = each["points"]["energy_import"]["delta"]
                found[each["source"]] += round((delta or 0) * IMP_PER_KWH)
        return found

    def wait_reported(self, timeout_s: float) -> list[dict[str, Any]]:
        """Until each pulse is in a record and the overload, which has to last, in an event; or the
        time is over."""
        end = time.monotonic() + timeout_s
        while True:
            found = self.records()
            overload = any(each.get("event") == "overload" for each in found)
            if (overload and self.reported(found) == self.made) or time.monotonic() > end:
                return found
            self.daemon.alive()
            time.sleep(1.0)


@contextmanager
def overloaded(folder: Path) -> Iterator[Overloaded]:
    """Running, its lines open."""
    lines = [*SLOW, FAST]
    with ExitStack() as stack:
        stack.callback(forget_folders)
        broker = stack.enter_context(quiet_broker(folder))
        chip = stack.enter_context(SimChip(lines, folder / "chip.sock"))
        parts = [f'[bus.lines]\nkind = "gpio"\nchip = "sim:{folder / "chip.sock"}"\n']
        for bus in range(BUSES):
            meters = stack.enter_context(
                MeasuredProgram(folder / f"meters{bus}.log", "tests.bench.meters",
                        TABLES / "meter10.toml", EACH)
            )  # fmt: skip
            parts.append(
                f'[bus.m{bus}]\nkind = "modbus-tcp"\nhost = "127.0.0.1"\n'
                f"port = {meters.said()['port']}\ntimeout_s = 2.0\n"
            )
            parts += [
                f'[device.d{bus}_{unit}]\ndriver = "meter10"\nbus = "m{bus}"\nunit = {unit}\n'
                f"every_s = {EVERY_S}\n"
                for unit in range(1, EACH + 1)
            ]
        parts += [
            f'[device.{line}]\ndriver = "s0"\nbus = "lines"\nline = "{line}"\n'
            f"imp_per_kwh = {IMP_PER_KWH}\ndebounce_s = 0.0\n"
            for line in lines
        ]
        site, _ = write_site(folder, broker.port, *parts, period_s=PERIOD_S, raw="false")
        listener = BenchSubscriber(folder, broker.port)
        stack.enter_context(listener.program)
        listener.program.said()
        for line in lines:
            chip.drive(line, True, time.monotonic_ns())  # at rest
        daemon = stack.enter_context(
            MeasuredProgram(folder / "ours.log", "tests.bench.launch", "run", site)
        )
        assert chip.wait_requested(lines, STARTED_S)
        time.sleep(1.0)
        yield Overloaded(chip, daemon, listener)
