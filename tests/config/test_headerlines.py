"""Lines of a Raspberry Pi's header, beside the mistakes of `test_mistakes.py`."""

import pytest

from edge.config import site_warnings
from tests.config.conftest import RIGHT, Read

LINK = '[link]\nstatus_led = "{}"\nmodem_power_line = "{}"\n'
I2C = '[bus.air]\nkind = "i2c"\n[device.air]\ndriver = "sen55"\nbus = "air"\n'
UART = (
    '[bus.d]\nkind = "serial"\nport = "/dev/serial0"\n[device.d]\ndriver = "pms5003"\nbus = "d"\n'
)


def said(read: Read, line: str, more: str = "") -> list[str]:
    text = RIGHT.replace('"GPIO17"', f'"{line}"') + more
    return [f"{p.key}: {p.text}" for p in site_warnings(read(text))]


@pytest.mark.parametrize(
    ("line", "more", "found"),
    [
        ("GPIO_17", "", "write GPIO17"),
        ("PIN6", "", "that pin has no line"),
        ("GPIO3", I2C, "GPIO3 is a wire of bus.air (/dev/i2c-1)"),
        ("14", UART, "14 is a wire of bus.d (/dev/serial0)"),
        ("GPIO17", LINK.format("GPIO20", "20"), "link.status_led: GPIO20 is link.modem_power_line"),
    ],
)
def test_a_line_that_is_hardly_meant(read: Read, line: str, more: str, found: str) -> None:
    (remark,) = said(read, line, more)
    assert found in remark


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("17", I2C + UART),
        ("GPIO3", UART),
        ("GPIO14", I2C),
        ("DOOR", ""),  # a device tree may name lines
        ("IO1", ""),
        ("io-17", ""),
        ("GPIO17", LINK.format("GPIO21", "GPIO20")),
        ("GPIO17", LINK.format("GPIO17", "GPIO20") + 'chip = "/dev/gpiochip2"\n'),
    ],
)
def test_a_line_that_may_be_meant(read: Read, line: str, more: str) -> None:
    assert said(read, line, more) == []
