"""The faults of a schedule, done to a world while time passes."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence

from edge.rig.brokerlink import LinkFault
from tests.oracle.schedule import Fault, Kind
from tests.oracle.world import FAKETIME, OracleRun

TICK_S = 0.05
SLOW_KBITS = 16.0


def possible(world: OracleRun) -> tuple[list[Kind], dict[str, str]]:
    """What can be injected here; and what cannot, with the reason."""
    kinds: list[Kind] = [
        "broker_kill", "reset", "hole", "slow", "daemon_kill", "daemon_stop", "power_cut",
        "platform_kill",
    ]  # fmt: skip
    skipped = {
        "disk_read_only": "a mount is not made read-only while a file is open for writing",
        "power_cut_in_memory": "see schedule.py: totals on disk are older than what was delivered",
    }
    if world.disk:
        kinds.append("disk_full")
    else:
        skipped["disk_full"] = "no right to mount a small disk here"
    if FAKETIME is not None:
        kinds.append("clock_step")
    else:
        skipped["clock_step"] = "libfaketime is not here: apt install faketime"
    return kinds, skipped


class Injector:
    """Plays a schedule; `done` counts what was injected, `last_ns` is when the last one ended."""

    def __init__(
        self, world: OracleRun, faults: Sequence[Fault], report: Callable[[str], None]
    ) -> None:
        self._world, self._report = world, report
        steps: list[tuple[float, int, bool, Fault]] = []
        for number, fault in enumerate(faults):
            steps.append((fault.at_s, number, True, fault))
            steps.append((fault.end_s, number, False, fault))
        self._steps = sorted(steps, key=lambda step: (step[0], step[1], not step[2]))
        self._boots, self._filling = 1, False
        self.done: Counter[Kind] = Counter()
        self.last_ns = 0

    def play(self, seconds: float) -> None:
        """For so long; whoever ends by himself meanwhile is started again."""
        begin, world = time.monotonic(), self._world
        while (now_s := time.monotonic() - begin) < seconds or self._steps:
            while self._steps and self._steps[0][0] <= now_s:
                at_s, _, begins, fault = self._steps.pop(0)
                what = "begins" if begins else "ends"
                if begins or fault.lasts_s:
                    self._report(f"{now_s:7.1f} s (planned {at_s:.1f}): {fault.kind} {what}")
                (self._begin if begins else self._end)(fault)
                self.last_ns = time.monotonic_ns()
            if self._filling:
                world.fill()
            world.daemon.watch()
            world.platform.watch()
            time.sleep(TICK_S)

    def _begin(self, fault: Fault) -> None:
        world = self._world
        self.done[fault.kind] += 1
        match fault.kind:
            case "broker_kill":
                world.broker.kill()
            case "reset":
                world.proxy.reset()
            case "hole":
                world.proxy.set(LinkFault("black_hole"))
            case "slow":
                world.proxy.set(LinkFault("bandwidth", SLOW_KBITS))
            case "disk_full":
                self._filling = True
            case "daemon_kill":
                world.daemon.kill()
            case "daemon_stop":
                world.daemon.send(signal.SIGSTOP)
            case "power_cut":
                self._boots += 1
                world.cut_power(self._boots)
            case "platform_kill":
                world.platform.kill()
            case "clock_step":
                world.set_wall(fault.shift_s)

    def _end(self, fault: Fault) -> None:
        world = self._world
        match fault.kind:
            case "broker_kill":
                world.broker.start()
            case "hole" | "slow":
                world.proxy.set(LinkFault("fine"))
            case "disk_full":
                self._filling = False
                world.free()
            case "daemon_kill" | "power_cut":
                world.daemon.start()
            case "daemon_stop":
                world.daemon.send(signal.SIGCONT)
            case "platform_kill":
                world.platform.start()
            case "reset" | "clock_step":
                pass
