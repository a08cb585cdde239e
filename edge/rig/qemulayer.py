"""The layer `qemu`: the unmodified daemon on a real kernel, in a guest with wires of its own.

What plays the street and the devices is that of the layer `pty`; here it ends at GPIO lines, an I2C
adapter and USB-serial adapters of a Debian guest, which can be pulled out. The box has its own
clock, its own disk behind a cache that a power cut empties, and its own network, which can lose
packets.

    layer = QemuLayer(folder, guest_parts(Path("guest")))
    log = run(scenario, layer)
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from edge.cabinet.cabinet import Cabinet
from edge.cabinet.desk import Desk
from edge.cabinet.deskfile import DeskChange, desk_changes, rewrite
from edge.config import GpioBus, ModbusTcpBus, Site
from edge.config.keylines import KeyPath
from edge.config.tomlfile import FILE_LIMIT
from edge.core.release import VERSION
from edge.durable.readfile import read_beginning
from edge.platform.subscription import ArrivedMessage
from edge.rig.box import Adapter, KerbstoneAdapter, seen_of
from edge.rig.boxfaults import BoxParts, FullDisk
from edge.rig.boxprocess import BoxUnderTest
from edge.rig.brokerlink import BrokerLink
from edge.rig.brokerquota import QuotaProxy
from edge.rig.guestbox import GuestBox, GuestDisk, GuestNet
from edge.rig.guestclock import GuestClock
from edge.rig.guestmachine import GuestError, GuestMachine
from edge.rig.guestparts import GuestParts
from edge.rig.guestwires import DELAY_NS, RETAKE_NS, GuestWires
from edge.rig.layer import LayerError
from edge.rig.ptylayer import NS, PtyLayer
from edge.rig.qmp import QmpError
from edge.rig.rigbroker import HERE, OwnBroker, RigBroker
from edge.rig.runlog import Heard, Seen
from edge.rig.scenario import Fault, LayerName, Scenario

HOST: Final = "10.0.2.2"  # what QEMU's network calls this machine
HOME: Final = "/var/lib/rig"
RUN_DIR: Final = "/run/rig/run"
SITE_FILE: Final = "/run/rig/site.toml"
COMMAND: Final = ("-m", "edge.cli.main", "run", SITE_FILE)
PORT_S: Final = 60.0
LOOK_S: Final = 5.0
SIGN_S: Final = 1.0
UNPLUGGED: Final = "unplugged"
CA_FILE: Final = "/run/rig/ca.crt"


class GuestAdapter(KerbstoneAdapter):
    """A gateway of ours in a guest, whose monotonic clock is `clock`. What it says of a line is
    dated as that was in the street."""

    def __init__(
        self, site: Site, clock: GuestClock, status: Callable[[], Mapping[str, Any]]
    ) -> None:
        super().__init__(site, None)
        self.shares_clock = True
        self._clock, self._ask = clock, status
        self._delayed = sources_on_lines(site)

    def hear(self, t_s: float, zero_ns: int, message: ArrivedMessage) -> list[Heard]:
        found = super().hear(t_s, zero_ns + self._clock.ahead_ns, message)
        return [earlier(one, DELAY_NS) if one.source in self._delayed else one for one in found]

    def look(self, t_s: float) -> Seen:
        return seen_of(t_s, self._ask())


class QemuLayer(PtyLayer):
    """`folder` is for everything of the run, `parts` are those of the guest."""

    name: LayerName = "qemu"
    ready_s = 300.0

    def __init__(self, folder: Path, parts: GuestParts) -> None:
        super().__init__(folder)
        self._guest_parts = parts
        self.box = f"kerbstone {VERSION} in a guest"
        self._clock_of_guest = GuestClock(self._guest_clock)
        self._late_ns = 0  # a line was pulled so much later at most than it should have been
        self._boots = 0
        self._port_names: dict[str, str] = {}
        self._box: GuestBox | None = None
        self._first: GuestMachine | None = None

    def box_clock(self) -> tuple[float, float]:
        """What `new_heard` gives has the rig's times already; they may be so far off."""
        bound_ns = self._clock_of_guest.bound_ns + self._late_ns
        return 0.0, (bound_ns + RETAKE_NS if bound_ns else 0) / NS

    def look(self) -> Seen:
        with contextlib.suppress(GuestError):  # it is off, or boots
            self._clock_of_guest.look()
        return super().look()

    def begin_fault(self, fault: Fault) -> None:
        """An adapter is pulled out before its far end goes, as on a bench."""
        if fault.kind == UNPLUGGED and self._guest_wires.plugged(fault.target):
            self._move(fault, lambda: self._machine().unplug(fault.target))
        super().begin_fault(fault)

    def end_fault(self, fault: Fault) -> None:
        super().end_fault(fault)
        if fault.kind == UNPLUGGED and self._guest_wires.plugged(fault.target):
            port = self._guest_wires.far_ends()[fault.target]
            self._move(fault, lambda: self._machine().plug(fault.target, port))

    # inside

    def _move(self, fault: Fault, move: Callable[[], None]) -> None:
        try:
            move()
        except (QmpError, OSError) as error:
            raise LayerError(f"fault {fault.name}: the adapter does not move: {error}") from error

    def _own_broker(self, *, tls: bool) -> OwnBroker:
        return OwnBroker(self._folder / "broker", tls=tls, known_as=HOST)

    def _own_adapter(self, desk: Desk) -> Adapter:
        return GuestAdapter(desk.site, self._clock_of_guest, self._status)

    def _disk(self, scenario: Scenario, site: Site) -> FullDisk | None:
        self._guest_disk = GuestDisk(self._folder, scenario.about.seed)
        self._stack.callback(self._guest_disk.stop)
        self._guest_disk.start()
        return self._guest_disk

    def _play(self, scenario: Scenario, desk: Desk) -> Cabinet:
        cabinet = super()._play(scenario, desk)
        self._guest_wires = GuestWires(cabinet)
        self._stack.callback(self._guest_wires.stop)
        return cabinet

    def _start(self, desk: Desk, authority: Path | None, *, has_wall: bool) -> BoxUnderTest | None:
        url = self._url.replace(HERE, HOST)

        def boot() -> GuestMachine:
            return self._boot(desk, url, authority)

        box = GuestBox(boot(), COMMAND, self._guest_disk, boot)
        self._box = box
        self._stack.callback(self._end_box, box)
        box.start()
        return box

    def _boot(self, desk: Desk, url: str, authority: Path | None) -> GuestMachine:
        """A machine whose power is there: its disk is checked and mounted, its wires are connected,
        and the site file is in it. Raises LayerError."""
        self._boots += 1
        wires = self._guest_wires
        wires.detach()
        machine = GuestMachine(
            self._guest_parts, self._folder / f"guest{self._boots}", self._guest_disk.socket,
            wires.far_ends(), wires.transfer,
        )  # fmt: skip
        try:
            places = machine.ask("places", lines=wires.lines)
            machine.ask("mount")
            machine.ask("set_wall", to_s=self._clock.now().wall_ns / NS, synchronised=True)
            self._guest_disk.attach(machine)
            if self._box is not None:
                self._box.machine = machine
            else:
                self._first = machine
            self._clock_of_guest.begin()
            wires.attach(machine, lambda: self._clock_of_guest.ahead_ns)
            found = self._places(desk.site, machine, places)
            text = site_text(desk, found, url, has_authority=authority is not None)
            machine.ask("write", file=SITE_FILE, text=text)
            if authority is not None:
                ca = authority.read_text(encoding="ascii")
                machine.ask("write", file=CA_FILE, text=ca)
        except BaseException:
            machine.close()
            raise
        return machine

    def _places(
        self, site: Site, machine: GuestMachine, found: Mapping[str, str]
    ) -> dict[str, dict[str, str | int]]:
        """Where each bus of the site is in the guest. Raises LayerError."""
        places: dict[str, dict[str, str | int]] = {}
        for name, bus in site.buses.items():
            if name == self._guest_wires.chip:
                places[name] = {"chip": found["chip"]}
            elif name == self._guest_wires.i2c:
                places[name] = {"path": found["i2c"]}
            elif isinstance(bus, ModbusTcpBus):
                places[name] = {"host": HOST, "port": bus.port}
            else:
                if name not in self._port_names:
                    self._port_names[name] = self._port(machine, machine.serials[name])
                places[name] = {"port": self._port_names[name]}
        return places

    def _port(self, machine: GuestMachine, serial: str) -> str:
        """The name that udev gives an adapter."""
        end = time.monotonic() + PORT_S
        while not (port := str(machine.ask("port", serial=serial))):
            if time.monotonic() > end:
                raise LayerError(f"the guest has not found its adapter {serial}")
            time.sleep(0.2)
        return port

    def _signs(self, desk: Desk) -> list[tuple[str, Callable[[], bool]]]:
        """Lines are opened in the guest: the cabinet does not see who has them."""
        signs = super()._signs(desk)[len(self._cabinet.lines) :]
        lines = used_lines(desk.site, self._guest_wires.chip)
        if not lines:
            return signs
        opened = (
            f"the box has not opened all lines of bus.{self._guest_wires.chip}",
            lambda: bool(self._machine().ask("used", lines=lines)),
        )
        return [(text, seldom(reads)) for text, reads in (opened, *signs)]

    def _parts(
        self, desk: Desk, broker: RigBroker, link: BrokerLink, disk: FullDisk | None,
        quota: QuotaProxy | None, *, has_wall: bool,
    ) -> BoxParts:  # fmt: skip
        box = self._box
        assert box is not None
        return BoxParts(
            broker, link, box, disk, box.cut_power, True, self._guest_disk, GuestNet(box), quota
        )

    def _status(self) -> Mapping[str, Any]:
        """What the daemon says of itself; nothing while it does not answer."""
        try:
            found: Mapping[str, Any] | None = self._machine().ask("ask", LOOK_S, verb="status")
        except GuestError:
            return {}
        return found or {}  # no daemon runs there

    def _guest_clock(self) -> int:
        said_ns, late_ns = self._machine().ask("clock", LOOK_S)
        self._late_ns = max(self._late_ns, int(late_ns))
        return int(said_ns)

    def _machine(self) -> GuestMachine:
        if self._box is not None:
            return self._box.machine
        if self._first is None:
            raise GuestError("there is no machine yet")
        return self._first

    def _end_box(self, box: GuestBox) -> None:
        """Its log is kept beside that of the broker."""
        (self._folder / "box.log").write_text(box.log(), encoding="utf-8")
        box.close()


