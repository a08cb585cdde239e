"""What our drivers really write, to the simulated device that they are made for.

`SAID`: a vector of what is sent -> the drivers, with what makes them say it. `UNSAID`: a vector of
what is never sent -> the driver, and why.
"""

import inspect
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, cast

import drivers
from drivers.chips._telegram import strip_parity
from drivers.sim.typical import typical
from edge.core import Polled
from tests.drivers.serialsim import SimSerial
from tests.kit.air import Now, SimI2c


@dataclass(frozen=True)
class DriverRun:
    """One driver and one device: options of both, and what is different about the device."""

    driver: str
    options: tuple[tuple[str, Any], ...] = ()
    device: tuple[tuple[str, Any], ...] = ()
    found: tuple[tuple[str, Any], ...] = ()  # in which state it is found
    reads: int = 2


def _run(driver: str, /, device: dict[str, Any] | None = None, **options: Any) -> DriverRun:
    return DriverRun(driver, tuple(options.items()), tuple((device or {}).items()))


SDS011 = (_run("sds011"),)
SPS30_UART = (_run("sps30_uart"),)
ZH03B = _run("zh03b", mode="asked")
MBUS = (_run("mbus", {"per_telegram": 4}, address=1),)  # it has more to say than one telegram
SAID: dict[str, tuple[DriverRun, ...]] = {
    "sds011-cmd-wake": SDS011,
    "sds011-cmd-query-mode": SDS011,
    "sds011-cmd-query": SDS011,
    "sds011-cmd-sleep": SDS011,
    "sds011-cmd-active": (DriverRun("sds011", (("mode", "active"),), found=(("query", True),)),),
    "sps30-i2c-start-float": (_run("sps30"),),
    "sps30-shdlc-read": SPS30_UART,
    "sps30-shdlc-stop": SPS30_UART,
    "sgp41-conditioning": (_run("sgp41"),),
    "sgp41-measure-compensated": (
        _run("sgp41", condition_reads=0, humidity_percent=45.0, temperature_cel=10.0),
    ),
    "ads1115-config-ain0-single-4v096": (_run("ads1115"),),
    "ads1115-config-diff01-0v512": (_run("ads1115_pairs", range_v=0.512, rate_sps=8),),
    "zh03-cmd-qa": (ZH03B,),
    "zh03-cmd-read": (ZH03B, _run("mhz19")),
    "dlt645-read-address-req": (_run("dlt645"),),
    "dlt645-read-energy-req": (  # of those that know no blocks
        _run("dlt645", {"blocks": False}),
        _run("dlt645", {"blocks": False}, address="000000000161"),
    ),
    "iec62056-request": (_run("iec62056"),),
    "iec62056-ack-300": (_run("iec62056", {"speed": "0"}), _run("iec62056", fastest=4800)),
    "iec62056-ack-4800": (_run("iec62056", {"speed": "4"}),),
    "iec62056-ack-9600": (_run("iec62056", {"speed": "5"}),),
    "mbus-snd-nke": MBUS,
    "mbus-req-ud2-fcb0": MBUS,
    "canoga-req-events-0": (_run("canoga", {"address": 0}, address=0),),
    "canoga-req-events-128": (_run("canoga", {"address": 128}, address=128),),
    "canoga-req-serial-128": (_run("canoga", {"address": 128}, address=128),),
}
# what we never say, and why; `decode` passes over it when somebody else has said it
UNSAID = {
    **{f"pms-cmd-{name}": ("pms5003", "it talks by itself, and is listened to") for name in (
        "active", "passive", "read", "wake",
    )},
    "sds011-cmd-firmware": ("sds011", "its version is no point and no identity"),
    "canoga-req-version-0": ("canoga", "its serial number is its identity"),
    "canoga-req-version-128": ("canoga", "its serial number is its identity"),
    "iec62056-break": ("iec62056", "it ends the programming mode, which is not used"),
    "iec62056-r1": ("iec62056", "a command of the programming mode"),
    "iec62056-w2": ("iec62056", "it writes to the meter"),
}  # fmt: skip


@dataclass
class Port(SimSerial):
    """A port whose speed the device knows."""

    baud: int = field(default=300, init=False)

    async def speed(self, baud: int = 0) -> None:
        self.baud = baud or 300


async def written(run: DriverRun) -> set[bytes]:
    """All that the driver wrote, without the parity and the FE that only carry it."""
    now = Now()
    module: Any = import_module(f"drivers.sim.{run.driver}")
    wired = drivers.spec(run.driver).wiring == "i2c"
    make = module.CHIP if wired else module.DEVICE
    values = typical(drivers.chip(run.driver).DRIVER.points)
    clock = {"clock": now} if "clock" in inspect.signature(make).parameters else {}
    device = make(values, **clock, **dict(run.device))
    for name, value in run.found:
        setattr(device, name, value)
    if wired:
        i2c = SimI2c(now, {make.ADDRESS: device})
        await _use(run, i2c, now)
        return {bytes(data) for _, way, data in i2c.kernel.log if way == "w"}
    port = Port(device, now)
    if run.driver == "iec62056":
        device.now, device.line_speed = now, lambda: port.baud
    await _use(run, port, now)
    texts = map(strip_parity, port.written) if run.driver == "iec62056" else port.written
    return {text.lstrip(b"\xfe") for text in texts}


async def _use(run: DriverRun, bus: Any, now: Now) -> None:
    device = cast(Polled, drivers.build(run.driver, bus, dict(run.options)))
    now.s += 1  # it has its supply
    await device.open()
    for _ in range(run.reads):
        now.s += 1
        await device.read()
    await device.close()
