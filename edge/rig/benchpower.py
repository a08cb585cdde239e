"""The supply of a box on a bench: a relay in it, or commands that switch it."""

import shlex
import subprocess
from typing import Final

from drivers.buses.gpiolines import DrivenLine
from edge.rig.benchfile import BenchPower
from edge.rig.layer import LayerError

COMMAND_S: Final = 30.0


class BoxSupply:
    """Cut and given back. `close` gives it back, always."""

    def __init__(self, power: BenchPower) -> None:
        """Raises LayerError for a line that cannot be had."""
        self._power = power
        self._line: DrivenLine | None = None
        self._is_cut = False
        if power.chip is not None and power.line is not None:
            try:
                self._line = DrivenLine(power.chip, power.line, inverted=power.inverted)
            except OSError as error:
                raise LayerError(
                    f"power: {power.chip} {power.line}: {error.strerror or error}"
                ) from error

    @property
    def off_s(self) -> float:
        """So long a cut lasts."""
        return self._power.off_s

    def cut(self, is_cut: bool) -> None:
        """Raises LayerError if it cannot be switched."""
        self._is_cut = is_cut
        try:
            if self._line is not None:
                self._line.set(is_cut)
            else:
                _run(self._power.off_command if is_cut else self._power.on_command)
        except OSError as error:
            raise LayerError(f"power: {error.strerror or error}") from error

    def close(self) -> None:
        if self._is_cut:
            self.cut(False)
        if self._line is not None:
            self._line.close()


def _run(command: str | None) -> None:
    try:
        subprocess.run(shlex.split(command or ""), check=True, timeout=COMMAND_S,
                       capture_output=True)  # fmt: skip
    except (subprocess.SubprocessError, ValueError) as error:
        raise LayerError(f"power: {command}: {error}") from error
