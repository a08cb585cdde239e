"""What a layer is: one way to have a box under test and wires that the rig drives.

`edge.rig.runner` lets a scenario run on any of them. A layer opens everything that the box needs,
starts it, and stamps what happens with the rig's clock: real seconds, or virtual ones on `sim`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol, runtime_checkable

from edge.core import ConfigError
from edge.rig.runlog import Driven, Evidence, Heard, Seen, Stall
from edge.rig.scenario import Fault, LayerName, Scenario, Vehicle

NO_BOUND_S: Final = 1e9  # 30 years: JSON has no infinity


class LayerError(Exception):
    """The rig cannot do it: a program is missing, a port is used, the box did not start. The text
    says what, where, and what to do."""


class NotHereError(LayerError):
    """The rig is sound, and lacks something here: a program, a right, a box that it has started."""


class Layer(Protocol):
    """Opened by its constructor's caller with `open`, closed always. No call blocks for longer than
    it says."""

    name: LayerName
    box: str
    """The command or address of the box under test, and its version where it says one."""

    def open(self, scenario: Scenario) -> None:
        """Wires, broker and box are there, and the box reads: t_s = 0. Raises LayerError."""

    def close(self) -> None:
        """Everything ends. Always safe."""

    def now_s(self) -> float:
        """Seconds since `open` was done."""

    def run_until(self, t_s: float) -> None:
        """Let time pass up to then. Ends early when the box has ended by itself."""

    def begin_fault(self, fault: Fault) -> None:
        """From now on. Raises LayerError for one that this layer cannot do."""

    def end_fault(self, fault: Fault) -> None:
        """It heals. For a kind that is over at once, nothing is left to do."""

    def evidence(self, fault: Fault) -> tuple[int, Sequence[Evidence]]:
        """What has gone through since it began, and what the rig saw go wrong by it."""

    def look(self) -> Seen:
        """What the box says of itself now."""

    def new_heard(self) -> list[Heard]:
        """What came since the last call, in the order in which it came."""

    def driven(self) -> list[Driven]:
        """All vehicles so far that have come onto the first loop."""

    def box_clock(self) -> tuple[float, float]:
        """How far the box's clock is ahead of the rig's, and how far off that may be, in seconds.

        (0, 0) where both have one clock; as long as nothing bounds it, the second is NO_BOUND_S.
        What `new_heard` gives has the box's times, as if its clock were right.
        """

    def failed(self) -> str:
        """Why the box is not there any more, where no fault has asked for that; "" otherwise."""


class DrivableLayer(Layer, Protocol):
    """One on which things happen of which no scenario has told: a test lets them."""

    def drive(self, vehicle: Vehicle) -> Driven:
        """Somebody comes at `at_s`, or as soon as those whom this has let come before are past the
        loops. Gives what will be true of him."""

    def set_value(self, device: str, point: str, value: float) -> None:
        """What a polled device measures, from now on."""


@runtime_checkable
class RealTime(Protocol):
    """A layer whose wires need a processor in time."""

    def stalls(self) -> Sequence[Stall]:
        """When the rig itself had none, since `open` was done."""


@contextlib.contextmanager
def opening(close: Callable[[], None]) -> Iterator[None]:
    """What fails while a layer opens is closed again. Raises LayerError for a file that is wrong,
    and for what the system refuses."""
    try:
        yield
    except ConfigError as error:
        close()
        raise LayerError(str(error)) from error
    except OSError as error:
        close()
        where = f" ({error.filename})" if error.filename else ""
        raise LayerError(f"{error.strerror or error}{where}") from error
    except BaseException:
        close()
        raise
