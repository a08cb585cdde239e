"""The lines of a bench: they take the place of the chip of a played cabinet.

A cabinet says what level a line of the box has from a moment on; the part between bench and box
says what the bench's own line does for that. Time is real: a line changes when it is called.
"""

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from drivers.buses.gpiolines import DrivenLine, OutputDrive
from edge.config import Site
from edge.rig.benchfile import PULLING, Bench, BenchOutput
from edge.rig.layer import LayerError
from edge.rig.recordedcontacts import contact_lines, loop_lines

NOWHERE: Final = Path("/dev/null")


def drive_of(output: BenchOutput) -> OutputDrive:
    """How the bench's own line has to be driven."""
    return "open_drain" if output.circuit == "open_drain" else "push_pull"


def is_on(output: BenchOutput, high: bool) -> bool:
    """Whether the part is on while the box is to see that level: one that pulls is on for low."""
    return high is (output.circuit not in PULLING)


class BenchOutputs:
    """All outputs of a bench file, by the name of the box's line. Opened by `open`, closed always.

    It has what a played cabinet uses of its chip: `drive`, `start`, `close`, `consumer`, `path`.
    """

    path = NOWHERE

    def __init__(self, bench: Bench, site: Site) -> None:
        lines = {one.source: line for line, one in (loop_lines(site) | contact_lines(site)).items()}
        self._outputs = {lines[name]: output for name, output in bench.outputs.items()}
        self._driven: dict[str, DrivenLine] = {}
        self._lock, self._stack = threading.Lock(), ExitStack()
        self._trouble = ""

    def open(self) -> Self:
        """Take all lines; each is off. Raises LayerError with the output that cannot be had."""
        for line, output in self._outputs.items():
            try:
                self._driven[line] = self._stack.enter_context(open_output(output))
            except OSError as error:
                self.close()
                raise LayerError(
                    f"output {output.contact}: {output.chip} {output.line}: "
                    f"{error.strerror or error}"
                ) from error
        return self

    def start(self) -> None:
        """They are open already: the cabinet drives them."""

    def close(self) -> None:
        """Every part is off, and the lines are given back. Always safe."""
        with self._lock:
            for line in self._driven.values():
                line.set(False)
            self._driven.clear()
            self._stack.close()

    def drive(self, line: str, high: bool, mono_ns: int) -> None:
        """The box sees this level from now on. A line without an output stays as it is."""
        with self._lock:
            driven = self._driven.get(line)
            if driven is None:
                return
            try:
                driven.set(is_on(self._outputs[line], high))
            except OSError as error:
                self._trouble = f"{line}: {error.strerror or error}"

    def consumer(self, line: str) -> str:
        """Nobody knows here whether the box has opened its line."""
        return ""

    @property
    def trouble(self) -> str:
        """What the last line said that could not be driven; "" for none."""
        return self._trouble


def open_output(output: BenchOutput) -> DrivenLine:
    """Raises OSError."""
    return DrivenLine(output.chip, output.line, drive_of(output), inverted=output.inverted)


def missing_outputs(bench: Bench, site: Site) -> Mapping[str, str]:
    """Contacts of the site without an output -> their lines: the bench cannot close them."""
    found = (loop_lines(site) | contact_lines(site)).items()
    return {one.source: line for line, one in found if one.source not in bench.outputs}
