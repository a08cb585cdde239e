"""What piled up on a port while nobody listened: only what is new counts as new."""

import time

import pytest

from drivers.buses.serial_port import FULL, SerialPort
from tests.kit.serialport import FarEnd, cut


def piled_up(port: SerialPort, count: int) -> None:
    """The kernel passes on in its own time what was said."""
    give_up_s = time.monotonic() + 20
    while port._serial is None or port._serial.in_waiting < count:
        assert time.monotonic() < give_up_s
        time.sleep(0.001)


@pytest.mark.parametrize("frames", [64, 2000])  # all that the kernel keeps, and more than that
async def test_where_new_bytes_were_lost_a_new_frame_is_waited_for(
    far: FarEnd, frames: int
) -> None:
    port = SerialPort(far.path, 115_200)
    port.open()
    for _ in range(frames):
        far.say(b"<old".ljust(63, b".") + b">")
    piled_up(port, FULL)
    far.keep_saying(lambda: b"<new>", 0.05)  # of which the port takes nothing while it is full
    for _ in range(3):
        assert b"old" not in await port.frame(cut, 20.0, newest=True)
    port.close()


async def test_what_waits_without_a_loss_is_not_waited_for(far: FarEnd) -> None:
    port = SerialPort(far.path, 115_200)
    port.open()
    for number in range(20):
        far.say(b"<%02d" % number + b"." * 90 + b">")
    piled_up(port, 20 * 94)
    assert (await port.frame(cut, 20.0, newest=True)).startswith(b"<19")
    port.close()


async def test_what_is_left_of_a_frame_is_not_joined_to_a_new_one(far: FarEnd) -> None:
    port = SerialPort(far.path, 115_200)
    port.open()
    far.say(b"<1><half of an old")
    assert await port.frame(cut, 20.0, newest=True) == b"<1>"
    for _ in range(100):
        far.say(b"." * 64)
    piled_up(port, FULL)
    far.keep_saying(lambda: b"<new>", 0.05)
    assert await port.frame(cut, 20.0, newest=True) == b"<new>"
    port.close()
