"""The real smbus2, on a simulated kernel in this process and behind a socket."""

import asyncio
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import smbus2
from smbus2 import SMBus, i2c_msg

from drivers.buses import i2c_remote
from drivers.buses.i2c import SmbusI2c
from drivers.buses.i2c_remote import RemoteSMBus
from drivers.buses.i2c_trouble import opening_trouble, transfer_trouble
from drivers.chips.sen55 import Sen55
from drivers.sim.i2c_ioctl import Ioctl
from drivers.sim.i2c_server import I2cServer
from edge.core import Bad, BusError, I2cBus, Reason, Sample
from tests.drivers.buses.i2c_kernel import Kernel, Registers


@pytest.fixture
def kernel() -> Kernel:
    return Kernel({0x20: Registers()})


@pytest.fixture
def bus(kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmbusI2c]:
    made = SmbusI2c(Ioctl(kernel, tmp_path / "i2c-1").install(monkeypatch))
    yield made
    made.close()


async def test_write_and_read_are_one_transfer_with_a_repeated_start(
    kernel: Kernel, bus: SmbusI2c
) -> None:
    port: I2cBus = bus
    assert await port.transfer(0x20, b"\x10", read=4) == bytes([16, 17, 18, 19])
    assert await port.transfer(0x20, read=2) == bytes([16, 17])
    assert await port.transfer(0x20, b"\x05\xaa") == b""
    assert kernel.shapes() == ["wr", "r", "w"]
    chip = kernel.chips[0x20]
    assert isinstance(chip, Registers)
    assert chip.memory[5] == 0xAA


async def test_with_a_wait_they_are_two_and_the_loop_goes_on_meanwhile(
    kernel: Kernel, bus: SmbusI2c
) -> None:
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    other = asyncio.create_task(beat())
    assert await bus.transfer(0x20, b"\x08", read=2, wait_s=0.05) == bytes([8, 9])
    other.cancel()
    (first, _), (second, _) = kernel.transfers
    assert kernel.shapes() == ["w", "r"]
    assert second - first >= 0.05
    assert beats >= 3
    start = time.monotonic()
    await bus.transfer(0x20, b"\x08", wait_s=0.03)  # nothing to read: the wait is for the device
    assert time.monotonic() - start >= 0.03


@pytest.mark.parametrize("code", [errno.EREMOTEIO, errno.ENXIO])
async def test_nobody_at_an_address_says_what_to_check(
    kernel: Kernel, bus: SmbusI2c, code: int
) -> None:
    kernel.nack_errno = code
    with pytest.raises(BusError, match=r"no device answers at 0x69 .*wiring") as caught:
        await bus.transfer(0x69, b"\x00", read=1)
    assert caught.value.reason is Reason.SILENT
    assert await bus.transfer(0x20, b"\x01", read=1) == b"\x01"  # its neighbour is still there


async def test_a_stuck_bus_costs_a_quarter_of_a_second_not_more(
    kernel: Kernel, bus: SmbusI2c
) -> None:
    waited: list[float] = []
    kernel.stall = waited.append
    kernel.fault = errno.ETIMEDOUT
    with pytest.raises(BusError, match="stuck"):
        await bus.transfer(0x20, b"\x01", read=1)
    assert waited == [0.25]
    assert kernel.retries == 1
    kernel.fault = 0
    assert await bus.transfer(0x20, b"\x01", read=1) == b"\x01"


async def test_an_adapter_without_these_limits_is_used_as_it_is(
    kernel: Kernel, bus: SmbusI2c, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "set_value", lambda *_: -errno.ENOTTY)
    assert await bus.transfer(0x20, b"\x01", read=1) == b"\x01"


async def test_an_adapter_that_went_away_is_opened_again(kernel: Kernel, bus: SmbusI2c) -> None:
    await bus.transfer(0x20, b"\x01", read=1)
    before = _open_files()
    kernel.fault = errno.ENODEV
    with pytest.raises(BusError, match="gone"):
        await bus.transfer(0x20, b"\x01", read=1)
    assert _open_files() == before - 1
    kernel.fault = errno.EAGAIN
    with pytest.raises(BusError, match="another master") as caught:
        await bus.transfer(0x20, b"\x01", read=1)
    assert caught.value.reason is Reason.BUSY
    kernel.fault = 0
    assert await bus.transfer(0x20, b"\x01", read=1) == b"\x01"
    assert _open_files() == before


async def test_an_smbus_only_adapter_is_refused_with_advice(kernel: Kernel, bus: SmbusI2c) -> None:
    kernel.funcs &= ~1
    before = _open_files()
    with pytest.raises(BusError, match="SMBus calls only"):
        await bus.transfer(0x20, b"\x01", read=1)
    assert _open_files() == before


