"""From what came in to what goes out: an engine and the judge that it asks. Opens nothing, so that
the daemon, `replay` and the demo's warm-up run the very same code."""

from collections.abc import Sequence

from edge.infer.judge import Judge
from edge.process.engine import Engine
from edge.process.enginesetup import DeviceSetup, EngineSetup


class Pipeline:
    """Of a site. What comes in is given to the engine, which closes windows; models judge them."""

    def __init__(self, setup: EngineSetup, judge: Judge) -> None:
        self.engine, self.judge = Engine(setup, judge), judge
        self._asked_for = False
        self.loaded = False  # models answer, or have failed to

    def load(self) -> None:
        """Load the models, once; until then their rules answer."""
        if not self._asked_for:
            self._asked_for = True
            self.judge.load()
            self.loaded = True

    def change_devices(self, devices: Sequence[DeviceSetup]) -> None:
        """These are polled from now on; right after a close. Raises ValueError."""
        self.engine.change_devices(devices)
        self.judge.devices_changed()

    def lost(self, from_ns: int, to_ns: int) -> None:
        """Nobody listened in between."""
        self.engine.mark_gap(from_ns, to_ns)
        self.judge.missing(from_ns, to_ns)
