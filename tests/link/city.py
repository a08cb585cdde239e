"""A box whose daemon, bus and kernel are told what to say, in virtual time; it may be rebooted."""

import json
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.config.model.link import Link as Options
from edge.control.protocol import VerbError
from edge.link.daemonclient import DaemonClient
from edge.link.dbus import DBusError
from edge.link.ladder import RecoveryLadder
from edge.link.linkstate import LinkStateFile
from edge.link.linkwatch import LOOK_S, LinkWatch, WatchParts, available_steps
from edge.link.modempower import ModemPower
from edge.link.profile import UUID
from edge.link.statusled import StatusLed
from tests.kit.clock import JumpingClock
from tests.link.net import Net

NM = "org.freedesktop.NetworkManager"
NOVEMBER_S = 1_795_687_200
DAY_S = 86_400
MB = 1_000_000
MEMORY = Path("/dev/shm")


class LinkSurroundings:
    """Everything around the watch. The box may be rebooted: the disk stays, /run goes."""

    def __init__(self, folder: Path, kind: str = "cellular", **options: Any) -> None:
        self.kind, self.options = kind, Options(**options)
        # all of it is in memory: a disk takes half a millisecond for each look of a virtual week,
        # and several for each time that the link state is saved
        place = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else folder))
        weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        self.folder, self.run = folder, run = place / "disk", place / "run"
        run.mkdir()
        self.net = Net(folder / "net")
        self.net.interface("wwan0")
        self.broker: bool | None = True
        self.faults = 0
        self.tq = "ntp"
        self.wall_s: float = NOVEMBER_S
        self.daemon_runs = True
        self.verbs: set[str] = {"link_facts", "data_saver", "link_step"}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.active = True
        self.faulty: set[str] = set()
        self.done: list[str] = []
        self.boots = 0
        self.supply: ModemPower | None = None
        self.status_led: StatusLed | None = None
        self.boot()

    @property
    def mono_s(self) -> float:
        return self.clock.mono_ns / 1e9

    def boot(self) -> None:
        self.boots += 1
        self.clock = JumpingClock(15_000_000_000)
        parts = WatchParts(
            options=self.options,
            kind=self.kind,
            ladder=RecoveryLadder(available_steps(self.options, self.kind, self.supply)),
            state_file=LinkStateFile(self.folder / "link_state", f"boot-{self.boots}", self.clock),
            daemon=DaemonClient(self.folder, self._ask),
            bus=self,
            state=self.run / "state.json",
            modem_power=self.supply,
            status_led=self.status_led,
            commissioned=(self.folder / "commissioned",),
            net=self.net.folder,
        )
        self.watch = LinkWatch(parts)

    def live(self, seconds: float, each: Callable[[], None] = lambda: None) -> Sequence[str]:
        """What was done in this time. A reboot that was ordered happens."""
        before, end_s = len(self.done), self.mono_s + seconds
        while self.mono_s < end_s:
            self.clock.passes(LOOK_S)
            self.wall_s += LOOK_S
            each()
            reboots = self.done.count("Reboot")
            self.watch.look(self.mono_s)
            if self.done.count("Reboot") > reboots:
                end_s -= self.mono_s
                self.boot()
                end_s += self.mono_s
        return self.done[before:]

    def older(self, seconds: float) -> None:
        """As if it had lived so long, and nothing had happened."""
        self.watch.state.age_s += seconds

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run / "state.json").read_text())
        return found

    def reported(self, verb: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.asked if name == verb]

    def call(
        self, to: str, path: str, method: str, signature: str = "", *arguments: Any
    ) -> tuple[Any, ...]:
        name = method.rpartition(".")[2]
        if name in self.faulty or to in self.faulty:
            raise DBusError(f"{name}: refused")
        match name, arguments:
            case "Get", (_, "ActiveConnections"):
                return (("ao", ["/active/1"] if self.active else []),)
            case "Get", (_, "Uuid"):
                return (("s", UUID),)
            case "Get", (_, "State"):
                return (("u", 2),)
            case "GetConnectionByUuid", _:
                return ("/profile/1",)
            case "GetManagedObjects", _:
                return ({"/modem/0": {"org.freedesktop.ModemManager1.Modem": {}}},)
        self.done.append(name)
        return ()

    def _ask(self, folder: Path, verb: str, **arguments: Any) -> dict[str, Any] | None:
        if not self.daemon_runs:
            return None
        if verb not in self.verbs:
            raise VerbError(
                f'Unknown command "{verb}". Known commands: {", ".join(sorted(self.verbs))}.'
            )
        self.asked.append((verb, arguments))
        if verb != "link_facts":
            return {}
        clock = {"tq": self.tq, "wall_s": self.wall_s}
        return {"connected": self.broker, "faults": self.faults, **clock}
