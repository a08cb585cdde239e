"""GPIO lines of a Raspberry Pi's header: their names, and what else they may be.

Source: BCM2711 ARM peripherals (alternative functions), Raspberry Pi documentation (GPIO header);
names of lines: gpio-line-names of the device trees bcm2711-rpi-4-b and bcm2712-rpi-5-b.
"""

import re
from collections.abc import Iterator
from typing import Final

from edge.config.keylines import KeyPath
from edge.config.model import GpioBus, I2cBus, ModbusRtuBus, SerialBus
from edge.config.problem import Problem, dotted_path
from edge.config.site import Site

CHIP: Final = GpioBus().chip  # another one is an expander, with lines of its own
HEADER: Final = range(2, 28)  # GPIO0 and 1 are for the EEPROM of a board on top
LINE: Final = re.compile(r"(?:GPIO)?(\d{1,3})")
LIKE_A_LINE: Final = re.compile(r"(?i)(?:gpio|bcm)[-_.]?(\d{1,3})")
LIKE_A_PIN: Final = re.compile(r"(?i)(?:pin|p1|j8|board)[-_.]?(\d{1,2})")
PINS: Final = {
    3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10,
    21: 9, 22: 25, 23: 11, 24: 8, 26: 7, 29: 5, 31: 6, 32: 12, 33: 13, 35: 19, 36: 16, 37: 26,
    38: 20, 40: 21,
}  # fmt: skip
I2C: Final = ("/dev/i2c-1", (2, 3))
UART: Final = (("/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0"), (14, 15))
LINK_KEYS: Final = ("modem_power_line", "status_led", "button_line")


def header_warnings(site: Site) -> Iterator[Problem]:
    """All remarks about lines of the header's chip."""
    used: list[tuple[KeyPath, str]] = [
        (path, line)
        for name, bus in site.buses.items()
        if isinstance(bus, GpioBus) and bus.chip == CHIP
        for path, line in _lines(site, name)
    ]
    of_link: list[tuple[KeyPath, str]] = [
        (("link", key), line) for key in LINK_KEYS if (line := getattr(site.link, key))
    ]
    if site.link.chip == CHIP:
        yield from _shared(site, used, of_link)
        used += of_link
    for path, line in used:
        if text := _name_trouble(line):
            yield site.remark(path, text)
        elif wire := _other_use(site, line):
            yield site.remark(
                path, f"{line} is a wire of {wire} on the header; use another line, or another port"
            )


def _lines(site: Site, bus: str) -> Iterator[tuple[KeyPath, str]]:
    for name, lane in site.lanes_on(bus).items():
        for key in ("lead", "trail"):
            if line := getattr(lane, key):
                yield ("lane", name, key), line
    for name, bay in site.bays_on(bus).items():
        yield ("bay", name, "line"), bay.line
    for name, device in site.devices_on(bus).items():
        if line := device.options.get("line"):
            yield ("device", name, "line"), line


def _shared(
    site: Site, used: list[tuple[KeyPath, str]], of_link: list[tuple[KeyPath, str]]
) -> Iterator[Problem]:
    """A line that the link switches, and somebody else reads or switches."""
    owners = {_number(line): path for path, line in used}
    for path, line in of_link:
        other = owners.setdefault(_number(line), path)
        if other != path:
            yield site.remark(path, f"{line} is {dotted_path(other)}, too; each has its own line")


def _name_trouble(line: str) -> str:
    if found := LINE.fullmatch(line):
        if int(found[1]) in HEADER:
            return ""
        return (
            f"the header of a Raspberry Pi has GPIO{HEADER[0]} to GPIO{HEADER[-1]}; "
            f"{line} is not among them. Numbers are those of the chip, not of the pins"
        )
    if found := LIKE_A_LINE.fullmatch(line):
        return f"no line is called {line}; write GPIO{int(found[1])}"
    if found := LIKE_A_PIN.fullmatch(line):
        number = PINS.get(int(found[1]))
        hint = f"write GPIO{number}" if number is not None else "that pin has no line"
        return f"{line} is a pin of the header, and lines are those of the chip; {hint}"
    return ""


def _other_use(site: Site, line: str) -> str:
    number = _number(line)
    for name, bus in site.buses.items():
        match bus:
            case I2cBus(path=place) if place == I2C[0] and number in I2C[1]:
                return f"bus.{name} ({place})"
            case SerialBus(port=place) | ModbusRtuBus(port=place) if (
                place in UART[0] and number in UART[1]
            ):
                return f"bus.{name} ({place})"
            case _:
                pass
    return ""


def _number(line: str) -> int | str:
    found = LINE.fullmatch(line)
    return int(found[1]) if found else line