async def test_what_cannot_be_opened_says_why_and_leaks_nothing(tmp_path: Path) -> None:
    before = _open_files()
    with pytest.raises(BusError, match="enable I2C"):
        await SmbusI2c("/dev/i2c-99").transfer(0x20, read=1)
    (tmp_path / "file").touch()
    with pytest.raises(BusError, match="no I2C bus"):  # the real kernel says so
        await SmbusI2c(str(tmp_path / "file")).transfer(0x20, read=1)
    with pytest.raises(BusError, match="start it first"):
        await SmbusI2c(f"sim:{tmp_path}/none.sock").transfer(0x20, read=1)
    assert _open_files() == before
    assert "group i2c" in opening_trouble("/dev/i2c-1", PermissionError(errno.EACCES, "no"))


def test_every_error_names_the_bus() -> None:
    for code in errno.errorcode:
        error = OSError(code, os.strerror(code))
        assert "/dev/i2c-1" in transfer_trouble("/dev/i2c-1", 0x69, error)
        assert "/dev/i2c-1" in opening_trouble("/dev/i2c-1", error)


async def test_who_does_not_answer_is_told_with_where_to_look_first(
    kernel: Kernel, bus: SmbusI2c
) -> None:
    with pytest.raises(BusError, match="no device on this bus has answered yet; check wiring"):
        await bus.transfer(0x69, read=1)
    await bus.transfer(0x20, read=1)
    with pytest.raises(BusError, match="0x20 on the same wires answers; check its address"):
        await bus.transfer(0x69, read=1)
    kernel.chips = {}
    with pytest.raises(BusError, match="it answered before; check its plug"):
        await bus.transfer(0x20, read=1)


def test_closing_is_always_safe(tmp_path: Path) -> None:
    bus = SmbusI2c(str(tmp_path / "none"))
    bus.close()
    bus.close()
    remote = RemoteSMBus()
    remote.close()
    remote.close()


# --- behind a socket ------------------------------------------------------------------------------


@pytest.fixture
def served(kernel: Kernel, tmp_path: Path) -> Iterator[I2cServer]:
    with I2cServer(kernel, tmp_path / "bus.sock") as server:
        yield server


async def test_a_simulated_path_behaves_as_the_kernel(kernel: Kernel, served: I2cServer) -> None:
    bus = SmbusI2c(f"sim:{served.path}")
    assert await bus.transfer(0x20, b"\x10", read=4) == bytes([16, 17, 18, 19])
    assert await bus.transfer(0x20, b"\x08", read=2, wait_s=0.001) == bytes([8, 9])
    assert kernel.shapes() == ["wr", "w", "r"]
    with pytest.raises(BusError, match="no device answers at 0x69"):
        await bus.transfer(0x69, b"\x00")
    kernel.fault = errno.ETIMEDOUT
    start = time.monotonic()
    with pytest.raises(BusError, match="stuck"):
        await bus.transfer(0x20, b"\x00")
    assert time.monotonic() - start >= 0.25  # not more: see the stuck bus above
    kernel.fault = 0
    assert await bus.transfer(0x20, b"\x01", read=1) == b"\x01"
    bus.close()


def test_all_of_smbus2_works_through_the_socket(kernel: Kernel, served: I2cServer) -> None:
    bus, other = RemoteSMBus(), RemoteSMBus()
    bus.open(f"sim:{served.path}")
    other.open(f"sim:{served.path}")
    assert bus.funcs & smbus2.I2cFunc.I2C
    assert bus.read_byte_data(0x20, 5) == 5
    assert bus.read_word_data(0x20, 2) == 0x0302
    assert bus.read_i2c_block_data(0x20, 8, 4) == [8, 9, 10, 11]
    bus.write_byte_data(0x20, 1, 0xAA)
    bus.write_word_data(0x20, 2, 0xBEEF)
    bus.write_i2c_block_data(0x20, 30, [1, 2, 3])
    chip = kernel.chips[0x20]
    assert isinstance(chip, Registers)
    assert chip.memory[1:4] == b"\xaa\xef\xbe"
    assert chip.memory[30:33] == b"\1\2\3"
    bus.write_quick(0x20)
    with pytest.raises(OSError, match="Remote I/O"):
        other.write_quick(0x55)  # an address of its own: that of the first is as it was
    bus.write_byte(0x20, 7)
    assert bus.read_byte(0x20) == 7
    with pytest.raises(OSError, match="Invalid argument"):
        bus.i2c_rdwr(*[i2c_msg.read(0x20, 1)] * 43)
    kernel.bound.add(0x20)
    with pytest.raises(OSError, match="busy"):
        other.read_byte_data(0x20, 0)
    other.close()
    bus.close()


