"""A gateway that is commissioned, in process: real lines, state and sheets; devices answer as the
test says.

    box = CommissionedBox(tmp_path)
    await box.step("begin", by="Anna")
    box.drive_over("north_1", 30.0)
    answer = await box.step("finish", speed_kmh=31.0)
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import drivers
from edge.acquire.poll import PollState
from edge.commission.devicetest import RegisterGrowth
from edge.config import load_site
from edge.core import Bad, Contact, Draft, Point, Quantity, Reading, Reason, Sample, Sweep, sweep
from edge.core.clock import Stamp, TimeQuality
from edge.gateway.commissionexams import ExaminedGateway
from edge.gateway.commissionfiles import CommissionFiles
from edge.gateway.commissionhooks import CommissionHooks
from edge.gateway.commissioning import Commissioning
from edge.gateway.commissionverb import CommissionVerb
from edge.gateway.linewatch import LineWatch
from edge.gateway.manifestsigner import SignBytes
from edge.gateway.wiring import Wiring
from edge.uplink.delivery import ConnectionState

S = 1_000_000_000
WALL_NS = 1_790_000_000 * S
SITE = """
[site]
id = "quay"
gateway = "gw-1"
name = "Quay"
[uplink]
url = "mqtt://a"
confirm = "platform"
[bus.air]
kind = "i2c"
path = "/dev/i2c-1"
[bus.loops]
kind = "gpio"
[device.hut]
driver = "sht4x"
bus = "air"
[device.door]
driver = "contact"
bus = "loops"
line = "d"
[device.lamp]
driver = "s0"
bus = "loops"
line = "p"
imp_per_kwh = 1000
[lane.north_1]
approach = "north"
bus = "loops"
lead = "a"
trail = "b"
spacing_m = 4.0
[bay.bakery]
bus = "loops"
line = "c"
kind = "loading"
"""
POINTS = (
    Point("temperature", Quantity.TEMPERATURE, low=-40, high=125),
    Point("humidity", Quantity.RELATIVE_HUMIDITY, low=0, high=100),
)


@dataclass
class SaidBuses:
    """Devices whose answers the test sets."""

    values: dict[str, Sample] = field(
        default_factory=lambda: {"temperature": 21.5, "humidity": 48.0}
    )

    async def read(self, name: str) -> Sweep:
        return sweep(name, 0, [self.values.get(p.key, Bad(Reason.SILENT)) for p in POINTS])

    def device(self, name: str) -> PollState:
        return PollState(name, _Polled(), S)

    def devices(self) -> Iterable[PollState]:
        return ()


class _Polled:
    points = POINTS

    async def open(self) -> None: ...
    async def read(self) -> tuple[Sample, ...]:
        return ()

    async def close(self) -> None: ...


class StandingClock:
    """Moves when the test says so."""

    def __init__(self) -> None:
        self.mono_ns = 100 * S
        self.wall_ns = WALL_NS  # when its monotonic time was 0
        self.tq = TimeQuality.NTP

    def now(self) -> Stamp:
        return Stamp(self.mono_ns, self.wall_ns + self.mono_ns, self.tq)


class CommissionedBox:
    """One process of it; another one with the same folder goes on from what it has left."""

    def __init__(
        self, folder: Path, site: str = SITE, sign: SignBytes | None = None,
        board: str = "10000000c0ffee01",
    ) -> None:  # fmt: skip
        if not folder.is_dir():
            folder.mkdir(parents=True)
        file = folder.parent / f"{folder.name}.toml"
        file.write_text(site)
        self.site = load_site(file, drivers.catalogue())
        self.wiring = Wiring.of(self.site)
        setup = self.wiring.setup()
        self.clock, self.buses = StandingClock(), SaidBuses()
        self.lines = LineWatch(setup, self.wiring.lined, self.clock.mono_ns)
        self.serials: dict[str, str] = {"hut": "7"}
        self.confirmed_ns: int | None = None
        self.drafts: list[Draft] = []
        self.changes = 0
        self.growths: list[RegisterGrowth] = []
        self._take: Any = None
        self.files = CommissionFiles(folder)
        self.owner = Commissioning(
            ExaminedGateway(
                site=self.site,
                lanes=setup.lanes,
                clock=self.clock,
                buses=self.buses,
                points={"hut": POINTS},
                corrections={each.name: each.corrections for each in setup.devices},
                published=self._published,
                lines=self.lines,
                growth=lambda _: self.growths,
                serials=lambda: self.serials,
                connection=lambda: (
                    ConnectionState(0, "mqtt://a", confirmed_ns=self.confirmed_ns), True,
                ),
            ),
            self.files,
            CommissionHooks(
                publish=self.drafts.append, watch_drive=self._watch, changed=self._changed,
                board="Raspberry Pi 4 Model B", board_serial=board, sign=sign,
            ),
        )  # fmt: skip
        self.verb = CommissionVerb(self.owner)
        for source in (line.source for line in self.wiring.lined.values()):
            self.lines.take([Contact(source, False, 50 * S, initial=True)])

    def _published(self, measured: Sweep) -> Iterable[Reading]:
        return measured.readings(POINTS)

    def _watch(self, take: Any) -> None:
        self._take = take

    def _changed(self) -> None:
        self.changes += 1

    async def step(self, act: str, **words: Any) -> Mapping[str, Any]:
        return await self.verb.step({"act": act, **words})

    async def state(self, **words: Any) -> Mapping[str, Any]:
        return await self.verb.told(words)

    async def row(self, id_: str) -> dict[str, Any]:
        return next(row for row in (await self.state())["steps"] if row["id"] == id_)

    def contacts(self, *found: Contact) -> None:
        """As `Ingest` hands them on."""
        self.lines.take(found)
        if self._take is not None:
            self._take(found)

    def drive_over(
        self, lane: str, speed_kmh: float, *, swapped: bool = False, after_s: float = 3.0
    ) -> None:
        """A car of 4.5 m, over loops of 2 m that are 4 m apart."""
        on = self.clock.mono_ns + round(after_s * S)
        speed = speed_kmh / 3.6
        over, later = round(6.5 / speed * S), round(4.0 / speed * S)
        first, second = ("trail", "lead") if swapped else ("lead", "trail")
        changes = [
            Contact(f"{lane}.{first}", True, on), Contact(f"{lane}.{first}", False, on + over),
            Contact(f"{lane}.{second}", True, on + later),
            Contact(f"{lane}.{second}", False, on + later + over),
        ]  # fmt: skip
        self.contacts(*sorted(changes, key=lambda each: each.mono_ns))
        self.clock.mono_ns = on + later + over + 5 * S

    async def whole(self) -> None:
        """All steps, each as it should be."""
        await self.step("begin", by="Anna")
        await self.step("test", step="device:hut")
        await self.step("drive", lane="north_1", speed_kmh=31.0)
        self.drive_over("north_1", 30.0)
        await self.step("finish")
        for part in ("lead", "trail"):
            for key, value in (
                ("inductance_uh", 120), ("q", 9), ("resistance_ohm", 1.5),
                ("insulation_mohm", 200),
            ):  # fmt: skip
                await self.step("field", step=f"loop:north_1.{part}", key=key, value=value)
        for id_, name in (("contact:door", "door"), ("bay:bakery", "bakery"),
                          ("pulses:lamp", "lamp")):  # fmt: skip
            await self.step("test", step=id_)
            for n in range(4):
                self.clock.mono_ns += S
                self.contacts(Contact(name, n % 2 == 0, self.clock.mono_ns))
            await self.step("test", step=id_)
        self.confirmed_ns = self.clock.mono_ns
        await self.step("test", step="record")
        places = [{"place": "/dev/i2c-1", "refused": "", "whole": True, "devices": [
            {"driver": "sht4x", "what": "SHT4x", "options": {"address": 0x44}, "serial": "7",
             "line": ""}]}]  # fmt: skip
        await self.step("found", places=places)


def run(coroutine: Any) -> Any:
    """A story of a box."""
    return asyncio.run(coroutine)
