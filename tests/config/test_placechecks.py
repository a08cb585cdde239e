"""Names of ports: those of another kind or of a console are told, and those of udev's rules not."""

import pytest

from edge.config import site_warnings
from tests.config.conftest import RIGHT, Read

BUS = '[bus.d]\nkind = "serial"\nport = "{}"\n[device.d]\ndriver = "pms5003"\nbus = "d"\n'


def said(read: Read, port: str) -> list[str]:
    return [each.text for each in site_warnings(read(RIGHT + BUS.format(port)))]


@pytest.mark.parametrize(
    "port",
    [
        "/dev/i2c-1", "/dev/i2c1", "/dev/gpiochip0", "/dev/gpiomem", "/dev/spidev0.0", "/dev/mem",
        "/dev/null", "/dev/tty", "/dev/tty1", "/dev/ttyS", "/dev/ttyAMA", "/dev/serial",
        "/dev/serial/by-id",
    ],
)  # fmt: skip
def test_what_is_no_serial_port_is_told(read: Read, port: str) -> None:
    assert said(read, port) == [f"{port} is not called as a serial port is, such as /dev/serial0"]


@pytest.mark.parametrize(
    "port",
    [
        "/dev/ttyRS485-0", "/dev/ttyMeter", "/dev/tty_meter", "/dev/ttyS0", "/dev/ttyAMA10",
        "/dev/ttyO1", "/dev/ttymxc2", "/dev/serial1", "/dev/serial-meter", "/dev/serial/meters/1",
        "/dev/serial/by-id/usb-FTDI-if00-port0", "/dev/meter",
    ],
)  # fmt: skip
def test_of_a_name_that_may_be_one_nothing_is_said(read: Read, port: str) -> None:
    assert said(read, port) == []
