"""`kerbstone doctor`: what is wrong with each bus and each device, from the wires themselves or,
while the daemon works on them, from what it knows and what can be looked at beside it.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from drivers.scan.found import StoppedError
from edge.config import Bay, Device, Lane, Site
from edge.control.locks import BusLock
from edge.core.signalevent import SignalEvent
from edge.diagnose.activechecks import examine_bus
from edge.diagnose.exam import Exam, ExamFinding

LIMIT_S: Final = 240.0  # of all of it; then what was found so far is reported
ENDED_EARLY: Final = "ended early"  # by Ctrl-C
LOOK_S: Final = 0.1  # between two looks at how far it is
JOIN_S: Final = 2.0  # for a step to end when somebody has seen enough


def make_exams(site: Site, words: Sequence[str]) -> list[Exam]:
    """The buses that these names mean, each with devices, lanes and bays; all without a name.

    Raises ValueError for a name that the configuration has not.
    """
    things: dict[str, Device | Lane | Bay] = {**site.devices, **site.lanes, **site.bays}
    for word in words:
        if word not in site.buses and word not in things:
            known = ", ".join([*site.buses, *things]) or "none"
            raise ValueError(f"no bus, device, lane or bay is called {word!r}; there are {known}")
    found = []
    for bus in site.buses:
        names = [
            name
            for name, thing in things.items()
            if thing.bus == bus and (not words or bus in words or name in words)
        ]
        if not words or bus in words or names:
            found.append(Exam(site, bus, tuple(names)))
    return found


class Doctor:
    """Looks at all buses at once, a thread each; what it finds is in the exams."""

    def __init__(self, exams: Sequence[Exam], limit_s: float = LIMIT_S) -> None:
        self.exams = exams
        self.error: BaseException | None = None
        self._limit_s = limit_s
        self._stop, self._ended = SignalEvent(), SignalEvent()
        self._open = len(exams)
        self._lock = threading.Lock()
        self._start_s = time.monotonic()

    def run(self, watch: Callable[[], None]) -> str:
        """Look; `watch` is called now and then. Says why it ended before its time, "" if not."""
        threads = [
            threading.Thread(target=self._look, args=(one,), name=one.bus, daemon=True)
            for one in self.exams
        ]
        why = ""
        try:
            for thread in threads:
                thread.start()
            # never with join: Python 3.11 takes a thread for ended whose join was interrupted
            while threads and not self._ended.wait(LOOK_S):
                watch()
                if self.took_s > self._limit_s:
                    why = f"ended after {self._limit_s:g} s"
                    break
        except KeyboardInterrupt:
            why = ENDED_EARLY
        if why:
            self._stop.set()
            with contextlib.suppress(KeyboardInterrupt):  # he cannot wait for the step to end
                self._ended.wait(JOIN_S)
        if self.error is not None:
            raise self.error
        return why

    @property
    def took_s(self) -> float:
        """Since it began."""
        return time.monotonic() - self._start_s

    def findings(self) -> list[ExamFinding]:
        """All that was found so far."""
        return [finding for one in self.exams for finding in one.findings()]

    def _look(self, exam: Exam) -> None:
        def tick(step: str) -> None:
            if self._stop.is_set():
                raise StoppedError
            exam.step = step

        try:
            with _holding_lock(exam):
                if not exam.refused:
                    asyncio.run(examine_bus(exam, tick))
            exam.finished = True
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001  a fault of ours: the command ends with it
            self.error = error
        with self._lock:
            self._open -= 1
            if not self._open:
                self._ended.set()


@contextlib.contextmanager
def _holding_lock(exam: Exam) -> Iterator[None]:
    """The bus's lock. Says in `refused` why it cannot be had."""
    lock = BusLock(Path(exam.site.store.run_dir), exam.bus)
    try:
        if not lock.take():
            exam.refused = "another process uses it; try again when that process has ended"
    except OSError as error:
        exam.refused = f"no access to its lock ({error}); use sudo, or join the group kerbstone"
    try:
        yield
    finally:
        lock.release()
