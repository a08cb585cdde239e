"""The gateway's Modbus master on a serial port of the real kernel; prints what it read as JSON.

python3 -m tests.kernel.guest.meter PORT BAUD PARITY STOP READS
"""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import drivers
from drivers.buses.modbus import ModbusRtu
from drivers.buses.serial_port import SerialPort
from edge.core import BusError, DataError, Polled
from tests.kernel.guest.air import plain

TIMEOUT_S = 1.0
APART_S = 1.5

# somebody of the port's group, who may open it like any other program of a technician
STRANGER = """
import os, sys
os.setgroups([os.stat(sys.argv[1]).st_gid])
os.setgid(65534)
os.setuid(65534)
os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
"""


async def readings(device: Polled, count: int) -> list[Any]:
    """Each a mapping of values, or the text of what went wrong.

    They are so far apart that none can be taken for a copy of that before.
    """
    reported: list[Any] = []
    for _ in range(count):
        try:
            samples = await device.read()
        except (BusError, DataError) as error:
            reported.append(f"{type(error).__name__} {error.reason.value}: {error}")
        else:
            reported.append({p.key: plain(s) for p, s in zip(device.points, samples, strict=True)})
        await asyncio.sleep(APART_S)
    return reported


def framing(path: str) -> dict[str, Any]:
    """What stty says of a port, which is what the kernel set its driver to."""
    words = subprocess.run(
        ["stty", "-F", path, "-a"], capture_output=True, text=True, check=True
    ).stdout.replace(";", " ").split()  # fmt: skip
    return {
        "baud": int(words[words.index("speed") + 1]),
        "flags": [word for word in ("parenb", "-parodd", "cs8", "-cstopb") if word in words],
    }


def shut(path: str) -> dict[str, str]:
    """What others are told who want a port that is ours."""
    second, reported = SerialPort(path), {}
    try:
        second.open()
    except BusError as error:
        reported["second"] = str(error)
    finally:
        second.close()
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, path], capture_output=True, text=True, check=False
    )
    reported["stranger"] = (done.stderr.splitlines() or ["it was opened"])[-1]
    return reported


def has_terminal() -> bool:
    """Whether this session has a controlling terminal now."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


async def main(path: str, baud: str, parity: str, stop: str, reads: str) -> None:
    """Read a meter so many times, then look how the port is set."""
    os.setsid()  # a leader of a session gets a terminal with the next open that does not decline
    port = SerialPort(path, int(baud), parity, int(stop))
    bus = ModbusRtu(port, TIMEOUT_S, link_delay_s=TIMEOUT_S)
    device: Any = drivers.build("sdm630", bus, {"unit": 1})
    await device.open()
    reported: dict[str, Any] = {"readings": await readings(device, int(reads))}
    reported |= {"framing": framing(path), "terminal": has_terminal(), **shut(path)}
    await device.close()
    bus.close()
    print(json.dumps(reported))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