def site_text(
    desk: Desk, places: Mapping[str, Mapping[str, str | int]], url: str, *, has_authority: bool
) -> str:
    """The site file of the box: that of the desk, with the places of the guest."""
    other: dict[KeyPath, str | int | None] = {("store", "run_dir"): RUN_DIR}
    changes = [
        DeskChange(one.path, other.get(one.path, one.value))
        for one in desk_changes(places, Path(HOME), url, Path(CA_FILE) if has_authority else None)
    ]
    text = read_beginning(desk.file, FILE_LIMIT).decode("utf-8-sig")
    return rewrite(text, changes, str(desk.file))


def seldom(reads: Callable[[], bool]) -> Callable[[], bool]:
    """The same, asked once in SIGN_S: a question costs a guest that is starting the box."""
    asked_s = -SIGN_S

    def is_time() -> bool:
        nonlocal asked_s
        if time.monotonic() - asked_s < SIGN_S:
            return False
        asked_s = time.monotonic()
        return reads()

    return is_time


def sources_on_lines(site: Site) -> frozenset[str]:
    """Whose records are about GPIO lines."""
    chips = [name for name, bus in site.buses.items() if isinstance(bus, GpioBus)]
    return frozenset(
        name
        for chip in chips
        for sources in (site.lanes_on(chip), site.bays_on(chip), site.devices_on(chip))
        for name in sources
    )


def earlier(one: Heard, by_ns: int) -> Heard:
    """The same about a time before."""
    if one.from_s is None or one.to_s is None:
        return one
    return structs.replace(one, from_s=one.from_s - by_ns / NS, to_s=one.to_s - by_ns / NS)


def used_lines(site: Site, bus: str) -> list[str]:
    """Lines of a bus that the site names, as the guest calls them."""
    if not bus:
        return []
    found = [
        line for lane in site.lanes_on(bus).values() for line in (lane.lead, lane.trail)
        if line is not None
    ]  # fmt: skip
    found += [bay.line for bay in site.bays_on(bus).values()]
    found += [str(one.options["line"]) for one in site.devices_on(bus).values()]
    return [f"GPIO{int(line)}" if line.isdecimal() else line for line in found]
