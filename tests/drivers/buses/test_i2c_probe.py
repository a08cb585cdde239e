"""Looking at an I2C bus that does not do what it should: reading only."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.buses.host import DeviceNode, NodeUser
from drivers.buses.i2c import SmbusI2c
from drivers.buses.i2c_trouble import host_findings
from drivers.sim.i2c import Nack
from drivers.sim.i2c_ioctl import Ioctl
from edge.core import BusError
from tests.drivers.buses.i2c_kernel import Kernel, Registers


@pytest.fixture
def kernel() -> Kernel:
    return Kernel({0x20: Registers()})


@pytest.fixture
def bus(kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmbusI2c]:
    made = SmbusI2c(Ioctl(kernel, tmp_path / "i2c-1").install(monkeypatch))
    yield made
    made.close()


class Shy(Registers):
    """As Sensirion's chips are: no read is acknowledged before a command."""

    def read(self, count: int) -> bytes:
        raise Nack


@pytest.mark.parametrize("code", [errno.EREMOTEIO, errno.ENXIO])
async def test_a_probe_reads_and_never_writes(kernel: Kernel, bus: SmbusI2c, code: int) -> None:
    kernel.nack_errno = code
    kernel.chips = {0x20: Registers(), 0x69: Shy()}
    assert [a for a in range(0x08, 0x78) if await bus.probe(a)] == [0x20]
    assert set(kernel.shapes()) == {"r"}
    assert [entry[:2] for entry in kernel.log] == [(0x20, "r")]
    for reserved in (0x00, 0x07, 0x78, 0x80):
        with pytest.raises(ValueError, match="reserved"):
            await bus.probe(reserved)


@pytest.mark.parametrize("fault", [errno.ETIMEDOUT, errno.EAGAIN, errno.ENODEV, errno.EIO])
async def test_a_probe_on_a_bus_that_fails_is_no_no(
    kernel: Kernel, bus: SmbusI2c, fault: int
) -> None:
    kernel.fault = fault
    with pytest.raises(BusError):
        await bus.probe(0x20)


async def test_a_probe_of_a_bus_that_is_not_there_is_no_no() -> None:
    with pytest.raises(BusError, match="is not there"):
        await SmbusI2c("/dev/i2c-99").probe(0x20)


async def said(bus: SmbusI2c, **silent: tuple[int, ...]) -> str:
    return "\n".join(map(str, await bus.diagnose(silent)))


async def test_a_wrong_address_is_found_where_the_device_is(kernel: Kernel, bus: SmbusI2c) -> None:
    kernel.chips = {0x77: Registers()}
    assert "weather: no device answers at 0x76" in await said(bus, weather=(0x76, 0x77))
    assert "set address = 0x77" in await said(bus, weather=(0x76, 0x77))
    assert set(kernel.shapes()) == {"r"}


async def test_a_device_that_is_missing_alone_or_with_all_others(
    kernel: Kernel, bus: SmbusI2c
) -> None:
    assert "0x20 on the same wires answers; check its address" in await said(bus, dust=(0x69,))
    assert "0x20 answer" in await said(bus)
    kernel.chips = {}
    fresh = SmbusI2c(bus.path)
    assert "SDA and SCL swapped" in await said(fresh, dust=(0x69,))
    assert "some sensors never do" in await said(fresh)
    fresh.close()


async def test_another_chip_at_its_address_is_said(kernel: Kernel, bus: SmbusI2c) -> None:
    assert "another kind of chip" in await said(bus, weather=(0x20,))


async def test_a_stuck_bus_is_found_at_its_first_address(kernel: Kernel, bus: SmbusI2c) -> None:
    waited: list[float] = []
    kernel.stall, kernel.fault = waited.append, errno.ETIMEDOUT
    [found] = await bus.diagnose({})
    assert found.severity == "fault"
    assert "holds SCL or SDA low" in str(found)
    assert len(waited) == 1


def test_what_the_machine_says_of_a_bus(tmp_path: Path) -> None:
    gone = DeviceNode("/dev/i2c-1", "/dev/i2c-1", present=False)
    [found] = host_findings(gone, [], ("/boot/firmware/config.txt", "# dtparam=i2c_arm=on\n"), None)
    assert found.remedy == "write dtparam=i2c_arm=on into /boot/firmware/config.txt and restart"
    [found] = host_findings(gone, ["/dev/i2c-3"], ("/boot/config.txt", "dtparam=i2c_arm=on"), None)
    assert "load i2c-dev" in found.remedy
    assert "/dev/i2c-3" in found.remedy
    locked = DeviceNode("/dev/i2c-1", "/dev/i2c-1", True, usable=False, group="i2c")
    [found] = host_findings(locked, [], None, None)
    assert "usermod -aG i2c USER" in found.remedy
    ours = DeviceNode("/dev/i2c-1", "/dev/i2c-1", True, usable=True, group="i2c")
    assert host_findings(ours, [], None, None) == []
    [found] = host_findings(ours, [], None, NodeUser(7, "i2cdetect"))
    assert "i2cdetect (process 7)" in str(found)
