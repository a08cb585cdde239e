"""The outputs of a bench on a chip of the real kernel, and its self-test; prints JSON.

The wires between outputs and what is read back are this program: it looks at each output as
gpio-sim shows it, and pulls the other line as the part between them would.
"""

import json
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from drivers.buses.gpiolines import DrivenLine, OutputDrive, ReadLine
from edge.rig.benchfile import load_bench
from edge.rig.benchselftest import self_test
from tests.kernel.guest.bank import Bank

LINES = ("OUT0", "OUT1", "BACK0", "BACK1")
RIGHT: Mapping[str, Sequence[str]] = {"OUT0": ["BACK0"], "OUT1": ["BACK1"]}
CROSSED: Mapping[str, Sequence[str]] = {"OUT0": ["BACK1"], "OUT1": ["BACK0"]}
SITE = """
[site]
id = "s"
gateway = "gw-1"
[uplink]
url = "mqtt://192.168.7.1"
[bus.loops]
kind = "gpio"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "GPIO17"
trail = "GPIO27"
spacing_m = 4.0
"""
BENCH = """
[bench]
name = "a guest"
site = "site.toml"
listen = "mqtt://192.168.7.1:1883"
"""
OUTPUT = """
[[output]]
contact = "north_1.{role}"
chip = "{chip}"
line = "OUT{number}"
circuit = "{circuit}"
back_chip = "{chip}"
back_line = "BACK{number}"
"""


class GuestWires:
    """`low_level`: of an output, at which its part pulls the wires low; None: they follow it."""

    def __init__(
        self, bank: Bank, wires: Mapping[str, Sequence[str]], low_level: str | None
    ) -> None:
        self._bank, self._wires, self._low = bank, wires, low_level
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            for line, ends in self._wires.items():
                level = self._bank.level(line)
                high = level == "1" if self._low is None else level != self._low
                for end in ends:
                    self._bank.pull(end, high)
            time.sleep(0.002)


def driven(bank: Bank, drive: OutputDrive, *, inverted: bool = False) -> list[str]:
    """Level of the wire: when it is opened, on, off, with a pull-up on it."""
    bank.pull("OUT0", True)
    found = []
    with DrivenLine(bank.path, "OUT0", drive, inverted=inverted) as line:
        found.append(bank.level("OUT0"))
        for on in (True, False):
            line.set(on)
            found.append(bank.level("OUT0"))
    return found


def self_tested(
    bank: Bank, circuit: str, wires: Mapping[str, Sequence[str]], low: str | None
) -> list[tuple[str, str, str]]:
    """What the self-test says of each output. The pull-ups are those of the box."""
    for line in ("OUT0", "OUT1"):
        bank.pull(line, True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "site.toml").write_text(SITE)
        parts = (
            OUTPUT.format(role=role, chip=bank.path, number=number, circuit=circuit)
            for number, role in enumerate(("lead", "trail"))
        )
        (folder / "bench.toml").write_text(BENCH + "".join(parts))
        bench, _ = load_bench(folder / "bench.toml")
        with GuestWires(bank, wires, low):
            return [(row.name, row.verdict, row.text) for row in self_test(bench)]


def busy(bank: Bank) -> str:
    with DrivenLine(bank.path, "OUT0"):
        try:
            DrivenLine(bank.path, "OUT0")
        except OSError as error:
            return error.strerror or str(error)
    return ""


def read(bank: Bank) -> list[bool]:
    found = []
    with ReadLine(bank.path, "BACK0", "up") as line:
        for high in (True, False):
            bank.pull("BACK0", high)
            found.append(line.is_high())
    return found


def main() -> None:
    bank = Bank(LINES, "bench")
    try:
        print(json.dumps({
            "push_pull": driven(bank, "push_pull"),
            "inverted": driven(bank, "push_pull", inverted=True),
            "open_drain": driven(bank, "open_drain")[:2],
            "read": read(bank),
            "busy": busy(bank),
            "right": self_tested(bank, "optocoupler", RIGHT, "1"),
            "direct": self_tested(bank, "direct", RIGHT, None),
            "crossed": self_tested(bank, "optocoupler", CROSSED, "1"),
            "cut": self_tested(bank, "optocoupler", {}, "1"),
        }))  # fmt: skip
    finally:
        bank.close()


main()
