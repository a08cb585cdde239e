"""The gateway's I2C bus and drivers on a bus of the real kernel; prints what came as JSON."""

import asyncio
import json
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import drivers
from drivers.buses.i2c import SmbusI2c
from edge.core import Bad, BusError, DataError, Polled, Sample, UncertainValue
from tests.kernel.guest.answers import HELD, AnsweringProcess, adapter

DEVICES = Path("/sys/bus/i2c/devices")
PARAMETERS = Path("/sys/module/kerbstone_i2c/parameters")
BUS = "kerbstone test bus"
SMBUS_ONLY = "SMBus stub driver"
PATIENCE_S = 30.0
STATUS = b"\xd2\x06"  # of a SEN55


def plain(sample: Sample) -> Any:
    """A sample as JSON has it."""
    match sample:
        case Bad(reason):
            return f"bad:{reason.value}"
        case UncertainValue(value, reason):
            return f"{value} {reason.value}"
    return sample


def parameter(name: str) -> int:
    return int((PARAMETERS / name).read_text())


async def trouble(asked: Awaitable[object]) -> dict[str, str]:
    """What a call raised."""
    try:
        await asked
    except BusError as error:
        return {"reason": error.reason.value, "text": str(error)}
    return {"reason": "", "text": "it worked"}


async def values(name: str, bus: SmbusI2c, **options: Any) -> dict[str, Any]:
    """What a driver reads, once it is sure: opened again after an error, as the poller does it."""
    device = cast("Polled", drivers.build(name, bus, options))
    failures: list[str] = []
    samples: Sequence[Sample] = ()
    opened = False
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if not opened:
                await device.open()
                opened = True
            samples = await device.read()
        except (BusError, DataError) as error:
            failures.append(str(error))
            opened = False
        if samples and not any(isinstance(s, Bad | UncertainValue) for s in samples):
            break
        await asyncio.sleep(1.0)  # as often as a module has something new
    await device.close()
    reported = {point.key: plain(s) for point, s in zip(device.points, samples, strict=True)}
    return {
        "values": reported,
        "held": HELD[name],
        "identity": getattr(device, "identity", ""),
        "failures": failures,
    }


@contextmanager
def opened(path: str) -> Iterator[SmbusI2c]:
    bus = SmbusI2c(path)
    try:
        yield bus
    finally:
        bus.close()


async def sensors(path: str) -> dict[str, Any]:
    """Two chips on one bus, and an address where there is none."""
    reported: dict[str, Any] = {}
    with AnsweringProcess("sen55", "sht4x") as answers, opened(path) as bus:
        reported["sen55"] = await values("sen55", bus, settle_reads=0)
        reported["sht4x"] = await values("sht4x", bus)
        reported["asked"] = len(answers("asked"))
        reported["nobody"] = await trouble(bus.transfer(0x33, b"\0", read=1))
    return reported


async def faults(path: str) -> dict[str, Any]:
    """A chip without supply, a bus held low, other masters, an adapter whose far end is gone."""
    reported: dict[str, Any] = {}
    with AnsweringProcess("sen55") as answers, opened(path) as bus:

        async def ready() -> bytes:
            return await bus.transfer(0x69, STATUS, read=6, wait_s=0.05)

        await asyncio.sleep(0.2)  # the module starts up
        reported["fine"] = (await ready()).hex()
        answers("power", "0")
        for name in ("EREMOTEIO", "ENXIO"):  # both are in use for what nobody acknowledged
            answers("nack", name)
            reported[name] = await trouble(ready())
        answers("power", "1")
        answers("fault", "ETIMEDOUT")
        reported["stuck"] = await trouble(ready())
        reported["timeout_ms"] = parameter("timeout_ms")
        answers("fault", "none")
        await asyncio.sleep(0.2)
        reported["after"] = (await ready()).hex()
        before = len(answers("asked"))
        answers("once", "EAGAIN")
        reported["once_lost"] = await trouble(ready())
        reported["asked_again"] = len(answers("asked")) - before
        answers("fault", "EAGAIN")
        reported["lost"] = await trouble(ready())
        answers("fault", "none")
        answers.kill()
        reported["gone"] = await trouble(ready())
    return reported


async def repeated_start(path: str) -> list[int]:
    """How many messages each transfer had: one for a write alone, two with a repeated start."""
    with AnsweringProcess("sen55") as answers, opened(path) as bus:
        await asyncio.sleep(0.2)
        await bus.transfer(0x69, STATUS, read=6, wait_s=0.05)
        await trouble(bus.transfer(0x69, STATUS, read=6))  # it needs 20 ms: it refuses that
        found: list[int] = answers("asked")
        return found


def by_kernel(path: str) -> dict[str, float]:
    """What the kernel's own driver for this chip reads from the simulated one."""
    number = path.removeprefix("/dev/i2c-")
    bus = DEVICES / f"i2c-{number}"
    subprocess.run(["modprobe", "sht4x"], check=True)
    with AnsweringProcess("sht4x"):
        (bus / "new_device").write_text("sht4x 0x44")
        sensor = next((DEVICES / f"{number}-0044/hwmon").iterdir())
        reported = {
            "temperature": int((sensor / "temp1_input").read_text()) / 1000,
            "humidity": int((sensor / "humidity1_input").read_text()) / 1000,
        }
        (bus / "delete_device").write_text("0x44")
    return reported


async def paths() -> dict[str, Any]:
    """What is no I2C bus, or not one that can do this."""
    reported = {}
    for name, path in (
        ("smbus", adapter(SMBUS_ONLY)), ("absent", "/dev/i2c-99"), ("terminal", "/dev/ttyS1"),
    ):  # fmt: skip
        with opened(path) as bus:
            reported[name] = await trouble(bus.transfer(0x48, b"\0", read=1))
    return reported


async def main() -> None:
    """One scene after the other."""
    path = adapter(BUS)
    scenes: dict[str, Callable[[], Awaitable[Any]]] = {
        "sensors": lambda: sensors(path),
        "faults": lambda: faults(path),
        "messages": lambda: repeated_start(path),
        "paths": paths,
    }
    reported: dict[str, Any] = {"hwmon": by_kernel(path)}
    for name, scene in scenes.items():
        print("scene", name, flush=True)
        reported[name] = await scene()
    print(json.dumps(reported))


if __name__ == "__main__":
    asyncio.run(main())
