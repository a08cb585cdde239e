"""The layer `pty`: real processes in real time. The box is the unmodified daemon, or any command,
on the wires of a played cabinet; a real broker, and a link to it that can do what networks do.

    layer = PtyLayer(folder, PtyWish())
    log = run(scenario, layer)
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drivers.sim.traffic import Flow
from edge.acquire.clock import SystemClock
from edge.cabinet.cabinet import Cabinet
from edge.cabinet.desk import Desk, open_desk
from edge.cabinet.playedbus import keep_answers_whole
from edge.cabinet.playedlines import StreetWish
from edge.config import Site
from edge.core.release import VERSION
from edge.rig.box import Adapter, KerbstoneAdapter
from edge.rig.boxclock import measure
from edge.rig.boxfaults import BoxFaults, BoxParts, FullDisk, process_power
from edge.rig.boxprocess import KERBSTONE, BoxProcess, BoxUnderTest
from edge.rig.brokerlink import BrokerLink
from edge.rig.brokerquota import QuotaProxy
from edge.rig.ear import CameIn, Ear
from edge.rig.layer import LayerError, opening
from edge.rig.rigbroker import OtherBroker, OwnBroker, RigBroker
from edge.rig.runlog import Driven, Evidence, Heard, Seen, Stall
from edge.rig.scenario import Fault, LayerName, Scenario, Vehicle
from edge.rig.smalldisk import SmallDisk
from edge.rig.stallwatch import StallWatch
from edge.rig.streetplay import StreetPlay
from edge.rig.values import DeviceValues
from edge.rig.vehicles import passage_of
from edge.rig.wirefaults import WireFaults

NS: Final = 1_000_000_000
TICK_S: Final = 0.1
READY_S: Final = 90.0
DISK_BYTES: Final = 64 << 20
BOX_TARGETS: Final = frozenset({"broker", "link", "power", "clock", "disk", "gateway"})


@dataclass(frozen=True, slots=True)
class PtyWish:
    """`command` is the box's, with `{site}` for its file, `{broker}` for the URL of its broker and
    `{ca}` for the file of whom it has to trust, where that broker speaks TLS;
    None: nothing is started, the box runs elsewhere. `broker` is the URL of one that is there.
    `ports`: bus -> a real serial port. `adapter` None: the box is a gateway of ours.
    """

    command: Sequence[str] | None = KERBSTONE
    broker: str = ""
    ports: Mapping[str, str] = field(default_factory=dict)
    adapter: Adapter | None = None


class PtyLayer:
    """`folder` is for everything of the run: site file, sockets, logs, stores."""

    name: LayerName = "pty"
    ready_s = READY_S
    """So long a box may take until it reads."""

    def __init__(self, folder: Path, wish: PtyWish | None = None) -> None:
        self._folder, self._wish = folder.absolute(), wish or PtyWish()
        self._clock, self._stack = SystemClock(), ExitStack()
        self._zero_ns = self._zero_wall_ns = 0
        self._heard: list[Heard] = []
        self._broken: list[str] = []
        self._stalls = StallWatch()
        self._seen = Seen(t_s=0.0)
        command = self._wish.command
        ours = command is not None and tuple(command) == KERBSTONE
        self.box = f"kerbstone {VERSION}" if ours else " ".join(command or ("a box elsewhere",))

    def open(self, scenario: Scenario) -> None:
        """Raises LayerError, after which everything is closed."""
        with opening(self.close):
            self._open(scenario)

    def close(self) -> None:
        self._stack.close()

    def now_s(self) -> float:
        return (time.monotonic_ns() - self._zero_ns) / NS

    def run_until(self, t_s: float) -> None:
        """In steps, so that what comes and goes by itself does so in time."""
        while (rest_s := t_s - self.now_s()) > 0:
            if self._broken:
                raise LayerError(f"a part of the rig has failed: {self._broken[0]}")
            self._faults.tick()
            if self.failed():
                return
            time.sleep(min(rest_s, TICK_S))

    def begin_fault(self, fault: Fault) -> None:
        if fault.target in BOX_TARGETS:
            self._faults.begin(fault)
        else:
            self._wires.begin(fault)

    def end_fault(self, fault: Fault) -> None:
        if fault.target in BOX_TARGETS:
            self._faults.end(fault)
        else:
            self._wires.end(fault)

    def evidence(self, fault: Fault) -> tuple[int, Sequence[Evidence]]:
        if fault.target in BOX_TARGETS:
            return self._faults.evidence(fault)
        return self._wires.evidence(fault)

    def look(self) -> Seen:
        self._seen = self._adapter.look(self.now_s())
        return self._seen

    def new_heard(self) -> list[Heard]:
        found = [one for came in self._ear.take() for one in self._read(came)]
        self._heard += found
        return found

    def driven(self) -> list[Driven]:
        return self._street.driven(time.monotonic_ns())

    def drive(self, vehicle: Vehicle) -> Driven:
        return self._street.add(passage_of(vehicle))

    def set_value(self, device: str, point: str, value: float) -> None:
        self._values.set(device, point, value)

    def stalls(self) -> Sequence[Stall]:
        return self._stalls.stalls(self._zero_ns)

    def box_clock(self) -> tuple[float, float]:
        if self._adapter.shares_clock:
            return 0.0, 0.0
        return measure(self._heard, self.driven())

    def failed(self) -> str:
        if self._process is None or self._faults.waits_to_start():
            return ""
        return self._process.ended()

    # inside

    def _open(self, scenario: Scenario) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._watch_threads()
        self._stalls.start()
        self._stack.callback(self._stalls.stop)
        broker = self._broker(scenario)
        quota = self._quota(scenario, broker)
        port = broker.box_port if quota is None else quota.port
        link = BrokerLink(broker.host, port, scenario.about.seed).start()
        self._stack.callback(link.stop)
        self._url = f"{'mqtt' if broker.authority is None else 'mqtts'}://127.0.0.1:{link.port}"
        desk = self._desk(scenario, broker.authority)
        disk = self._disk(scenario, desk.site)
        self._cabinet = self._play(scenario, desk)
        self._adapter = self._wish.adapter or self._own_adapter(desk)
        self._ear = Ear(broker.host, broker.port, self._adapter.filters)
        self._ear.start()
        self._stack.callback(self._ear.stop)
        has_wall = any(fault.target == "clock" for fault in scenario.faults)
        self._process = self._start(desk, broker.authority, has_wall=has_wall)
        self._wait_until_it_reads(desk)
        self._begin()
        parts = self._parts(desk, broker, link, disk, quota, has_wall=has_wall)
        self._wires = WireFaults(self._cabinet, self._street, time.monotonic_ns, self._zero_ns)
        self._faults = BoxFaults(parts, self.now_s, self._wires.activity, self._answers)

    def _own_adapter(self, desk: Desk) -> Adapter:
        """Of a gateway of ours."""
        run_dir = Path(desk.site.store.run_dir)
        return KerbstoneAdapter(desk.site, run_dir if self._wish.command is not None else None)

    def _parts(
        self, desk: Desk, broker: RigBroker, link: BrokerLink, disk: FullDisk | None,
        quota: QuotaProxy | None, *, has_wall: bool,
    ) -> BoxParts:  # fmt: skip
        """What can be broken."""
        process, run_dir = self._process, Path(desk.site.store.run_dir)
        return BoxParts(
            broker, link, process, disk, lambda: process_power(process, run_dir), has_wall,
            quota=quota,
        )  # fmt: skip

    def _watch_threads(self) -> None:
        """A thread of a simulator that falls makes its part silent for no good reason."""
        hook = threading.excepthook

        def fell(what: threading.ExceptHookArgs) -> None:
            self._broken.append(f"{what.exc_type.__name__}: {what.exc_value}")
            hook(what)

        threading.excepthook = fell

        def restore() -> None:
            threading.excepthook = hook

        self._stack.callback(restore)

    def _broker(self, scenario: Scenario) -> RigBroker:
        url, tls = self._wish.broker, _shows(scenario, "expired_certificate")
        broker: RigBroker = OtherBroker(url) if url else self._own_broker(tls=tls)
        self._stack.callback(broker.close)
        broker.start()
        return broker

    def _quota(self, scenario: Scenario, broker: RigBroker) -> QuotaProxy | None:
        """Before the broker, where the scenario lets its quota be used up."""
        if not _shows(scenario, "quota"):
            return None
        if broker.authority is not None:
            raise LayerError("one scenario cannot have both quota and expired_certificate: what "
                             "goes through TLS cannot be refused on the way")  # fmt: skip
        proxy = QuotaProxy(broker.host, broker.box_port).start()
        self._stack.callback(proxy.stop)
        return proxy

    def _own_broker(self, *, tls: bool) -> OwnBroker:
        return OwnBroker(self._folder / "broker", tls=tls)

    def _desk(self, scenario: Scenario, authority: Path | None) -> Desk:
        source = Path(scenario.file).parent / scenario.about.site
        desk = open_desk(source, self._folder / "desk", self._url, self._wish.ports, authority)
        self._stack.callback(desk.lock.release)
        return desk

    def _disk(self, scenario: Scenario, site: Site) -> FullDisk | None:
        if not any(fault.target == "disk" for fault in scenario.faults):
            return None
        disk = SmallDisk(Path(site.store.dir), DISK_BYTES)
        if disk.small:
            self._stack.callback(disk.close)
        return disk

    def _play(self, scenario: Scenario, desk: Desk) -> Cabinet:
        seed = scenario.about.seed
        zero_ns = time.monotonic_ns()
        self._values = DeviceValues(
            scenario, desk.site.devices, lambda: (self._zero_ns - zero_ns) / NS
        )
        cabinet = Cabinet(
            desk.site,
            ports=desk.ports,
            street=StreetWish(Flow(0.0), seed),
            sources=self._values.sources,
            zero_ns=zero_ns,
        )
        keep_answers_whole(cabinet.buses.values())
        self._street = StreetPlay(scenario, cabinet)
        cabinet.start()
        self._stack.callback(cabinet.stop)
        return cabinet

    def _start(self, desk: Desk, authority: Path | None, *, has_wall: bool) -> BoxUnderTest | None:
        if self._wish.command is None:
            return None
        words = {"site": str(desk.file), "broker": self._url, "ca": str(authority or "")}
        process = BoxProcess(self._wish.command, self._folder, words, has_wall=has_wall)
        self._stack.callback(process.close)
        process.start()
        return process

    def _wait_until_it_reads(self, desk: Desk) -> None:
        """All lines are open, every device was asked, and it has reached its broker."""
        end = time.monotonic() + self.ready_s
        for what, reads in self._signs(desk):
            while not reads():
                if self._process is not None and (why := self._process.ended()):
                    raise LayerError(why)
                if time.monotonic() > end:
                    log = "" if self._process is None else f"; its log: {self._process.tail()}"
                    raise LayerError(f"after {self.ready_s:.0f} s {what}{log}")
                time.sleep(TICK_S)

    def _signs(self, desk: Desk) -> list[tuple[str, Callable[[], bool]]]:
        cabinet = self._cabinet
        signs: list[tuple[str, Callable[[], bool]]] = [
            (f"the box has not opened all lines of bus.{name}", _opened(cabinet, name))
            for name in cabinet.lines
        ]
        for name in cabinet.devices:
            wire = cabinet.buses[desk.site.devices[name].bus]
            device = cabinet.devices[name]
            signs.append((
                f"the box has not read {name}", lambda w=wire, d=device: w.asked(d) > 0,  # type: ignore[misc]
            ))  # fmt: skip
        if self._wish.command is not None and self._wish.adapter is None:
            signs.append(("the box is not connected to its broker", self._is_connected))
        return signs

    def _is_connected(self) -> bool:
        return self._adapter.look(0.0).connected is True

    def _begin(self) -> None:
        """The scenario begins now."""
        now = self._clock.now()
        self._zero_ns, self._zero_wall_ns = now.mono_ns, now.wall_ns
        self._street.begin(self._zero_ns)

    def _read(self, came: CameIn) -> list[Heard]:
        zero_ns = self._zero_ns if self._adapter.shares_clock else self._zero_wall_ns
        return self._adapter.hear((came.mono_ns - self._zero_ns) / NS, zero_ns, came.message)

    def _answers(self) -> bool:
        """Whether the box says something of itself; of one that never does, whether it runs."""
        if self._wish.adapter is None:
            return self._adapter.look(self.now_s()).queue is not None
        return self._process is not None and not self._process.ended()


def _shows(scenario: Scenario, kind: str) -> bool:
    """Whether a fault of the broker in it is of this kind."""
    return any((fault.target, fault.kind) == ("broker", kind) for fault in scenario.faults)


def _opened(cabinet: Cabinet, bus: str) -> Callable[[], bool]:
    """Whether somebody holds each line of a bus that the site names."""
    played = cabinet.lines[bus]
    lines = [
        line for lane in cabinet.site.lanes_on(bus).values() for line in (lane.lead, lane.trail)
        if line is not None
    ]  # fmt: skip
    lines += [bay.line for bay in cabinet.site.bays_on(bus).values()]
    lines += [str(one.options["line"]) for one in cabinet.site.devices_on(bus).values()]
    return lambda: all(played.chip.consumer(line) for line in lines)
