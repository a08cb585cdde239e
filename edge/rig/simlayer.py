"""The layer `sim`: the daemon and its cabinet in this process, in virtual time.

The daemon is the real one, with its threads, drivers, outbox, uplink and files; so is the cabinet,
on its sockets and pseudo-terminals. Only what they wait with is other (`edge.rig.virtualcalls`): so
an hour passes as fast as the work in it is done, and one seed gives the same bytes each time.
Decision 79 says what follows from that.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec

import drivers
from drivers.sim.traffic import Flow
from edge.cabinet.cabinet import Cabinet, placed_site
from edge.cabinet.deskplaces import DeskPlace
from edge.cabinet.playedbus import keep_answers_whole
from edge.cabinet.playedlines import StreetWish
from edge.config import Bus, GpioBus, I2cBus, ModbusTcpBus, Site, load_site
from edge.core import ConfigError
from edge.core.release import RELEASED_NS, VERSION
from edge.rig.box import KerbstoneAdapter
from edge.rig.brokerlink import MODES, BrokerLink, LinkCounts, LinkFault
from edge.rig.faultcatalogue import SYSTEM, TargetKind, find_kind
from edge.rig.layer import LayerError
from edge.rig.runlog import Driven, Evidence, Heard, Seen
from edge.rig.scenario import Fault, LayerName, Scenario, Vehicle
from edge.rig.simbox import SimBox
from edge.rig.simbroker import SimBroker
from edge.rig.simmachine import machine_pairs, make_machine
from edge.rig.simwitness import BoxWitness
from edge.rig.streetplay import StreetPlay
from edge.rig.values import DeviceValues
from edge.rig.vehicles import passage_of
from edge.rig.virtualcalls import CALLS, replaced
from edge.rig.virtualtime import StandstillError, VirtualTime
from edge.rig.wirefaults import WireFaults

Said = TypeVar("Said", Heard, Evidence)
NS: Final = 1_000_000_000
MONO_0: Final = 1000 * NS  # the box has been up for so long
DAY_NS: Final = 86_400 * NS
WALL_0: Final = (RELEASED_NS // DAY_NS + 1) * DAY_NS + DAY_NS // 4  # the morning after the release
READY_S: Final = 120  # of virtual time, until the box reads
LOG_FILE: Final = "box.log"
LOG_LINE: Final = "%(t_s)10.3f s  %(levelname)s %(name)s: %(message)s"
HOST: Final = "127.0.0.1"
BROKER: Final = (HOST, 1883)  # behind the link
FIRST_PORT: Final = 5021  # of units behind TCP
FOLDER_SHOWN: Final = b"/box"
UPLINK: Final = ("broker", "link")
LINK_TEXTS: Final = {
    "refused": "connections were refused",
    "ended": "connections were cut",
    "swallowed": "pieces were swallowed",
    "delayed": "pieces came late",
}
"""Field of LinkCounts -> what the rig saw."""
NO_CREDENTIALS: Final[dict[str, Any]] = {
    "fallback": None, "proxy": None, "username": None, "password_file": None, "ca": None,
    "cert": None, "key": None,
}  # fmt: skip


class SimLayer:
    """A `Layer`. `folder` is for the box's files, and is used by this run alone.

    One is open at a time in a process. Threads of others are not touched.
    """

    name: LayerName = "sim"
    box = f"kerbstone {VERSION}, in this process"

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._stack = contextlib.ExitStack()
        self._zero_ns = MONO_0
        self._read = 0  # messages of the broker that were given to the caller
        self._begun: dict[str, tuple[int, LinkCounts]] = {}  # what had gone through before
        self._refused: dict[str, int] = {}  # messages that the broker had refused before
        self._healing: dict[str, contextlib.ExitStack] = {}
        self._witness, self._own = BoxWitness(), dict[str, tuple[Fault, float]]()

    def open(self, scenario: Scenario) -> None:
        with contextlib.ExitStack() as stack:
            try:
                self._open(scenario, stack)
            except (ConfigError, OSError, StandstillError) as error:
                raise LayerError(f"{scenario.about.site}: {error}") from error
            self._stack = stack.pop_all()

    def _open(self, scenario: Scenario, stack: contextlib.ExitStack) -> None:
        file = Path(scenario.file).parent / scenario.about.site
        original = load_site(file, drivers.catalogue())
        machine = self._folder / "machine"
        make_machine(machine, scenario.about.seed)
        self._world = world = VirtualTime(MONO_0, WALL_0, scenario.about.seed)
        stack.enter_context(self._logged(self._folder / LOG_FILE))
        stack.enter_context(replaced([*CALLS, *machine_pairs(machine)]))
        with world.conducted():
            self._broker = SimBroker(world, BROKER)
            self._link = BrokerLink(*BROKER, scenario.about.seed)
            for part in (self._broker, self._link):
                part.start()
                stack.callback(self._stopped, part.stop)
            site = sim_site(original, self._folder, self._link.port)
            self._values = DeviceValues(
                scenario, site.devices, lambda: (self._zero_ns - MONO_0) / NS
            )
            self._cabinet = Cabinet(
                site,
                street=StreetWish(Flow(0.0)),  # nobody comes but those of the scenario
                sources=self._values.sources,
                clock_ns=lambda: world.now_ns,
            )
            keep_answers_whole(self._cabinet.buses.values())  # each byte would cost a turn
            self._street = StreetPlay(scenario, self._cabinet)
            self._adapter = KerbstoneAdapter(site, self._folder / "run")
            self._box = SimBox(world, site, self._folder, machine)
            for each in (self._cabinet, self._box):
                each.start()
                stack.callback(self._stopped, each.stop)
            world.run_until(MONO_0 + READY_S * NS, lambda: self._box.is_ready or self._box.over)
        if not self._box.is_ready:
            why = self.failed() or "it waits for its wires or its broker"
            raise LayerError(f"the box is not ready after {READY_S} s: {why}")
        with world.conducted():
            self._zero_ns = world.now_ns
            self._street.begin(self._zero_ns)
        self._wires = WireFaults(self._cabinet, self._street, lambda: world.now_ns, self._zero_ns)

    def close(self) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def _logged(self, path: Path) -> Iterator[None]:
        """What the daemon says goes to a file, as on all layers, with the rig's time."""
        handler, root = logging.FileHandler(path), logging.getLogger()

        def timed(record: logging.LogRecord) -> bool:
            record.t_s = self._s(self._world.now_ns)
            return True

        handler.addFilter(timed)
        handler.setFormatter(logging.Formatter(LOG_LINE))
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
            handler.close()

    def now_s(self) -> float:
        return self._s(self._world.now_ns)

    def run_until(self, t_s: float) -> None:
        try:
            with self._world.conducted():
                self._world.run_until(self._zero_ns + round(t_s * NS), lambda: self._box.over)
        except StandstillError as error:
            raise LayerError(str(error)) from error

    def drive(self, vehicle: Vehicle) -> Driven:
        with self._world.conducted():
            return self._street.add(passage_of(vehicle))

    def set_value(self, device: str, point: str, value: float) -> None:
        self._values.set(device, point, value)

    def box_clock(self) -> tuple[float, float]:
        return 0.0, 0.0

    def begin_fault(self, fault: Fault) -> None:
        row = find_kind(cast("TargetKind", fault.target), fault.kind)
        if row is not None and "sim" in row.cannot:
            raise LayerError(f"fault {fault.name}: not on the layer sim: {row.cannot['sim']}")
        world, amount = self._world, fault.amount
        if amount is None:
            amount = 0.0 if row is None or row.measure is None else row.measure.default or 0.0
        self._begun[fault.name] = self._wires.activity(), replace(self._link.counts)
        if fault.target in SYSTEM and fault.target not in UPLINK:
            self._own[fault.name] = fault, amount
            self._witness.begin(fault, world.offset_ns / NS)
        self._refused[fault.name] = self._broker.refused
        with world.conducted(), self._stack_of(fault) as stack:
            match fault.target, fault.kind:
                case "broker", "down":
                    self._broker.down(True)
                    stack.callback(self._broker.down, False)
                case "broker", "flap":
                    stack.enter_context(self._flapping(round(amount * NS)))
                case "broker", "quota":
                    self._broker.used_up = True
                    stack.callback(setattr, self._broker, "used_up", False)
                case "link", "reset":
                    self._link.reset()
                case "link", mode if mode in MODES:
                    self._link.set(LinkFault(mode, amount))
                    stack.callback(self._link.set, LinkFault("fine"))
                case "clock", "jump":
                    world.offset_ns += round(amount * NS)
                case "gateway", "kill":
                    self._box.kill(self._link.reset)
                case "gateway", "stop":
                    stack.enter_context(self._box.still())
                case target, kind if target in SYSTEM:
                    raise LayerError(f"fault {fault.name}: {target} cannot show {kind!r}")
                case _:
                    self._wires.begin(fault)
                    stack.callback(self._wires.end, fault)

    def end_fault(self, fault: Fault) -> None:
        self._own.pop(fault.name, None)
        with self._world.conducted():
            self._healing.pop(fault.name).close()

    def evidence(self, fault: Fault) -> tuple[int, Sequence[Evidence]]:
        """Of a fault that has begun."""
        if fault.target not in SYSTEM:
            count, found = self._wires.evidence(fault)
            return count, [self._shown(one) for one in found]
        activity, before = self._begun[fault.name]
        after, now_s = self._link.counts, self.now_s()
        grown = {name: getattr(after, name) - getattr(before, name) for name in LINK_TEXTS}
        through = self._wires.activity() - activity
        if fault.kind == "quota":
            refused = self._broker.refused - self._refused[fault.name]
            text = f"{refused} messages were refused"
            return through, [Evidence(t_s=now_s, text=text)] if refused else []
        if fault.target not in UPLINK:
            return through, self._witness.evidence(fault)
        seen = [f"{count} {LINK_TEXTS[name]}" for name, count in grown.items() if count]
        return through, [Evidence(t_s=now_s, text=text) for text in seen]

    def look(self) -> Seen:
        with self._world.conducted():
            seen = self._adapter.look(self.now_s())
        wall_s = self._adapter.wall_s
        beside_s = None if wall_s is None else wall_s - self._world.now_ns / NS
        for fault, amount in self._own.values():
            self._witness.look(fault, amount, seen, beside_s)
        return seen

    def new_heard(self) -> list[Heard]:
        new, self._read = self._broker.published[self._read :], len(self._broker.published)
        return [
            self._shown(heard)
            for at_ns, message in new
            for heard in self._adapter.hear(self._s(at_ns), self._zero_ns, message)
        ]

    def driven(self) -> list[Driven]:
        return self._street.driven(self._world.now_ns)

    def failed(self) -> str:
        if not self._box.over:
            return ""
        error = self._box.error
        return "the daemon has ended" if error is None else f"{type(error).__name__}: {error}"

    # -- within -----------------------------------------------------------------------------------

    def _s(self, mono_ns: int) -> float:
        """Of the run; to the microsecond, as records are."""
        return round((mono_ns - self._zero_ns) / NS, 6)

    def _stopped(self, stop: Callable[[], None]) -> None:
        with self._world.conducted():
            stop()

    @contextlib.contextmanager
    def _stack_of(self, fault: Fault) -> Iterator[contextlib.ExitStack]:
        """What ends the fault, unless it does not begin."""
        with contextlib.ExitStack() as stack:
            yield stack
            self._healing[fault.name] = stack.pop_all()

    @contextlib.contextmanager
    def _flapping(self, each_ns: int) -> Iterator[None]:
        """The broker goes, comes back after so long, goes again."""
        timeline, broker, over = self._cabinet.timeline, self._broker, False

        def turn(is_down: bool, t_ns: int) -> None:
            if not over:
                broker.down(is_down)
                timeline.at(t_ns + each_ns, partial(turn, not is_down))

        turn(True, self._world.now_ns)
        try:
            yield
        finally:
            over = True
            broker.down(False)

    def _shown(self, one: Said) -> Said:
        """Without the folder of this run in its words: it is another one each time."""
        text, folder = msgspec.json.encode(one), str(self._folder).encode()
        if folder not in text:
            return one
        return msgspec.json.decode(text.replace(folder, FOLDER_SHOWN), type=type(one))


def sim_site(site: Site, folder: Path, port: int) -> Site:
    """The site with simulated places, the same in each run but for `folder`; its broker is at
    `port`."""
    places = {
        name: DeskPlace(_keys(name, bus, folder, number))
        for number, (name, bus) in enumerate(site.buses.items())
    }
    store = msgspec.structs.replace(
        site.store, dir=str(folder / "store"), run_dir=str(folder / "run")
    )
    uplink = msgspec.structs.replace(
        site.uplink, url=f"mqtt://{HOST}:{port}", confirm="broker", **NO_CREDENTIALS
    )
    return replace(placed_site(site, places), store=store, uplink=uplink)


def _keys(name: str, bus: Bus, folder: Path, number: int) -> dict[str, str | int]:
    match bus:
        case GpioBus():
            return {"chip": f"sim:{folder}/{name}.sock"}
        case I2cBus():
            return {"path": f"sim:{folder}/{name}.sock"}
        case ModbusTcpBus():
            return {"host": HOST, "port": FIRST_PORT + number}
        case _:
            return {"port": str(folder / f"{name}.tty")}
