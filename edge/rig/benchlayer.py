"""The layer `bench`: a box of its own, on wires that this machine drives.

Its lines are driven through GPIO outputs of this machine, its serial buses are played on real
ports, its broker is behind a link of the rig. Which is which says a bench file. Time is real. The
clock of the box is its own: it is measured with its bound, as of any box that is not ours.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from drivers.sim.gpio import SimChip
from drivers.sim.traffic import Flow
from edge.acquire.clock import SystemClock
from edge.cabinet.cabinet import Cabinet
from edge.cabinet.playedlines import StreetWish
from edge.config import GpioBus, Site
from edge.core.endpoint import endpoint
from edge.rig.benchfile import Bench
from edge.rig.benchoutputs import BenchOutputs, missing_outputs
from edge.rig.benchpower import BoxSupply
from edge.rig.box import Adapter, KerbstoneAdapter
from edge.rig.boxclock import measure
from edge.rig.boxfaults import BoxFaults, BoxParts
from edge.rig.brokerlink import BrokerLink
from edge.rig.brokerquota import QuotaProxy
from edge.rig.ear import Ear
from edge.rig.layer import LayerError, opening
from edge.rig.rigbroker import OwnBroker
from edge.rig.runlog import Driven, Evidence, Heard, Seen
from edge.rig.scenario import Fault, LayerName, Scenario, Vehicle
from edge.rig.streetplay import StreetPlay
from edge.rig.values import DeviceValues
from edge.rig.vehicles import passage_of
from edge.rig.wirefaults import WireFaults

NS: Final = 1_000_000_000
TICK_S: Final = 0.1
READY_S: Final = 300.0  # a box that boots, connects, and asks each device
UPLINK: Final = ("broker", "link")


class BenchLayer:
    """`folder` is for the files of the broker. `adapter` None: the box is a gateway of ours."""

    name: LayerName = "bench"

    def __init__(
        self, folder: Path, bench: Bench, site: Site, adapter: Adapter | None = None,
        ready_s: float = READY_S,
    ) -> None:  # fmt: skip
        self._folder, self._bench, self._site = folder.absolute(), bench, site
        self._adapter = adapter or KerbstoneAdapter(site, None)
        self._ready_s = ready_s
        self._stack, self._clock = ExitStack(), SystemClock()
        self._zero_ns = self._zero_wall_ns = 0
        self._heard: list[Heard] = []
        self._cuts: dict[str, tuple[int, list[Evidence]]] = {}  # what had come before, what is seen
        self._back_s: float | None = None  # when the supply comes back
        self.box = f"the box on {bench.about.name}"

    def open(self, scenario: Scenario) -> None:
        """Raises LayerError, after which everything is closed."""
        with opening(self.close):
            self._open(scenario)

    def close(self) -> None:
        self._stack.close()

    def now_s(self) -> float:
        return (time.monotonic_ns() - self._zero_ns) / NS

    def run_until(self, t_s: float) -> None:
        while (rest_s := t_s - self.now_s()) > 0:
            if self._outputs.trouble:
                raise LayerError(f"an output cannot be driven: {self._outputs.trouble}")
            self._tick()
            time.sleep(min(rest_s, TICK_S))

    def begin_fault(self, fault: Fault) -> None:
        if fault.target == "power":
            self._cut(fault)
        elif fault.target in UPLINK:
            self._faults.begin(fault)
        else:
            self._wires.begin(fault)

    def end_fault(self, fault: Fault) -> None:
        if fault.target in UPLINK:
            self._faults.end(fault)
        elif fault.target != "power":
            self._wires.end(fault)

    def evidence(self, fault: Fault) -> tuple[int, Sequence[Evidence]]:
        if fault.target == "power":
            before, found = self._cuts.get(fault.name, (0, []))
            return self._wires.activity() - before, found
        if fault.target in UPLINK:
            return self._faults.evidence(fault)
        return self._wires.evidence(fault)

    def look(self) -> Seen:
        return self._adapter.look(self.now_s())

    def new_heard(self) -> list[Heard]:
        zero_ns = self._zero_wall_ns
        found = [
            one
            for came in self._ear.take()
            for one in self._adapter.hear(
                (came.mono_ns - self._zero_ns) / NS, zero_ns, came.message
            )
        ]
        self._heard += found
        if found and self._back_s is None:
            for _, seen in self._cuts.values():
                if seen and seen[-1].text.endswith("on again") and found[-1].t_s > seen[-1].t_s:
                    seen.append(Evidence(t_s=found[-1].t_s, text="the box speaks again"))
        return found

    def driven(self) -> list[Driven]:
        return self._street.driven(time.monotonic_ns())

    def drive(self, vehicle: Vehicle) -> Driven:
        return self._street.add(passage_of(vehicle))

    def set_value(self, device: str, point: str, value: float) -> None:
        self._values.set(device, point, value)

    def box_clock(self) -> tuple[float, float]:
        return measure(self._heard, self.driven())

    def failed(self) -> str:
        return ""  # nobody here knows why it is silent

    # inside

    def _open(self, scenario: Scenario) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        kinds = {(fault.target, fault.kind) for fault in scenario.faults}
        self._supply = self._take_supply(kinds)
        self._refuse_missing(scenario)
        self._outputs = BenchOutputs(self._bench, self._site).open()
        self._stack.callback(self._outputs.close)
        broker = OwnBroker(self._folder / "broker")
        self._stack.callback(broker.close)
        broker.start()
        quota = None
        if ("broker", "quota") in kinds:
            quota = QuotaProxy(broker.host, broker.port).start()
            self._stack.callback(quota.stop)
        place = endpoint(self._bench.about.listen)
        port = broker.port if quota is None else quota.port
        link = BrokerLink(broker.host, port, scenario.about.seed, (place.host, place.port))
        try:
            link.start()
        except OSError as error:
            raise LayerError(f"{self._bench.about.listen}: {error}: is it an address of this "
                             "machine, and free?") from error  # fmt: skip
        self._stack.callback(link.stop)
        self._ear = Ear(broker.host, broker.port, self._adapter.filters)
        self._ear.start()
        self._stack.callback(self._ear.stop)
        self._play(scenario)
        self._wait_until_it_reads()
        now = self._clock.now()
        self._zero_ns, self._zero_wall_ns = now.mono_ns, now.wall_ns
        self._street.begin(self._zero_ns)
        self._wires = WireFaults(self._cabinet, self._street, time.monotonic_ns, self._zero_ns)
        parts = BoxParts(broker, link, None, None, no_power, has_wall=False, quota=quota)
        self._faults = BoxFaults(parts, self.now_s, self._wires.activity, lambda: True)

    def _take_supply(self, kinds: set[tuple[str, str]]) -> BoxSupply | None:
        if ("power", "cut") not in kinds:
            return None
        if self._bench.power is None:
            raise LayerError(f"{self._bench.file}: the scenario cuts the power: say in [power] "
                             "what switches it")  # fmt: skip
        supply = BoxSupply(self._bench.power)
        self._stack.callback(supply.close)
        return supply

    def _refuse_missing(self, scenario: Scenario) -> None:
        """Traffic on a lane whose loops nothing drives would be missing in each count."""
        lanes = {lane for table in scenario.traffic for lane in table.lanes}
        lanes |= {one.lane for one in scenario.vehicles}
        for trace in scenario.traces:
            lanes |= set(self._site.lanes if trace.lanes is None else trace.lanes)
        missing = [name for name in missing_outputs(self._bench, self._site)
                   if name.partition(".")[0] in lanes]  # fmt: skip
        if missing:
            raise LayerError(f"{self._bench.file}: the scenario drives {', '.join(missing)}, and "
                             "no [[output]] does")  # fmt: skip

    def _play(self, scenario: Scenario) -> None:
        site = played_part(self._site, self._bench)
        zero_ns = time.monotonic_ns()
        self._values = DeviceValues(scenario, site.devices, lambda: (self._zero_ns - zero_ns) / NS)
        self._cabinet = cabinet = Cabinet(
            site,
            ports={bus: serial.port for bus, serial in self._bench.serials.items()},
            street=StreetWish(Flow(0.0), scenario.about.seed),
            sources=self._values.sources,
            zero_ns=zero_ns,
        )
        for played in cabinet.lines.values():
            played.chip = cast("SimChip", self._outputs)
        self._street = StreetPlay(scenario, cabinet)
        cabinet.start()
        self._stack.callback(cabinet.stop)

    def _wait_until_it_reads(self) -> None:
        """It has asked each device that is played here, and something of it came."""
        end = time.monotonic() + self._ready_s
        while True:
            silent = [
                name
                for name, device in self._cabinet.devices.items()
                if not self._cabinet.buses[self._site.devices[name].bus].asked(device)
            ]
            came = self._ear.take()
            for one in came:  # it tells what it is at its begin
                self._adapter.hear(0.0, 0, one.message)
            if came and not silent:
                return
            if time.monotonic() > end:
                why = f"has not read {', '.join(silent)}" if silent else "says nothing"
                raise LayerError(f"after {self._ready_s:.0f} s the box {why}: it has to be on, and "
                                 f"its broker {self._bench.about.listen}")  # fmt: skip
            time.sleep(TICK_S)

    def _cut(self, fault: Fault) -> None:
        if self._supply is None:
            raise LayerError(f"fault {fault.name}: nothing switches the supply of this box")
        now_s = self.now_s()
        self._supply.cut(True)
        self._back_s = now_s + self._supply.off_s
        self._cuts[fault.name] = (
            self._wires.activity(), [Evidence(t_s=now_s, text="the supply is cut")],
        )  # fmt: skip

    def _tick(self) -> None:
        self._faults.tick()
        if self._supply is not None and self._back_s is not None and self.now_s() >= self._back_s:
            self._supply.cut(False)
            self._back_s = None
            for _, seen in self._cuts.values():
                if seen[-1].text.endswith("is cut"):
                    seen.append(Evidence(t_s=self.now_s(), text="the supply is on again"))


def no_power() -> Iterator[str]:
    """A bench has a supply of its own (`BoxSupply`)."""
    return iter(())


def played_part(site: Site, bench: Bench) -> Site:
    """What of a site this bench plays: its lines, and buses that have a port. Devices on others are
    real ones, or nobody."""
    buses = {
        name: bus for name, bus in site.buses.items()
        if isinstance(bus, GpioBus) or name in bench.serials
    }  # fmt: skip
    devices = {name: one for name, one in site.devices.items() if one.bus in buses}
    return replace(site, buses=buses, devices=devices)