def test_other_descriptors_still_go_to_the_kernel(served: I2cServer, tmp_path: Path) -> None:
    bus = RemoteSMBus()
    bus.open(f"sim:{served.path}")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        SMBus().open(str(tmp_path / "file"))
    bus.close()


async def test_a_simulator_that_ends_and_comes_back(kernel: Kernel, tmp_path: Path) -> None:
    bus = SmbusI2c(f"sim:{tmp_path}/bus.sock")
    with I2cServer(kernel, tmp_path / "bus.sock"):
        assert await bus.transfer(0x20, b"\x01", read=1) == b"\x01"
    with pytest.raises(BusError, match="gone"):
        await bus.transfer(0x20, b"\x01", read=1)
    with pytest.raises(BusError, match="start it first"):
        await bus.transfer(0x20, b"\x01", read=1)
    with I2cServer(kernel, tmp_path / "bus.sock"):
        assert await bus.transfer(0x20, b"\x01", read=1) == b"\x01"
    bus.close()


@pytest.mark.parametrize(
    "answer", [b"", b"x" * 12, b"Ki\x02" + bytes(9), b"Ki\x01\0\0\0\0\0\xff\xff\xff\xff", None]
)
async def test_a_simulator_that_talks_nonsense_or_not_at_all_is_a_bus_error(
    answer: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(i2c_remote, "ANSWER_S", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "odd.sock"))
        listener.listen()

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(100)
                if answer is not None:
                    link.sendall(answer)
                else:
                    link.recv(100)  # until it hangs up

        thread = threading.Thread(target=serve)
        thread.start()
        before = _open_files()
        with pytest.raises(BusError):
            await SmbusI2c(f"sim:{tmp_path}/odd.sock").transfer(0x20, read=1)
        thread.join(60)
        assert _open_files() <= before


@pytest.mark.parametrize(
    "hostile",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"Ki\x01\0" + (0x0707).to_bytes(4) + (0xFFFFFFFF).to_bytes(4),
        b"Ki\x01\0" + (0x0707).to_bytes(4) + (4).to_bytes(4) + b"\xff\xff\x00\x20",
        b"Ki\x01\0" + (0x0707).to_bytes(4) + (8).to_bytes(4) + b"\0\1\0\x20\0\0\0\x09",
        b"Ki\x01\0" + (0x0720).to_bytes(4) + (1).to_bytes(4) + b"\1",
        b"Ki\x01\0" + (0x9999).to_bytes(4) + (0).to_bytes(4),
        b"Ki",
    ],
)
async def test_a_client_that_talks_nonsense_does_not_end_the_simulator(
    hostile: bytes, served: I2cServer
) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(served.path))
        link.sendall(hostile)
        link.shutdown(socket.SHUT_WR)
        answer = link.recv(100)
        assert not answer or int.from_bytes(answer[4:8], signed=True) < 0
    bus = SmbusI2c(f"sim:{served.path}")
    assert await bus.transfer(0x20, b"\x01", read=1) == b"\x01"
    bus.close()


async def test_a_module_in_another_process_is_read_by_the_real_driver(tmp_path: Path) -> None:
    path = tmp_path / "hut.sock"
    command = [sys.executable, "-m", "drivers.sim.i2c_server", "--socket", str(path)]
    values = ["pm1_0=5.2", "pm2_5=9.5", "pm4_0=12.6", "pm10=13.3", "temperature=-3.5"]
    with subprocess.Popen([*command, "sen55", *values], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert b"0x69" in process.stdout.readline()
            bus = SmbusI2c(f"sim:{path}")
            driver = Sen55(bus, settle_reads=0)
            await asyncio.sleep(0.1)  # it boots
            with pytest.raises(BusError, match="no device answers"):  # idle, it refuses to be read
                await bus.transfer(0x69, b"\x02\x02", read=3, wait_s=0.02)
            await driver.open()
            found: Sequence[Sample] = ()
            end = time.monotonic() + 20
            while not found or isinstance(found[0], Bad):  # its first values take a second
                assert time.monotonic() < end
                await asyncio.sleep(0.25)
                found = await driver.read()
            assert found[:4] == (5.2, 9.5, 12.6, 13.3)
            assert found[5] == -3.5
            await driver.close()
            bus.close()
        finally:
            process.kill()


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
